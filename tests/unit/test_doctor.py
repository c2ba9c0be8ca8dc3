"""Checks that are installed, ours and anybody's: what is wrong is said, and one that fails costs no other."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.calling import call
from tests.unit.cli.test_plug_ins import install

THEIRS = """
from dist_alexnet.config import UsageError
from dist_alexnet.doctor.checks import Finding


def disk(): return [Finding("20 GB are free"), Finding("mount", "it is read-only; mount it with rw")]


def breaks():
    yield Finding("first")
    raise ZeroDivisionError("oops")


def refuses(): raise UsageError("no such switch; plug one in")
"""


def findings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Exit code, and by check what was looked at and what is wrong."""
    code, out, err = call(["doctor", "--json"], capsys, monkeypatch)
    assert err == ""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(out):
        found.setdefault(each["check"], []).append((each["what"], each["trouble"]))
    return code, found


def test_where_nothing_is_wrong_it_says_what_it_looked_at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, found = findings(capsys, monkeypatch)
    assert (code, list(found)) == (0, ["libraries", "machine", "ray"])
    assert any(what.startswith("torch 2.") for what, _ in found["libraries"])
    assert len(found["machine"]) == 3


def test_what_is_wrong_is_said_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    points = "disk = their_checks:disk\nbreaks = their_checks:breaks\nrefuses = their_checks:refuses\ngone = no_such_module:x"
    install(tmp_path, "their_checks", THEIRS, points, monkeypatch, "checks")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    code, found = findings(capsys, monkeypatch)
    assert code == 1
    assert found["disk"] == [("20 GB are free", ""), ("mount", "it is read-only; mount it with rw")]
    assert found["breaks"] == [("first", ""), ("breaks", "the check itself failed: ZeroDivisionError: oops")]
    assert found["refuses"] == [("refuses", "no such switch; plug one in")]
    assert "ModuleNotFoundError" in found["gone"][0][1]
    assert "no Ray cluster answers at 127.0.0.1:1" in found["ray"][-1][1]
    code, out, _ = call(["doctor"], capsys, monkeypatch)
    assert (code, "TROUBLE disk: mount: it is read-only; mount it with rw\n" in out, "fine    disk: 20 GB are free\n" in out) == (
        1,
        True,
        True,
    )
