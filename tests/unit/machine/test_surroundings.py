"""A machine that lets no ranks run is refused in one line, before anything starts."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.prepare.pool import in_order
from dist_alexnet.launch.settle import make_launcher
from dist_alexnet.machine import surroundings
from dist_alexnet.resolve import resolve
from dist_alexnet.verify.request import prepare_verification


def no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("tempfile.gettempdir", fail)


def no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.context.BaseContext.Lock", fail)


def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64) if which == resource.RLIMIT_NOFILE else (-1, -1))


def little_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (4 * 10**9, -1) if which == resource.RLIMIT_AS else (-1, -1))


def no_such_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo,nope0")


def no_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings.sys, "flags", SimpleNamespace(optimize=2))


def no_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", fail)


LACKING: Mapping[Callable[[pytest.MonkeyPatch], None], str] = {
    no_temporary_folder: "no temporary folder can be written, .* set TMPDIR to",
    no_shared_memory: r"no shared memory can be had \(Read-only file system\); mount a tmpfs",
    few_files: r"may open 64 files here \(ulimit -n\), and needs 128; type ulimit -n 4096",
    little_address_space: r"may map 3.7 GiB here \(ulimit -v\), .* type ulimit -v unlimited",
    no_such_interface: "GLOO_SOCKET_IFNAME=lo,nope0: there is no interface nope0; unset it, or name one of .*lo",
    no_docstrings: r"without docstrings \(-OO, PYTHONOPTIMIZE=2\), which DALI needs; type it without",
    no_loopback: r"does not reach itself at 127.0.0.1 \(Network is unreachable\)",
}


@pytest.mark.parametrize("lack", LACKING, ids=lambda lack: lack.__name__)
@pytest.mark.parametrize("launcher", ["local", "ray"])
def test_every_launcher_refuses_it(lack: Callable[[pytest.MonkeyPatch], None], launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ours = make_launcher(resolve({}, [f"launch.name={launcher}", "launch.workers=2", "launch.device=cpu"]))
    ours.validate()
    lack(monkeypatch)
    with pytest.raises(UsageError, match=LACKING[lack]) as error:
        ours.validate()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lack", [no_temporary_folder, no_shared_memory])
def test_so_do_the_processes_of_the_data_commands(lack: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    lack(monkeypatch)
    with pytest.raises(UsageError, match=LACKING[lack]):
        next(in_order(abs, [(-1,)], processes=2))
    assert next(in_order(abs, [(-1,)], processes=1)) == 1


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_a_number_of_threads_that_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for sound in ("4", "4,2", ""):
        monkeypatch.setenv(name, sound)
        surroundings.check_threads()
        assert os.environ.get(name, "") == sound
    monkeypatch.setenv(name, "abc")
    with pytest.raises(UsageError, match=f"^{name}=abc: must be a number of threads; unset it"):
        surroundings.check_threads()


@pytest.fixture
def open_files() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_limit_that_may_be_raised_is_raised(open_files: int) -> None:
    surroundings.check_ranks()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(4096, open_files), open_files)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "torchrun has started 2 of these .* without torchrun, with --gpus 2;"),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, "mpirun has started 4"),
        ({"PMI_RANK": "3", "PMI_SIZE": "4"}, "mpiexec has started 4"),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"}, "srun has started 8"),
    ],
)
def test_one_of_several_equal_processes_is_refused(environment: Mapping[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        surroundings.check_alone(environment)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "x"},
        {"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"},  # the shell of salloc
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"},  # a batch script
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},  # that of salloc where it is a step
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "PMI_RANK": "0", "PMI_SIZE": "8", "SLURM_PTY_PORT": "1"},  # srun --pty bash
    ],
)
def test_a_shell_within_an_allocation_is_not(environment: Mapping[str, str]) -> None:
    surroundings.check_alone(environment)


@pytest.mark.parametrize("command", ["train", "eval x", "verify"])
def test_the_commands_that_start_ranks_ask(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from dist_alexnet.cli.app import main

    for name, value in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["dist-alexnet", *command.split()])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err.startswith("error: torchrun has started 2 of these")


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    """Of each command, before torch is imported, which would end the process."""
    code = f"import os; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); from dist_alexnet.cli.app import main; main()"
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", code, "train"], cwd=root, capture_output=True, text=True, check=False)
    told = "error: the working directory has been deleted; type cd with a folder that exists, then this again\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


def test_a_verification_asks_before_it_makes_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_such_interface(monkeypatch)
    with pytest.raises(UsageError, match=LACKING[no_such_interface]):
        prepare_verification(None, ["launch.name=local", "launch.device=cpu"], "ddp", "1,2", 1, tmp_path)
    assert not list(tmp_path.iterdir())
