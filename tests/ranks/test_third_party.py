"""The strategy that docs/adding_a_strategy.md shows, installed as somebody's package, passes the suite that the page recommends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dist_alexnet.testing.conformance import StrategyConformance

DOCS = Path(__file__).parents[2] / "docs" / "adding_a_strategy.md"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the package of the page."""
    text, folder = DOCS.read_text(), tmp_path_factory.mktemp("site")
    (folder / "my_package.py").write_text(text.split("```python\n")[1].split("```")[0])
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    entry_points = text.split("```toml\n")[1].split("```")[0].replace('entry-points."dist_alexnet.strategies"', "dist_alexnet.strategies")
    (info / "entry_points.txt").write_text(entry_points.replace('"', "").replace("[project.", "["))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


class TestPairs(StrategyConformance):
    strategy = "pairs"
    world_sizes = (1, 2, 4)
