"""What every process here needs that starts ranks, whether there is a GPU or not."""

import os
import platform
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dist_alexnet.config import UsageError
from dist_alexnet.doctor.checks import Asked, Finding, in_words
from dist_alexnet.machine.cores import available_cores, share_of_cores
from dist_alexnet.machine.memory import free_memory, memory_limit
from dist_alexnet.machine.surroundings import OPEN_FILES, check_folder, check_ranks, check_threads
from dist_alexnet.telemetry.environment import describe_processor

RAY_SHM = 100 * 2**20  # under it Ray uses its folder, which is slower
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORTS_PER_RANK = 50  # Ray's processes and gloo's pairs, generously


def machine(asked: Asked) -> Iterator[Finding]:
    """Cores, memory, limits, temporary folder, loopback, ports."""
    check_folder()
    cores = available_cores()
    said = "" if cores == os.cpu_count() else f", {cores} for this process"
    yield Finding(f"{describe_processor() or platform.machine()}, {os.cpu_count()} core(s){said}", numbers={"cores": cores})
    yield _memory()
    yield _shared_memory()
    yield _open_files()
    temporary = tempfile.gettempdir()
    free = shutil.disk_usage(temporary).free
    yield Finding(f"temporary folder {temporary}: {in_words(free)} free", numbers={"temporary_bytes": free})
    yield _ports(asked)
    for what, look in (
        (f"threads: {share_of_cores(asked.config.launch.workers or 1)} for each rank", check_threads),
        ("processes start, and reach each other at 127.0.0.1", check_ranks),
    ):
        try:
            look()
            yield Finding(what)
        except UsageError as error:
            yield Finding(what.partition(":")[0], str(error))


def _memory() -> Finding:
    free, limit = free_memory(), memory_limit()
    if free is None:
        return Finding("memory: the system does not say")
    of = f" (the control group allows {in_words(limit)})" if limit is not None else ""
    return Finding(
        f"memory: {in_words(free)} free{of}", numbers={"memory_free_bytes": free} | ({"memory_limit_bytes": limit} if limit else {})
    )


def _shared_memory() -> Finding:
    try:
        usage = shutil.disk_usage("/dev/shm")
    except OSError as error:
        return Finding("shared memory", f"/dev/shm: {error.strerror}; mount a tmpfs that you can write to there")
    small = ", too little for Ray, which then uses its folder" if usage.free < RAY_SHM else ""
    said = f"shared memory: {in_words(usage.free)} free of {in_words(usage.total)}{small}"
    return Finding(said, numbers={"shm_free_bytes": usage.free})


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    now, most = ("unlimited" if limit < 0 else f"{limit:,}" for limit in (soft, hard))
    raised = f", raised up to {most}" if most != now else ""
    return Finding(f"open files: {now}{raised}; {OPEN_FILES} are needed", numbers={"open_files": hard})


def _ports(asked: Asked) -> Finding:
    """Whether as many sockets as a run may need can be bound at once."""
    wanted = PORTS_PER_RANK * (asked.config.launch.workers or 1)
    held: list[socket.socket] = []
    try:
        for _ in range(wanted):
            held.append(socket.create_server(("127.0.0.1", 0)))
    except OSError as error:
        return Finding(
            f"free ports: {len(held)} of {wanted}",
            f"{error.strerror}; raise net.ipv4.ip_local_port_range or ulimit -n, or end what holds the ports (ss -tan)",
        )
    finally:
        for each in held:
            each.close()
    span = f" of {'-'.join(PORT_RANGE.read_text().split())}" if PORT_RANGE.exists() else ""
    return Finding(f"free ports: {wanted}{span} could be had at once", numbers={"ports": wanted})
