"""Records as lines: what is written is read back, by this version and, where a later one adds to it, by that."""

import json

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.runs.records import KINDS, VERSION, CheckpointSaved, Steps, Validated, parse

STEPS = Steps(step=20, epoch=0.5, lr=0.01, loss=None, steps=20, step_seconds=0.1, phase_seconds={"forward": 0.1}, attempt=2, time=3.5)


@pytest.mark.parametrize("record", [STEPS, CheckpointSaved(step=1, path="step-1", seconds=0.5, bytes=10)], ids=["steps", "checkpoint"])
def test_what_is_written_is_read_back(record: Steps | CheckpointSaved) -> None:
    line = json.loads(to_json(record.as_dict()))
    assert (line["kind"], line["version"]) == (record.kind, VERSION)
    assert parse(line) == record
    assert parse({**line, "new": "in a later program"}) == record


def test_kinds_have_names_of_their_own() -> None:
    known = ["stage", "start", "train", "val", "checkpoint", "checkpoint_failed", "records_late", "bad_image", "restart", "end"]
    assert list(KINDS) == known


def test_lines_from_before_there_were_versions_are_read() -> None:
    old = {
        "kind": "val",
        "attempt": 0,
        "time": 1.0,
        "step": 3,
        "epoch": 1.0,
        "top1_error": 0.5,
        "top5_error": 0.25,
        "loss": 2.0,
        "images": 8,
    }
    assert parse(old) == Validated(step=3, epoch=1.0, top1_error=0.5, top5_error=0.25, loss=2.0, images=8, time=1.0)


def test_what_is_no_record_is_none_and_a_later_version_is_refused() -> None:
    assert parse({}) is None
    assert parse({"kind": ["train"]}) is None
    assert parse({"kind": "train", "step": 1}) is None
    assert parse({**STEPS.as_dict(), "version": "2"}) is None
    with pytest.raises(UsageError, match="a record has version 3, and this dist-alexnet knows up to 2; install the one that wrote it"):
        parse({**STEPS.as_dict(), "version": 3})
