"""Temporary folders of processes that were killed go; those of living ones stay."""

import subprocess
import sys
from pathlib import Path

from dist_alexnet.runs.scratch import scratch

HOLD = """
import sys, time
from pathlib import Path
from dist_alexnet.runs.scratch import scratch
with scratch("x-", Path(sys.argv[1])) as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    (tmp_path / "x-of-somebody-else").mkdir()
    killed, living = (subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(2))
    assert killed.stdout
    assert living.stdout
    folders = [Path(process.stdout.readline().strip()) for process in (killed, living) if process.stdout]
    try:
        killed.kill()
        killed.communicate()
        with scratch("x-", tmp_path) as mine:
            assert not folders[0].exists()
            assert (folders[1] / "file").exists()
        assert not mine.exists()
        assert (tmp_path / "x-of-somebody-else").exists()
    finally:
        living.kill()
        living.communicate()
