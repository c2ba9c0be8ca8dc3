"""The command that goes on with a run, as a person would paste it."""

import sys
from pathlib import Path

import pytest

from dist_alexnet.cli.again import resume_command

TYPED = ["launch.name=local", "launch.device=cpu", "data.path=/a b", "train.lr=0.1", "launch.threads=2"]


def test_it_is_whole_and_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/no/such/bin/dist-alexnet"])
    told = resume_command("it's", Path("my runs"), TYPED)
    name = "'it'\"'\"'s'"
    assert told == (
        f"/no/such/bin/dist-alexnet train --name {name} --resume auto --output-dir 'my runs' launch.device=cpu launch.threads=2"
    )


def test_what_is_the_default_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/dist_alexnet/__main__.py"])
    assert resume_command("a", Path("runs"), []) == f"{sys.executable} -m dist_alexnet train --name a --resume auto"
