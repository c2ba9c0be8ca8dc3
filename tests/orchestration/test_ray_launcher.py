"""Real Ray: one of its own, and one cluster that the other tests share."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from cluster.launcher import RayLauncher
from dist_alexnet.config import LaunchConfig, UsageError
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import TrainingFailed
from tests.orchestration.rank_functions import die, fail_in_rank_1, say_no, sleep
from tests.orchestration.ray_head import REPOSITORY, head

PROMPTLY_S = 30  # two loaded cores; what is meant is: not the 600 s of a collective, and not for ever


def launch(launcher, function, out):
    """Run as the driver does: in a thread that is not the main one. Returns what the run raised."""
    errors = []

    def run():
        try:
            launcher.run(function, RunDirectory(out))
        except BaseException as error:
            errors.append(error)

    RunDirectory(out).create()
    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


DRIVER = """
import json, os, signal, sys, threading
from functools import partial
from pathlib import Path
from cluster.launcher import RayLauncher
from dist_alexnet.config import LaunchConfig
from tests.orchestration.ray_head import REPOSITORY, head
from tests.orchestration.rank_functions import add_up
from tests.orchestration.test_ray_launcher import launch

if __name__ == "__main__":
    out, received = Path(sys.argv[1]), []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    thread, errors = launch(RayLauncher(LaunchConfig(workers=2, device="cpu")), partial(add_up, out, os.getpid()), out)
    thread.join()
    (out / "driver.json").write_text(json.dumps({"signals": received, "errors": [str(error) for error in errors]}))
"""


def test_own_ray_gives_ranks_their_world_and_leaves_the_terminal_the_signals_and_the_folders_alone(tmp_path):
    out, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "HOME": "/dev/null/home",
        "PYTHONPATH": str(REPOSITORY),
    }
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), str(out)]
    driver = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=120)

    assert (driver.returncode, driver.stdout, driver.stderr) == (0, "", "")
    assert json.loads((out / "driver.json").read_text()) == {"signals": [signal.SIGTERM], "errors": []}
    for rank in ("0", "1"):
        seen = json.loads((out / f"rank_{rank}.json").read_text())
        assert seen == {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "total": 3}
    assert sorted(path.name for path in out.iterdir()) == ["driver.json", "logs", "rank_0.json", "rank_1.json"]
    assert not list((out / "logs").iterdir()), "Ray's C++ had nothing to say"
    assert not list(elsewhere.iterdir())


@pytest.fixture(scope="module")
def cluster():
    """A head node with two slots, which asks for a token."""
    with head("--include-dashboard=false") as (address, _):
        host, _, port = address.rpartition(":")
        wait_for(lambda: socket.create_connection((host, int(port))).close())
        wait_for(lambda: RayLauncher(LaunchConfig(workers=1, device="cpu", address=address)).validate())
        yield address


def wait_for(check):
    deadline = time.monotonic() + PROMPTLY_S
    while True:
        try:
            return check()
        except (OSError, UsageError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture
def launcher(cluster):
    return RayLauncher(LaunchConfig(workers=2, device="cpu", address=cluster))


@pytest.mark.parametrize(
    ("how", "message", "killed"),
    [(say_no, "^rank 1 failed: ArithmeticError: no$", False), (die, "^rank 1 died", True)],
)
def test_a_failing_rank_is_named_and_ends_the_run(launcher, tmp_path, capfd, how, message, killed):
    thread, errors = launch(launcher, partial(fail_in_rank_1, how, tmp_path), tmp_path)
    thread.join(2 * PROMPTLY_S)
    assert not thread.is_alive()
    with pytest.raises(TrainingFailed, match=message) as failure:
        raise errors[0]
    assert failure.value.killed == killed
    assert "Traceback" in (tmp_path / "logs" / "ray.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_what_a_rank_refuses_while_it_is_set_up_is_said_as_it_is_and_not_tried_again(cluster):
    """As Ray wraps it. The whole way is tests/orchestration/test_nodes.py's, with a wrong launch.interface."""
    from ray.exceptions import RayTaskError
    from ray.train import ControllerError

    from cluster.fit import _explain

    refused = RayTaskError("_set_environment", "Traceback ...", UsageError("launch.interface=ib7: no such thing; type lo"))
    failed = _explain(ControllerError(refused.as_instanceof_cause()))
    assert (str(failed), failed.again) == ("launch.interface=ib7: no such thing; type lo", False)
    assert _explain(ControllerError(ValueError("no"))).again


def test_kill_ends_ranks_that_wait_for_each_other(launcher, tmp_path):
    thread, errors = launch(launcher, partial(fail_in_rank_1, sleep, tmp_path), tmp_path)
    wait_for((tmp_path / "started_1").stat)
    launcher.kill()
    thread.join(PROMPTLY_S)
    assert not thread.is_alive()
    with pytest.raises(TrainingFailed, match="stopped at once") as failure:
        raise errors[0]
    assert failure.value.killed
    assert not list(tmp_path.glob(".ray-*"))


def test_too_small_a_cluster_is_refused_with_both_numbers(cluster):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UsageError, match=r"^8 ranks need 8 CPU, but the Ray cluster at \S+ has 2 CPU, room for 2; type --gpus 2, "):
        RayLauncher(LaunchConfig(workers=8, device="cpu", address=cluster)).validate()
    launcher = RayLauncher(LaunchConfig(workers=1, device="cuda", address=cluster))
    with pytest.raises(UsageError, match=r"1 ranks need 1 CPU, 1 GPU, but .* has 2 CPU, 0 GPU, room for 0; type --launcher local"):
        launcher.validate()
    assert launcher.cuda_devices() == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"), ("http://127.0.0.1:8265", "is no address of a Ray cluster")],
)
def test_a_wrong_address_is_refused_at_once(address, message, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(UsageError, match=message):
        RayLauncher(LaunchConfig(workers=1, device="cpu", address=address)).validate()
