"""The change that docs/adding_an_operation.md shows, applied to a copy of the program: it is sound, and holds what the page promises."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISED = (
    "tests/ranks/test_memory.py::test_autograd_keeps_what_explain_says[1-2012]",
    "tests/ranks/test_equivalence.py::test_wherever_the_towers_meet[conv4]",
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in ("dist_alexnet", "strategies", "configs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    change = (ROOT / "docs" / "adding_an_operation.md").read_text().split("```diff\n")[1].split("```")[0]
    subprocess.run(["git", "apply", "-"], input=change, text=True, check=True, cwd=folder)
    return folder


def python(copy: Path, *words: str) -> str:
    """What a command printed that imports the copy."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_explain_prints_it(copy: Path) -> None:
    assert Path(python(copy, "-c", "import dist_alexnet; print(dist_alexnet.__file__)")).parents[1] == copy
    layout = json.loads(python(copy, "-m", "dist_alexnet", "explain", "--json"))
    assert [layer["then"] for layer in layout["layers"][:2]] == [["ELU", "LRN", "max-pool"], ["ReLU", "LRN", "max-pool"]]


def test_it_trains_alike_and_its_memory_is_predicted(copy: Path) -> None:
    assert "2 passed" in python(copy, "-m", "pytest", "-q", *PROMISED)


def test_it_is_written_as_the_rest(copy: Path) -> None:
    python(copy, "-m", "ruff", "check", "dist_alexnet/model")
    python(copy, "-m", "ruff", "format", "--check", "dist_alexnet/model")
