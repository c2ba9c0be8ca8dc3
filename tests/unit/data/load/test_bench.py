"""Every stage of every kind of set is measured, on images of the whole stream."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dist_alexnet.config import Config
from dist_alexnet.data.load import bench
from dist_alexnet.data.sets.open import open_split

STORE, SIZE, BATCH = 64, 48, 8


def configuration(threads: int) -> Config:
    config = Config()
    return replace(
        config,
        data=replace(config.data, store_size=STORE, threads=threads),
        model=replace(config.model, image_size=SIZE),
        train=replace(config.train, global_batch=BATCH),
        launch=replace(config.launch, device="cpu"),
    )


@pytest.mark.parametrize(("kind", "stages"), [("prepared", 3), ("photographs", 3), ("raw", 2)])
def test_stages(kind: str, stages: int, request: pytest.FixtureRequest) -> None:
    images, told = open_split(request.getfixturevalue(kind), "train"), list[tuple[int, int]]()
    rates = bench.measure(images, [configuration(1), configuration(2)], 0.05, 2, lambda done, total: told.append((done, total)))
    wanted = [stage for stage in ("read", "decode", "batches") if stage != "decode" or kind != "raw"]
    assert [(rate.threads, rate.stage) for rate in rates] == [(threads, stage) for threads in (1, 2) for stage in wanted]
    assert told == [(done, 4 * stages) for done in range(4 * stages)]
    for rate in rates:
        assert len(rate.rounds) == 2
        assert min(rate.rounds) <= rate.images_per_second <= max(rate.rounds)
    pixels = {"batches": 4 * 3 * SIZE**2}  # bytes of an image, as float32
    if kind == "prepared":
        pixels["decode"] = 3 * SIZE**2  # as uint8, of the crops alone; photographs are larger, each another size
    for rate in rates:
        if rate.stage in pixels:  # medians of two rounds are means, of rates that rise and fall together
            assert rate.bytes_per_second / rate.images_per_second == pytest.approx(pixels[rate.stage])


def test_each_measurement_takes_other_images(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []

    def stage(images: object, config: Config, start: int) -> Iterator[int]:
        starts.append(start)
        while True:
            yield 1

    for name in ("_read", "_decode", "_batches"):
        monkeypatch.setattr(bench, name, stage)
    bench.measure(open_split(prepared, "train"), [configuration(1)], 0.01, 2, lambda done, total: None)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert all(start % BATCH == 0 for start in starts)


def test_images_that_cannot_be_read_are_passed_over(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "set")
    images = open_split(copy, "train")
    images.paths[1].unlink()  # type: ignore[attr-defined]
    config = replace(configuration(1), data=replace(configuration(1).data, max_bad=7))
    rates = bench.measure(images, [config], 1e-9, 1, lambda done, total: None)
    assert [rate.stage for rate in rates] == ["read", "decode", "batches"]
