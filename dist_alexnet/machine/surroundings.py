"""What a process needs of its machine before it starts others. Each check takes less than a millisecond.

Without them the libraries below wait for minutes, end in a traceback, or print what only their authors can read.
"""

import os
import re
import resource
import socket
import sys
import tempfile
from collections.abc import Mapping

from dist_alexnet.config import UsageError
from dist_alexnet.machine.cores import VARIABLES

ADDRESS_SPACE_GIB = 11  # 7 are too few for a rank of a tiny network under Ray, most of it never touched (torch 2.14, Ray 2.60, 2026-11)
OPEN_FILES, GOOD_OPEN_FILES = 128, 4096  # with 2 ranks 64 are too few for Ray, and 200 are enough; each further rank takes a few

# Who starts one process per rank: the variables that tell such a process its number, and how many there are.
STARTERS = {
    "torchrun": ("RANK", "WORLD_SIZE"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "mpiexec": ("PMI_RANK", "PMI_SIZE"),
    # Not SLURM_NTASKS: that is of the whole allocation, and set in batch scripts and in the shell of salloc, which are one process each.
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
}


def check_alone(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to be one of several equal processes: each would start all the ranks.

    Raises:
        UsageError: somebody else's launcher has started us.
    """
    if "SLURM_PTY_PORT" in environment:  # `srun --pty bash`: the first of its tasks is a person's shell
        return
    for starter, (number, count) in STARTERS.items():
        size = environment.get(count, "")
        if number in environment and size.isdecimal() and int(size) > 1:
            raise UsageError(
                f"{starter} has started {size} of these ({number}={environment[number]}, {count}={size}), and each would start all ranks; "
                f"type dist-alexnet without {starter}, with --gpus {size}; if that is not so, unset {number}"
            )


def check_folder() -> None:
    """Refuse to work nowhere (UsageError): torch would end this process while it is imported."""
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the working directory has been deleted; type cd with a folder that exists, then this again") from None


def check_threads() -> None:
    """Refuse numbers of threads that are none (UsageError): libraries take them without a word, or print a traceback."""
    for name in VARIABLES:
        if not (value := os.environ.get(name, "1")):
            del os.environ[name]
        elif not re.fullmatch(r"[0-9]+(,[0-9]+)*", value):  # OpenMP takes one for each level
            raise UsageError(f"{name}={value}: must be a number of threads; unset it, or set it to one")


def check_docstrings() -> None:
    """Refuse a Python that has thrown them away (UsageError): DALI adds to its own, and cannot be imported."""
    if sys.flags.optimize > 1:
        raise UsageError("Python runs without docstrings (-OO, PYTHONOPTIMIZE=2), which DALI needs; type it without, or with -O")


def check_processes() -> None:
    """Refuse where processes cannot be started, or not talk to each other through this machine's memory.

    Raises:
        UsageError: no temporary folder, no shared memory.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise UsageError("no temporary folder can be written, neither TMPDIR nor /tmp; set TMPDIR to a folder that can be") from None
    import multiprocessing  # here, for `--help` does not need it

    from dist_alexnet.machine.signals import blocked

    try:
        with blocked():  # the first of them starts multiprocessing's tracker
            multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        raise UsageError(f"no shared memory can be had ({error.strerror}); mount a tmpfs that you can write to on /dev/shm") from None


def check_ranks() -> None:
    """Refuse where ranks could not run on this machine, or not reach each other.

    Raises:
        UsageError: some of the above, a limit of `ulimit`, no such interface, or no loopback.
    """
    check_docstrings()
    _check_limits()  # first: what follows opens files
    check_processes()
    _check_interface(os.environ.get("GLOO_SOCKET_IFNAME", ""))
    _check_loopback()


def _check_limits() -> None:
    """`ulimit -n` is raised as far as it may be; `ulimit -v` stands."""
    files, most = (limit if limit >= 0 else GOOD_OPEN_FILES for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if most < OPEN_FILES:
        raise UsageError(f"a process may open {most} files here (ulimit -n), and needs {OPEN_FILES}; type ulimit -n {GOOD_OPEN_FILES}")
    if files < min(GOOD_OPEN_FILES, most):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(GOOD_OPEN_FILES, most), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= space < ADDRESS_SPACE_GIB * 2**30:
        raise UsageError(
            f"a process may map {space / 2**30:.1f} GiB here (ulimit -v), and its libraries alone take up to {ADDRESS_SPACE_GIB}; "
            "type ulimit -v unlimited, and limit the memory of the job or the container instead"
        )


def _check_interface(names: str) -> None:
    there = [name for _, name in socket.if_nameindex()]
    for name in filter(None, names.split(",")):
        if name not in there:
            raise UsageError(f"GLOO_SOCKET_IFNAME={names}: there is no interface {name}; unset it, or name one of {', '.join(there)}")


def _check_loopback() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=1).close()
    except OSError as error:
        raise UsageError(f"this machine does not reach itself at 127.0.0.1 ({error.strerror or error}); type ip link set lo up") from None
