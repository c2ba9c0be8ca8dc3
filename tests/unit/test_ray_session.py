"""What a Ray of our own takes from its surroundings. Nothing is started."""

import os
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from cluster import session
from cluster.stderr import errors_to
from dist_alexnet.config import UsageError


@pytest.mark.parametrize("unusable", ["/no/such/folder", "LONG"])
@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_folder_that_ray_cannot_use_is_not_used(unusable: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    folder = unusable.replace("LONG", str(long))
    if variable == "TMPDIR":
        monkeypatch.setattr("tempfile.tempdir", folder)
    else:
        monkeypatch.setenv(variable, folder)
    assert session.place_for_sockets() == "/tmp"


def test_the_longest_socket_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *arguments: True)
    for length in (28, 29):
        monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (length - 1))
        assert (len(session.place_for_sockets()) == length) == (length == 28)


def test_where_no_folder_serves_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/no/such/folder")
    monkeypatch.setattr("os.access", lambda *arguments: False)
    with pytest.raises(UsageError, match="path of at most 28 bytes, which /no/such/folder, /tmp is not; set RAY_TMPDIR"):
        session.place_for_sockets()


def test_a_user_whom_the_machine_does_not_know_gets_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train expands ~ while it is imported, and raises where that cannot be."""
    monkeypatch.setenv("HOME", "~")
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "0")
    session.prepare()
    assert (os.environ["HOME"], os.environ["RAY_TRAIN_V2_ENABLED"]) == ("/", "1")


def test_lines_of_libraries_go_to_the_log_and_ours_do_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "ray.log"
    before = sys.stderr
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - pytest's own is no terminal
    try:
        with errors_to(log):
            os.write(2, b"[2026-11-25 10:48:20,305 E 1 1] core_worker.cc:609: info\n")
            print("ours", file=sys.stderr)
        os.write(2, b"after\n")
    finally:
        sys.stderr = before
    assert capfd.readouterr().err == "ours\nafter\n"
    assert log.read_text().endswith("info\n")


def test_a_log_in_which_nothing_is_is_not_left(tmp_path: Path) -> None:
    with errors_to(tmp_path / "ray.log"):
        pass
    assert not list(tmp_path.iterdir())


NO_TOKEN = "RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /no/token. Ensure that the token ... `RAY_AUTH_TOKEN` ..."
OTHER_VERSION = "Version mismatch: The cluster was started with:\n    Ray: 2.59.0\nThis process was started with:\n    Ray: 2.60.0\n"


@pytest.mark.parametrize(
    ("error", "message", "told"),
    [
        ("ray.exceptions:AuthenticationError", NO_TOKEN, "is empty: /no/token; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH"),
        ("builtins:RuntimeError", OTHER_VERSION, "started with: Ray: 2.59.0 This process was started with: Ray: 2.60.0; install the same"),
        ("builtins:ValueError", "no\nmore", "cannot join the Ray cluster at auto: no$"),
    ],
)
def test_why_a_cluster_cannot_be_joined_is_one_line(error: str, message: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise resolve_name(error)(message)

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", refuse)
    with pytest.raises(UsageError, match=told) as raised:
        session.connect("auto")
    assert "\n" not in str(raised.value)
