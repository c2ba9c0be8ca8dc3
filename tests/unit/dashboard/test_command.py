"""`dist-alexnet dashboard`, as it is typed."""

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.made_runs import make_run
from tests.unit.cli.calling import call


def test_it_says_where_it_is_and_ends_when_it_is_interrupted(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "a")
    command = [sys.executable, "-X", "importtime", "-m", "dist_alexnet", "dashboard", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a script's background jobs, as these tests may be, ignore it
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        url, _, rest = said.partition(" ")
        assert rest == "shows the runs in runs; Ctrl-C ends it\n"
        assert "react-entry-point" in urllib.request.urlopen(url).read().decode()
        process.send_signal(signal.SIGINT)
        _, imported = process.communicate(timeout=60)
    assert process.returncode == 130
    modules = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "dash" in modules
    assert not modules & {"torch", "ray", "numba", "nvidia"}


def test_what_cannot_be_had_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs", "a")
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, told in (
            (["--runs", "nowhere"], "--runs nowhere: there is no such folder; type the one that holds the folders of runs"),
            (["--runs", "file"], "--runs file: there is no such folder; type the one that holds the folders of runs"),
            (["--runs", "runs/a"], f"--runs runs/a: that is a run; type the folder that it lies in, --runs {tmp_path / 'runs'}"),
            (["--port", port], f"--port {port} is in use on 127.0.0.1; type another, or 0 for one that is free"),
            (
                ["--host", "192.0.2.1", "--port", "0"],
                "--host 192.0.2.1: Cannot assign requested address; type 127.0.0.1, or an address of this machine",
            ),
        ):
            assert call(["dashboard", *words], capsys, monkeypatch) == (2, "", f"error: {told}\n")
        code, _, said = call(["dashboard", "--host", "no such host", "--port", "0"], capsys, monkeypatch)
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith("error: --host no such host: ")
        assert said.endswith("; type 127.0.0.1, or an address of this machine\n")
