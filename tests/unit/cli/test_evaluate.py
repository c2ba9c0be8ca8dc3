"""What `eval` makes of its arguments, and the files and lines that it leaves."""

import csv
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dist_alexnet.cli.evaluate import _run, _split, _text
from dist_alexnet.cli.screen.class_report import (
    CLASS_COLUMNS,
    CONFUSION_COLUMNS,
    check_files,
    class_rows,
    confusion_rows,
    worst_classes,
    write,
)
from dist_alexnet.config import UsageError
from dist_alexnet.evaluation import prepare
from dist_alexnet.evaluation.prepare import EvaluationRequest
from dist_alexnet.launch.driver import driver
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.runs.scratch import OWNER

CLASSES = ["ant", "bee", 'c, "d"\udcff\n']
BY_CLASS = {"images": [4, 0, 2], "top1_error": [0.25, None, 0.5], "top5_error": [0.0, None, 0.5]}


def test_checkpoints_and_settings_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=0.1").mkdir()
    assert _split(["a", "data.std=2", "lr=0.1", "runs/lr=0.2"]) == ([Path("a"), Path("lr=0.1"), Path("runs/lr=0.2")], ["data.std=2"])
    with pytest.raises(UsageError, match="data.std=2: there is no such checkpoint; type a checkpoint or run folder before settings"):
        _split(["data.std=2"])


def test_files_that_can_be_written_are_left_as_they_are(tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("before")
    check_files({"--per-class": old, "--confusion": new})
    check_files({"--per-class": None, "--confusion": None})
    assert (old.read_text(), new.exists()) == ("before", False)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "--confusion .*: Is a directory; type the name of a file in a folder that exists"),
        ("missing/x.csv", "--confusion .*/missing/x.csv: No such file or directory; type"),
        ("file/x.csv", "--confusion .*/file/x.csv: Not a directory; type"),
        ("classes.csv", "--per-class and --confusion both name .*classes.csv; type two files"),
    ],
)
def test_files_that_cannot_be_written(tmp_path: Path, file: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=message):
        check_files({"--per-class": tmp_path / "classes.csv", "--confusion": tmp_path / file})


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="--per-class .*: Permission denied"):
        check_files({"--per-class": tmp_path / "x.csv"})


def test_the_errors_of_classes(tmp_path: Path) -> None:
    rows = class_rows(CLASSES, BY_CLASS, {"ant": "emmet, pismire"})
    write("--per-class", tmp_path / "x.csv", CLASS_COLUMNS, rows)
    with (tmp_path / "x.csv").open(newline="", errors="surrogateescape") as stream:
        found = list(csv.reader(stream))
    assert found == [
        ["class", "name", "images", "top1_error", "top5_error"],
        ["ant", "emmet, pismire", "4", "0.25", "0.0"],
        ["bee", "bee", "0", "", ""],
        [CLASSES[2], CLASSES[2], "2", "0.5", "0.5"],
    ]


def test_confusions_are_in_order(tmp_path: Path) -> None:
    rows = confusion_rows(CLASSES[:2], [(0, 0, 3), (0, None, 3), (1, 0, 2), (1, 1, 7)], {"ant": "emmet, pismire"})
    write("--confusion", tmp_path / "x.csv", CONFUSION_COLUMNS, rows)
    assert (tmp_path / "x.csv").read_text() == (
        "true,predicted,images,true_name,predicted_name\n"
        "bee,bee,7,bee,bee\n"
        'ant,,3,"emmet, pismire",\n'
        'ant,ant,3,"emmet, pismire","emmet, pismire"\n'
        'bee,ant,2,bee,"emmet, pismire"\n'
    )


def test_the_worst_classes() -> None:
    lines = worst_classes(class_rows(CLASSES, BY_CLASS, {"ant": "emmet"}))
    assert lines == [
        "worst classes:",
        r"""  c, "d"\udcff\n   top-1 error  50.00%   top-5 error  50.00%   2 images""",
        "  ant emmet        top-1 error  25.00%   top-5 error   0.00%   4 images",
    ]
    many = {"images": [1, 3, 2, 1, 1, 1, 1], "top1_error": [1.0] * 7, "top5_error": [0.0] * 7}
    shown = worst_classes(class_rows(list("gfedcba"), many, {}))
    assert [line.split()[0] for line in shown] == ["worst", "f", "e", "a", "b", "c"]
    assert worst_classes([]) == []


def test_what_is_said() -> None:
    result = {
        "checkpoints": ["a", "b"],
        "views": "ten",
        "top1_error": 0.5,
        "top5_error": 0.25,
        "loss": 1.5,
        "images": 4000,
        "bad_images": 0,
        "bad_image_names": [],
    }
    assert _text(result).splitlines() == [
        "a",
        "b",
        "average of 2 checkpoints, ten views, 4,000 images",
        "top-1 error 50.00%   top-5 error 25.00%   loss 1.5000",
    ]
    assert _text({**result, "loss": None}).splitlines()[3].endswith("loss not finite")
    bad = {"bad_images": 1000, "bad_image_names": ["x/00000.arrow row 0 (a/1.jpg): it does not decode"]}
    one = _text({**result, "checkpoints": ["a"], "views": "center", **bad}).splitlines()
    assert one[1] == "1 checkpoint, centre crop, 4,000 images"
    assert one[3] == "1,000 images could not be decoded and are left out, the first: x/00000.arrow row 0 (a/1.jpg): it does not decode"


@pytest.mark.parametrize("named", [True, False])
def test_logs_of_an_evaluation_that_failed_stay_if_they_are_named(
    named: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(function: object, directory: RunDirectory, *rest: object, saves: bool) -> None:
        directory.create()
        directory.log(0).write_text("what happened")
        raise TrainingFailed(f"rank 0 failed; its log: {directory.log(0)}" if named else "stopped at once", exit_code=1 if named else 130)

    (tmp_path / "dist-alexnet-eval-killed").mkdir()
    (tmp_path / "dist-alexnet-eval-killed" / OWNER).touch()  # which nobody has locked
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(driver, "execute", fail)
    monkeypatch.setattr(prepare, "prepare_evaluation", lambda request, directory, tell: SimpleNamespace(job=None, launcher=None, notes=[]))
    with pytest.raises(SystemExit) as ended:
        _run(EvaluationRequest([], []))
    told = capsys.readouterr().err
    if named:
        assert Path(told.partition("its log: ")[2].strip()).read_text() == "what happened"
    else:
        assert (told, list(tmp_path.iterdir())) == ("error: stopped at once\n", [])
    assert not list(tmp_path.glob("dist-alexnet-eval-*"))
    assert ended.value.code == (1 if named else 130)


def test_no_room_for_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="no temporary folder can be made .*; set TMPDIR"):
        _run(EvaluationRequest([], []))
