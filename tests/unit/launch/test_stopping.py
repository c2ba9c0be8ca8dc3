"""A run that is told to stop, and told again, whatever its launcher does."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

RUN = """
import multiprocessing, os, sys, threading, time
from pathlib import Path
from dist_alexnet.launch.driver import driver, signals
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from dist_alexnet.launch.launcher import Launcher

{launcher}

    def cuda_devices(self): return 0

signals.KILL_WAIT_S = 1.0
directory = RunDirectory(Path(sys.argv[1]))
directory.create()
try:
    driver.execute(lambda: None, directory, Fake(None), lambda line: print(line, flush=True))
except TrainingFailed as error:
    print(error)
    sys.exit(error.exit_code)
"""

DEAF = """
def stay(parent):
    os.closerange(0, 3)
    while os.getppid() == parent: time.sleep(0.1)

class Fake(Launcher):
    def run(self, function, directory):
        multiprocessing.get_context("fork").Process(target=stay, args=(os.getpid(),)).start()  # the interpreter would wait for it
        print("up", flush=True)
        threading.Event().wait()

    def kill(self): print("kill", flush=True)
"""

LATE = """
class Fake(Launcher):
    started = ended = False

    def run(self, function, directory):
        print("up", flush=True)
        time.sleep(1.5)
        self.started = True
        while not self.ended: time.sleep(0.05)

    def kill(self): self.ended = self.started
"""


def start(tmp_path: Path, launcher: str) -> "subprocess.Popen[str]":
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN.format(launcher=launcher)))
    command = [sys.executable, str(script), str(tmp_path / "run")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path.cwd())
    assert run.stdout
    while (line := run.stdout.readline()) != "up\n":
        assert line, "it ended before it was up"
    return run


def stop_twice(run: "subprocess.Popen[str]") -> str:
    run.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    run.send_signal(signal.SIGTERM)
    try:
        return run.communicate(timeout=30)[0]
    finally:
        run.kill()


@pytest.mark.parametrize("launcher", [DEAF, LATE], ids=["never returns", "starts the ranks after it was told to kill them"])
def test_a_second_signal_ends_the_run_whatever_the_launcher_does(tmp_path: Path, launcher: str) -> None:
    run = start(tmp_path, launcher)
    output = stop_twice(run)
    assert run.returncode == 128 + signal.SIGTERM, output
    assert "stopped at once; --resume auto goes back to the last checkpoint" in output


def test_a_signal_that_is_sent_twice_asks_once(tmp_path: Path) -> None:
    """`timeout` signals the process and then its group."""
    run = start(tmp_path, DEAF)
    for _ in range(2):
        run.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    with pytest.raises(subprocess.TimeoutExpired):
        run.communicate(timeout=2)
    run.kill()
    assert "kill" not in run.communicate(timeout=10)[0]
