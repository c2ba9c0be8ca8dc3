"""What a run writes goes to colleagues and bug reports: no secret is in it, whoever wrote it down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.checkpoints.resume import changes
from dist_alexnet.checkpoints.state import read_state, write_state
from dist_alexnet.config import SynthConfig, UsageError
from dist_alexnet.data.synth.synth import write
from dist_alexnet.redact import hidden, tree_without_secrets, without_secrets, words_without_secrets
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.runs.metrics import MetricsFile
from dist_alexnet.runs.records import RunStarted
from dist_alexnet.settings.presets import preset_names, read_preset
from tests.unit.asking import TINY, ask, write_checkpoint

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["train", "--name", "a", "train.lr=0.02"], ["train", "--name", "a", "train.lr=0.02"]),
        (["--data", "s3://user:pass@host/set"], ["--data", "s3://***@host/set"]),
        (["s3://host/set?access_key=AB&secret_key=CD&region=x"], ["s3://host/set?access_key=***&secret_key=***&region=x"]),
        (["https://host/set?sig=x&X-Amz-Signature=abc&part=1"], ["https://host/set?sig=***&X-Amz-Signature=***&part=1"]),
        (["strategy.options.api_key=abc"], ["strategy.options.api_key=***"]),
        (["plugin.AUTH_TOKEN=abc def"], ["plugin.AUTH_TOKEN=***"]),
        (["--db-password", "abc", "--name", "b"], ["--db-password", "***", "--name", "b"]),
        (["--token=abc", "--key", "x"], ["--token=***", "--key", "***"]),
        (["--token", "--db-password"], ["--token", "***"]),
        (
            ["--token-file", "/run/secrets/x", "observers.hub.token_path=a"],
            ["--token-file", "/run/secrets/x", "observers.hub.token_path=a"],
        ),
        (["data.path=/data/keys", "type key=value"], ["data.path=/data/keys", "type key=value"]),
        (["observers.hub={url: x, token: abc}"], ["observers.hub={url: x, token: ***}"]),
    ],
)
def test_a_command_line_is_kept_without_its_secrets(typed: list[str], kept: list[str]) -> None:
    assert words_without_secrets(typed) == kept


def test_texts_and_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", SECRET)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/token")
    assert without_secrets(f"403 for Bearer {SECRET} at /home/me/token") == "403 for Bearer *** at /home/me/token"
    assert without_secrets("{'password': 'a b', \"token\": \"c\"}") == "{'password': '*** b', \"token\": \"***\"}"
    tree = {"a": {"access_token": "x", "lr": 1.0, "token": None}, "b": ["s3://u:p@h/x", f"x{SECRET}"]}
    told = tree_without_secrets(tree)
    assert told == {"a": {"access_token": "***", "lr": 1.0, "token": None}, "b": ["s3://***@h/x", "x***"]}
    assert list(hidden(told)) == ["a.access_token", "b", "b"]


def test_everything_that_a_run_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.yaml, env.json, state.json, metrics.jsonl and how a rank failed; whoever resumes is told what to type again."""
    images = tmp_path / SECRET
    write(images, SynthConfig(classes=2, train=40, val=8))
    monkeypatch.setenv("HUB_TOKEN", SECRET)
    monkeypatch.setattr("sys.argv", ["dist-alexnet", "train", "--hub-token", "abcd1234", f"data.path={images}"])
    (tmp_path / "tiny.yaml").write_text(json.dumps({**TINY, "data": {"store_size": 40}}))
    prepared = ask(tmp_path, str(tmp_path / "tiny.yaml"), f"data.path={images}", "train.max_steps=9")
    directory, checkpoint = prepared.job.directory, write_checkpoint(prepared, 7)
    state = read_state(checkpoint)
    write_state(checkpoint, replace(state, config={**state.config, "data": {**state.config["data"], "path": str(images)}}))
    MetricsFile(directory.metrics).write(RunStarted(step=0, epoch=0, total_epochs=1, total_steps=1, options={"token": "abcd1234"}))
    RankFailure.record(directory, 0, ValueError(f"refused: {SECRET}"))
    for path in directory.path.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert SECRET.encode() not in content, path
        assert b"abcd1234" not in content, path
    assert "path: " in directory.config.read_text()
    assert changes(prepared.job.config, checkpoint) == []
    with pytest.raises(UsageError, match="^data.path holds a secret, which no file of the run has; type it again, as in data.path=..."):
        ask(tmp_path, None, resume="auto")
    ask(tmp_path, None, f"data.path={images}", resume="auto")


def test_nothing_changes_where_there_is_no_secret() -> None:
    config = resolve({}, ["launch.name=ray", "launch.address=s3://u:p@h:1"])
    assert "u:p" not in to_yaml(config, secrets=False)
    assert "u:p" in to_yaml(config)
    for name in preset_names():
        assert to_yaml(resolve(read_preset(name), [])) == to_yaml(resolve(read_preset(name), []), secrets=False)
