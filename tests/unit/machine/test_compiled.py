"""Where compiled loops are kept; and that nothing fails where they cannot be."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dist_alexnet.machine import compiled as module
from dist_alexnet.machine.compiled import compiled
from tests.unit.full_disk import full_disk


def double(numbers: Any) -> None:
    for i in range(len(numbers)):
        numbers[i] *= 2


def run() -> Any:
    """Compile, run and check; the dispatcher."""
    dispatcher: Any = compiled("void(int64[::1])")(double)
    numbers = np.arange(3)
    dispatcher(numbers)
    assert numbers.tolist() == [0, 2, 4]
    return dispatcher


def hits(dispatcher: Any) -> int:
    return sum(dispatcher.stats.cache_hits.values())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The install tree cannot be written, home and temporary folder can."""
    monkeypatch.setattr(module._Places, "_locator_classes", [module._OwnFolder])
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    return tmp_path / "home"


@pytest.fixture
def homeless(home: Path) -> Path:
    """Only the temporary folder can be written."""
    home.rmdir()
    return home.with_name("tmp")


def test_in_the_home_it_is_found_again(home: Path) -> None:
    assert (hits(run()), hits(run())) == (0, 1)
    assert list((home / ".cache" / "dist-alexnet").rglob("*.nbi"))


def test_without_a_home_in_a_folder_that_nobody_else_can_read(homeless: Path) -> None:
    assert (hits(run()), hits(run())) == (0, 1)
    (folder,) = homeless.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not homeless.with_name("home").exists()


def others_can_write(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def link(folder: Path) -> None:
    folder.with_name("elsewhere").mkdir(mode=0o700)
    folder.symlink_to("elsewhere")


def file(folder: Path) -> None:
    folder.touch()


@pytest.mark.parametrize("made", [others_can_write, link, file])
def test_what_somebody_else_may_have_put_there_is_not_used(homeless: Path, made: Callable[[Path], None]) -> None:
    run()
    (folder,) = homeless.iterdir()
    folder.rename(homeless.with_name("right"))
    made(folder)
    assert hits(run()) == 0
    assert not list(homeless.rglob("*.nb?"))


def test_where_nothing_can_be_written_nothing_is_kept(homeless: Path) -> None:
    homeless.rmdir()
    homeless.touch()
    assert (hits(run()), hits(run())) == (0, 0)


def test_a_file_that_a_crash_cut_short_is_made_anew(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    run()
    (index,) = home.rglob("*.nbi")
    index.write_bytes(b"")
    assert (hits(run()), hits(run())) == (0, 1)
    assert "is made anew" in caplog.text


@pytest.mark.usefixtures("home")
def test_a_full_disk_costs_time_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(module.logger, "warning", lambda *line: told.append(line[0]))
    with full_disk():
        dispatcher = run()
    assert hits(dispatcher) == 0
    assert "cannot be kept" in told[0]


def test_the_loops_of_the_program_are_kept_so() -> None:
    """Not by numba's own `cache=True`, which ends the program where there is no place."""
    from dist_alexnet.data.load import cpu_crop
    from dist_alexnet.data.order import sampler
    from dist_alexnet.data.prepare import moments
    from dist_alexnet.model.block.kernels import kernels

    loops: list[Any] = [*kernels("float32"), *kernels("uint16"), cpu_crop._compiled(8), moments._add, sampler._swap_or_not]
    assert all(isinstance(loop._cache, module._Cache) for loop in loops)
