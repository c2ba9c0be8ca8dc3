"""As in `docker run --user 12345`: no entry in /etc/passwd, no home, and an install tree that cannot be written."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TINY

USER = "12345"
CHANGE = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
READ_ALL = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # Python may lie in a home that is closed to others


def works(command: list[str]) -> bool:
    try:
        return subprocess.run([*command, sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def as_somebody_else() -> list[str]:
    for command in ([*CHANGE, *READ_ALL], CHANGE):
        if os.getuid() == 0 and works(command):
            return command
    pytest.skip("needs root, setpriv, and a Python that others can run")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Theirs, and all that they can write."""
    theirs = Path(tempfile.mkdtemp(prefix="other-"))
    (theirs / "tiny.yaml").write_text(TINY)
    os.chown(theirs, int(USER), int(USER))
    yield theirs
    shutil.rmtree(theirs)


@pytest.mark.parametrize("launcher", ["local", "ray"])
def test_a_user_without_home_and_rights_trains(launcher: str, as_somebody_else: list[str], folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith(("RAY_", "NUMBA_", "XDG_"))}
    environment = {**kept, "TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    typed = ["train", "-c", "tiny.yaml", "--launcher", launcher, "--name", launcher, "--max-steps", "1"]
    command = [*as_somebody_else, sys.executable, "-m", "dist_alexnet", *typed]
    trained = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    first, *drawing = trained.stderr.splitlines()
    assert (trained.returncode, first, set(drawing) - {"drawing 118 images"}) == (0, "channel_split, tiny.yaml: loading PyTorch", set())
    logs = folder / "runs" / launcher / "logs"
    assert {path.name for path in logs.iterdir()} == {"rank_0.log", "rank_1.log"}
    assert not list(folder.glob("ray-*"))
    assert list(folder.glob(f"dist-alexnet-{USER}/*/*.nbi")), "the compiled loops are kept"
