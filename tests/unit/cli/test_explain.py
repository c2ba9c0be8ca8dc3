"""`explain` as a person types it: table, JSON and drawing."""

import json
from pathlib import Path

import pytest

from dist_alexnet import registry
from dist_alexnet.testing.conformance import configure, refusal
from tests.unit.cli.calling import call


def test_explain_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = call(["explain", "--format", "json", "strategy.options.fc8=first"], capsys, monkeypatch)
    described = json.loads(out)
    assert code == 0
    assert sum(layer["forward_bytes_per_image"] for layer in described["layers"]) == 234_496
    assert sum(layer["parameters"] for layer in described["layers"]) == 60_965_224
    assert described["layers"][2]["owners"] == {"0": [0, 192], "1": [192, 384]}


def test_explain_counts_the_bytes_of_the_precision(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Under channel_split activations cross, under ddp gradients of parameters: only the first are of two bytes in bf16."""
    for strategy, share in (("channel_split", 2), ("ddp", 1)):
        asked = ["explain", "--json", "--strategy", strategy, "--gpus", "2"]
        sent = {}
        for precision in ("fp32", "bf16"):
            described = json.loads(call([*asked, "--precision", precision], capsys, monkeypatch)[1])
            assert described["numbers"] == {"fp32": "float32"}.get(precision, precision)
            exchanged = described["exchange_bytes_per_step"]
            sent[precision] = sum(sum(passes.values()) for name, passes in exchanged.items() if name != "loss")
        assert sent["fp32"] == share * sent["bf16"], strategy


@pytest.mark.parametrize(
    ("arguments", "classes"),
    [
        (["-c", "alexnet_2012"], 1000),
        (["-c", "quickstart"], 10),
        (["-c", "quickstart", "data.synth.classes=6"], 6),
        (["-c", "quickstart", "model.classes=7"], 7),
    ],
)
def test_explain_has_the_classes_that_train_will_find(
    arguments: list[str], classes: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = call(["explain", "--json", *arguments], capsys, monkeypatch)
    assert json.loads(out)["layers"][-1]["weight_shape"][0] == classes


def test_explain_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = call(["explain"], capsys, monkeypatch)
    assert "37,752,832" in out
    assert "242,688" in out
    assert "…" not in out


@pytest.mark.parametrize("strategy", registry.names(registry.STRATEGIES))
@pytest.mark.parametrize("ranks", [2, 8, 64, 1024])
def test_every_layout_fits(strategy: str, ranks: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = next(served for served in (ranks, 8, 2, 1) if not refusal(configure(strategy, batch=1024), served))
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(["explain", "--strategy", strategy, "--gpus", str(ranks), "-b", "1024"], capsys, monkeypatch)
    assert code == 0
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) < 100


def test_explain_draws_to_stdout_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = call(["explain", "--format", "svg"], capsys, monkeypatch)
    assert out.startswith("<svg ")
    code, nothing, _ = call(["explain", "--format", "svg", "--out", str(tmp_path / "towers.svg")], capsys, monkeypatch)
    assert (code, nothing) == (0, "")
    assert (tmp_path / "towers.svg").read_text() == out
    code, _, error = call(["explain", "--format", "svg", "--out", str(tmp_path / "none" / "a.svg")], capsys, monkeypatch)
    assert code == 2
    assert "No such file or directory" in error
    code, _, error = call(["explain", "--out", str(tmp_path / "table")], capsys, monkeypatch)
    assert code == 2
    assert "type --format svg" in error


def test_json_says_of_each_rank_what_the_table_shows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = call(["explain", "--json", "--strategy", "hybrid", "--gpus", "4"], capsys, monkeypatch)
    described = json.loads(out)
    assert [group["ranks"] for group in described["groups"]] == [[0, 3], [1, 2]], "the first and the last write checkpoints"
    assert [bool(group["resident"]["copies"]) for group in described["groups"]] == [True, False]
    group = described["groups"][0]
    assert group["memory"]["total"] == sum(bytes for kind, bytes in group["memory"].items() if kind != "total")
    assert described["layers"][2]["exchange"] == {
        "joins": "channels",
        "axis": "tower",
        "reader": None,
        "forward": "all-gather",
        "backward": "reduce-scatter",
    }
    assert described["layers"][2]["forward_bytes"] == [64 * 86_528] * 4
    assert group["collectives"][-1] == {
        "name": "gradients",
        "kind": "all-reduce",
        "direction": "backward",
        "axes": ["data"],
        "bytes": 60_965_224 * 4 / 2,
        "messages": 1,
    }
