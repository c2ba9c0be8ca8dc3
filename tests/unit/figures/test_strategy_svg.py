"""The picture of a strategy shows what its table says."""

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dist_alexnet.config import Config, LaunchConfig, StrategyConfig, TrainConfig
from dist_alexnet.figures.strategy import strategy_svg
from dist_alexnet.parallel.explain.layout import Layout, lay_out

SVG = "{http://www.w3.org/2000/svg}"


def layout_of(strategy: str, ranks: int, **options: object) -> Layout:
    train = TrainConfig(global_batch=1024)
    return lay_out(Config(strategy=StrategyConfig(strategy, options), train=train, launch=LaunchConfig(workers=ranks)))


def drawn(described: Layout) -> ElementTree.Element:
    return ElementTree.fromstring(strategy_svg(described))


def crossings(picture: ElementTree.Element) -> dict[str, set[tuple[int, int]]]:
    """Layer -> from which rank to which lines cross in front of it."""
    found = {}
    for group in picture.iter(f"{SVG}g"):
        paths = [path for path in group.iter(f"{SVG}path") if path.get("class") == "crossing"]
        if paths:
            found[group.get("data-layer", "")] = {(int(path.get("data-from", "")), int(path.get("data-to", ""))) for path in paths}
    return found


def words(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_the_crossings_of_2012() -> None:
    picture = drawn(layout_of("channel_split", 2, fc8="first"))
    assert crossings(picture) == {"conv3": {(0, 1), (1, 0)}, "fc6": {(0, 1), (1, 0)}, "fc7": {(0, 1), (1, 0)}, "fc8": {(1, 0)}}
    assert words(picture).count("55x55x48") == 2


@pytest.mark.parametrize(
    ("strategy", "ranks"),
    [("single", 1), ("ddp", 4), ("channel_split", 2), ("hybrid", 4), ("one_weird_trick", 4), ("fsdp", 2), ("pipeline", 4)],
)
def test_lines_cross_exactly_where_the_layout_sends(strategy: str, ranks: int) -> None:
    """Whoever a line leaves sends in the forward pass, and whoever it reaches in the backward pass, and nobody else does."""
    described = layout_of(strategy, ranks)
    found = crossings(drawn(described))
    assert set(found) == {layer.layer for layer in described.layers if layer.exchange}
    for layer in described.layers:
        lines = found.get(layer.layer, set())
        assert {source for source, _ in lines} == {rank for rank, sent in enumerate(layer.forward_bytes) if sent}
        assert {reader for _, reader in lines} == {rank for rank, sent in enumerate(layer.backward_bytes) if sent}


def test_pairs_do_not_talk_to_each_other() -> None:
    within = set(itertools.permutations((0, 1))) | set(itertools.permutations((2, 3)))
    assert crossings(drawn(layout_of("hybrid", 4)))["conv3"] == within


def test_what_belongs_to_no_layer_is_drawn_below() -> None:
    picture = drawn(layout_of("hybrid", 4))
    names = [group.get("data-name") for group in picture.iter(f"{SVG}g") if group.get("class") == "besides"]
    assert names == ["loss", "gradients"]
    assert "121.93 MB backward" in words(picture)


@pytest.mark.parametrize("strategy", ["ddp", "hybrid", "one_weird_trick", "fsdp"])
def test_of_many_ranks_the_first_are_drawn(strategy: str) -> None:
    picture = drawn(layout_of(strategy, 1024))
    said = words(picture)
    assert "rank 3" in said
    assert "rank 4" not in said
    assert "... 1,020 more ranks" in said
    assert len(strategy_svg(layout_of(strategy, 1024))) < 30_000


def test_the_picture_in_the_readme_is_up_to_date() -> None:
    committed = Path(__file__).parents[3] / "docs" / "channel_split.svg"
    described = lay_out(Config(strategy=StrategyConfig("channel_split")))
    assert committed.read_text().strip() == strategy_svg(described).strip(), "explain --strategy channel_split --format svg --out docs/..."
