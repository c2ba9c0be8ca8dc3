"""The strategy that docs/adding_a_strategy.md shows, installed as somebody's package, passes the test that the page shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet import registry
from dist_alexnet.testing.conformance import configure

TEXT = (Path(__file__).parents[2] / "docs" / "adding_a_strategy.md").read_text()
MODULE, TEST = (block.split("```")[0] for block in TEXT.split("```python\n")[1:])


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the package of the page."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "my_package.py").write_text(MODULE)
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    entry_points = TEXT.split("```toml\n")[1].split("```")[0].replace('entry-points."dist_alexnet.strategies"', "dist_alexnet.strategies")
    (info / "entry_points.txt").write_text(entry_points.replace('"', "").replace("[project.", "["))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


def test_which_numbers_of_ranks_it_serves() -> None:
    """As the page says."""
    assert "`Pairs.world_sizes(config, 1, 8)` is `[2, 4, 6, 8]`" in TEXT
    assert registry.load(registry.STRATEGIES, "pairs").world_sizes(configure("pairs"), 1, 8) == [2, 4, 6, 8]


page: dict[str, Any] = {"__name__": __name__}
exec(TEST, page)
TestPairs = page["TestPairs"]
