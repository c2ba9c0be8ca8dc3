"""A process has fewer cores than its machine in a container and in a batch system."""

from pathlib import Path

import pytest

from dist_alexnet.machine import cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


V2, V1 = "0::/job/step\n", "4:memory:/docker/7\n3:cpu,cpuacct:/docker/7\n0::/\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),  # no control groups, or no Linux
        ({"proc/self/cgroup": V2}, 8),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/job/step/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/job/step/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/job/step/cpu.max": "max 100000", "sys/fs/cgroup/job/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),  # docker run --cpus 2.5
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),  # more than there are
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/job/step/cpu.max": "nonsense"}, 8),
        # Version 1. A container sees its own group as the topmost, under a name that is of the world outside.
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_the_cores_of_a_process_are_those_of_its_control_groups(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert cores.available_cores(write(tmp_path, files)) == expected


def test_and_those_of_its_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5}, raising=False)  # as in `taskset` or a batch system
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert cores.available_cores(tmp_path) == 2


def test_processes_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: 2)
    assert [cores.share_of_cores(processes) for processes in (1, 2, 3)] == [2, 1, 1]
