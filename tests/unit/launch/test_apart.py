"""The process that Ray's side of a run is, without Ray."""

import subprocess
from pathlib import Path

from cluster.apart import Apart


def test_what_has_ended_is_not_killed_again_under_a_number_that_is_somebody_elses_by_then(tmp_path: Path) -> None:
    """A driver that kills asks for it again and again. Another process has the number, as it may once the first is buried."""
    apart = Apart(id, tmp_path / "log")
    assert list(apart.told()) == []
    apart.end()
    assert not (tmp_path / "log").exists(), "nothing was said"
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        children = Path(f"/proc/{other.pid}/task/{other.pid}/children")
        (child,) = children.read_text().split()
        apart._process._popen.pid = other.pid
        apart.end()
        assert children.read_text().split() == [child]
        subprocess.run(["kill", child], check=True)
