"""The program, called as a person types it, in this process."""

import sys

import pytest


def call(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program, run in this process."""
    from dist_alexnet.cli.app import main

    monkeypatch.setattr(sys, "argv", ["dist-alexnet", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    code = exit_.value.code
    captured = capsys.readouterr()
    return code if isinstance(code, int) else 0, captured.out, captured.err
