"""Plug-ins are found by name, and errors name what there is."""

import subprocess
import sys
from pathlib import Path

import pytest

from dist_alexnet import registry
from dist_alexnet.config import UsageError


def install(folder: Path, package: str, entry_points: str) -> None:
    """A distribution as pip would leave it."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_our_own_are_installed() -> None:
    assert {"single", "ddp", "channel_split"} <= set(registry.names(registry.STRATEGIES))
    assert {"local", "ray"} <= set(registry.names(registry.LAUNCHERS))


@pytest.mark.parametrize("name", registry.names(registry.STRATEGIES))
def test_a_strategy_is_registered_under_its_name(name: str) -> None:
    assert registry.load(registry.STRATEGIES, name).name == name


def test_packages_resolve_to_this_project() -> None:
    """Packages called `strategies` and `cluster` exist elsewhere too."""
    import cluster
    import strategies

    root = Path(__file__).parents[2]
    assert Path(strategies.__file__).parent == root / "strategies"
    assert Path(cluster.__file__).parent == root / "cluster"


def test_a_third_party_strategy_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_strategy.py").write_text("class Theirs: name = 'theirs'\n")
    install(tmp_path, "theirs", "[dist_alexnet.strategies]\ntheirs = their_strategy:Theirs\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.load(registry.STRATEGIES, "theirs").__name__ == "Theirs"


def test_a_broken_plug_in_is_named_and_the_others_still_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "broken", "[dist_alexnet.strategies]\nbroken = no_such_module:Nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"strategy 'broken' \(no_such_module:Nothing\) does not load: ModuleNotFoundError"):
        registry.load(registry.STRATEGIES, "broken")
    assert registry.load(registry.STRATEGIES, "single").name == "single"


def test_two_packages_cannot_claim_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "impostor", "[dist_alexnet.strategies]\nsingle = impostor:Single\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="strategy 'single' is claimed by impostor:Single and strategies.single:Single"):
        registry.load(registry.STRATEGIES, "single")


def test_nothing_installed_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "installed", lambda group: [])
    with pytest.raises(UsageError, match=r"no launcher is installed.*type pip install -e \."):
        registry.load(registry.LAUNCHERS, "local")


def test_ours_are_found_beside_folders_of_the_same_names(tmp_path: Path) -> None:
    """`python -m` puts the working directory first, where somebody else's strategies, cluster and configs may lie."""
    for name in ("strategies", "cluster", "configs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('somebody else')")
    (tmp_path / "configs" / "theirs.yaml").touch()
    command = [sys.executable, "-m", "dist_alexnet", "config", "show", "-c", "quickstart", "strategy.options.fc8=first"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "# presets: alexnet_2012, quickstart\n" in answer.stdout
    assert "    fc8: first\n" in answer.stdout


def test_the_working_directory_is_searched_last_unless_we_come_from_it() -> None:
    for path, searched in (
        (["/here", "/lib"], ["/lib", str(registry.ROOT), "/here"]),
        (["/here", str(registry.ROOT), "/lib"], [str(registry.ROOT), "/lib", "/here"]),
        ([str(registry.ROOT), "/lib"], [str(registry.ROOT), "/lib"]),
    ):
        registry.search_own_first(path)
        assert path == searched
