"""What can be asked of a comparison, and what is refused in a line before anything starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.compare.request import Asked, Prepared, prepare
from dist_alexnet.compare.run import begin
from dist_alexnet.config import UsageError

ASKED = Asked(None, ["launch.name=local", "launch.device=cpu"], "single,ddp", "1,2", "8", rounds=3, warmup=0)


def ask(preset: str, inexact: bool = False, **changes: object) -> Prepared:
    return prepare(replace(ASKED, preset=preset, **changes), Path("runs"), inexact, lambda line: None)  # type: ignore[arg-type]


def test_contestants_are_strategies_with_options_by_ranks_by_batches(preset: str) -> None:
    prepared = ask(preset, strategies="single,ddp,ddp:bucket_mib=1.5,channel_split", batches="8,16")
    labels = ["single on 1", "ddp on 1", "ddp on 2", "ddp:bucket_mib=1.5 on 1", "ddp:bucket_mib=1.5 on 2", "channel_split on 2"]
    assert {batch: [entry.label for entry in heat] for batch, heat in prepared.heats.items()} == {8: labels, 16: labels}
    assert [line.partition(":")[0] for line in prepared.left_out] == ["channel_split on 1"]
    assert prepared.heats[16][3].config.strategy.options == {"bucket_mib": 1.5}
    assert prepared.heats[16][3].config.train.global_batch == 16


def test_single_is_on_one_rank_whatever_is_asked_for(preset: str) -> None:
    assert [entry.label for entry in ask(preset, gpus="2").heats[8]] == ["single on 1", "ddp on 2"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategies": "ddp", "gpus": "2"}, "nothing to compare with batch 8: only ddp on 2 was asked for; type --strategies"),
        ({"strategies": "channel_split,single", "gpus": "3"}, "nothing to compare with batch 8: channel_split on 3: "),
        ({"strategies": "ddp,dpp"}, "'dpp'.*ddp"),
        ({"strategies": "ddp,ddp:fast"}, "--strategies ddp:fast: fast is no option; type them as in"),
        ({"strategies": "ddp,ddp:bucket=1"}, "bucket_mib"),
        ({"strategies": "ddp,ddp:gradient_wire=bfloat16"}, "gradient_wire=bfloat16 on 2: .*type --inexact"),
        ({"gpus": "0,1"}, "--gpus 0,1: needs numbers from 1 on with commas between; type --gpus 1,2,4"),
        ({"batches": "x"}, "-b x: needs numbers"),
        ({"rounds": 0}, "--rounds 0: needs at least 1"),
        ({"warmup": -1}, "--warmup -1: needs at least 0"),
        ({"overrides": [*ASKED.overrides, "strategy.options.bucket_mib=1"]}, r"strategy\.\* belongs to one contestant"),
        ({"overrides": [*ASKED.overrides, "train.epochs=3"]}, "train.epochs would do nothing: a comparison"),
        ({"overrides": [*ASKED.overrides, "train.global_batch=8"]}, "train.global_batch would do nothing: .*type -b and --gpus"),
    ],
)
def test_it_refuses_clearly(preset: str, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(preset, **changes)


def test_who_rounds_is_let_in_when_asked_for(preset: str) -> None:
    assert len(ask(preset, inexact=True, strategies="ddp,ddp:gradient_wire=bfloat16", gpus="2").heats[8]) == 2


def test_a_folder_holds_one_comparison(preset: str, tmp_path: Path) -> None:
    folder, prepared = tmp_path / "c", ask(preset)
    with pytest.raises(UsageError, match="--resume: there is no comparison in"):
        begin(prepared, folder, resume=True)
    begin(prepared, folder, resume=False)
    begin(prepared, folder, resume=True)
    with pytest.raises(UsageError, match="there is a comparison in it; type --resume"):
        begin(prepared, folder, resume=False)
    with pytest.raises(UsageError, match="compares something else"):
        begin(ask(preset, rounds=4), folder, resume=True)
    other = (folder / "request.json").read_text().replace('"torch": "', '"torch": "0.')
    (folder / "request.json").write_text(other)
    with pytest.raises(UsageError, match="on another machine or with other versions"):
        begin(prepared, folder, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write .*file: Not a directory; .*type --out with a folder"):
        begin(prepared, tmp_path / "file", resume=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="there are other things in it; type a new folder"):
        begin(prepared, tmp_path / "other", resume=False)
