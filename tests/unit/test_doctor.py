"""Checks that are installed, ours and anybody's: what is wrong is said, and one that fails, hangs or dies costs no other."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.calling import call
from tests.unit.cli.test_plug_ins import install

THEIRS = """
import os, subprocess, time
from dist_alexnet.config import UsageError
from dist_alexnet.doctor.checks import Finding, measures


def disk(asked): return [Finding("20 GB are free", numbers={"gigabytes": 20}), Finding("mount", "it is read-only; mount it with rw")]


def breaks(asked):
    print("a library says hello")
    yield Finding("first")
    raise ZeroDivisionError("oops")


def refuses(asked): raise UsageError("no such switch; plug one in")


def dies(asked):
    os.write(2, b"bus error at 0x10\\n")
    os.abort()


def hangs(asked):
    child = subprocess.Popen(["sleep", "1000"])
    yield Finding(f"{child.pid}")
    time.sleep(1000)


@measures
def slow(asked): return [Finding("measured")]
"""
QUICK = ["data", "devices", "libraries", "machine", "nodes", "ray", "request", "storage"]

Found = dict[str, list[tuple[str, str]]]


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("disk", "breaks", "refuses", "dies", "hangs", "slow")
    points = "\n".join(f"{name} = their_checks:{name}" for name in names) + "\ngone = no_such_module:x"
    install(tmp_path, "their_checks", THEIRS, points, monkeypatch, "checks")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def findings(typed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, Found]:
    """Exit code, and by check what was looked at and what is wrong."""
    code, out, err = call(["doctor", "--json", *typed], capsys, monkeypatch)
    assert err == ""
    found: Found = {}
    for each in json.loads(out):
        found.setdefault(each["check"], []).append((each["what"], each["trouble"]))
    return code, found


def test_where_nothing_is_wrong_it_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All quick ones, as they come, with the numbers; what measures is named and left out; versions are held against the metadata."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    code, out, err = call(["doctor", "--device", "cpu"], capsys, monkeypatch)
    *lines, ending = out.splitlines()
    assert (code, err, ending) == (0, "", "nothing stands in the way; not measured: decoding, network (type --measure)")
    assert {line.split()[0] for line in lines} == {"fine"}
    assert list(dict.fromkeys(line.split()[1] for line in lines)) == QUICK
    for said in ("python 3.", "torch 2.", "(>=2.11)", "open files: ", "free ports: ", "shared memory: ", " GiB of memory, of "):
        assert any(said in line for line in lines), said
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


def test_what_is_wrong_is_said_and_ends_with_1(theirs: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    code, found = findings(["disk", "breaks", "refuses", "gone", "ray", "slow", "dies"], capsys, monkeypatch)
    assert code == 1
    assert found["disk"] == [("20 GB are free", ""), ("mount", "it is read-only; mount it with rw")]
    assert found["breaks"] == [("first", ""), ("breaks", "the check itself failed: ZeroDivisionError: oops")]
    assert found["refuses"] == [("refuses", "no such switch; plug one in")]
    assert "ModuleNotFoundError" in found["gone"][0][1]
    assert "no Ray cluster answers at 127.0.0.1:1" in found["ray"][-1][1]
    assert found["slow"] == [("measured", "")], "what is named is measured"
    assert found["dies"][0][1].startswith("the check died by SIGABRT, saying ")


def test_one_that_hangs_is_ended_with_all_that_it_started(
    theirs: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call(["doctor", "hangs", "disk", "refuses", "--timeout", "5"], capsys, monkeypatch)
    started, hanging, free, mount, refused, ending = out.splitlines()
    assert code == 1
    assert hanging == "TROUBLE  hangs    it did not answer within 5 s and was ended; type doctor hangs --timeout 50"
    assert (free, mount) == ("fine     disk     20 GB are free", "TROUBLE  disk     mount: it is read-only; mount it with rw")
    assert (refused, ending) == ("TROUBLE  refuses  no such switch; plug one in", "3 thing(s) stand in the way")
    child = Path(f"/proc/{started.split()[-1]}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["request", "-c", "alexnet_2012", "-b", "200000", "--device", "cpu"], "ranks would be killed for it; type a smaller -b"),
        (["data", "--data", "nowhere"], "there is no such folder"),
        (["storage", "--output-dir", "/proc/runs"], "cannot write /proc"),
    ],
)
def test_what_the_run_that_is_meant_would_meet(
    typed: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, found = findings(typed, capsys, monkeypatch)
    assert code == 1
    assert message in found[typed[0]][-1][1]


def test_wrong_use(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for typed, message in (("dta", "did you mean 'data'?"), ("train.lrr=1", "Did you mean: 'lr'"), ("--timeout=0", "must be seconds")):
        code, _, err = call(["doctor", typed], capsys, monkeypatch)
        assert (code, message in err) == (2, True), err
