"""Every kind of damage in damage.py, through training, evaluation, `verify` and `prepare`: none crashes, and none stays unsaid."""

import itertools
import re
import shutil
from pathlib import Path

import pytest
import torch

from dist_alexnet.batch import Batch
from dist_alexnet.config import AugmentConfig, DataConfig, UsageError
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.order.plan import NOT_COUNTED
from dist_alexnet.data.prepare.check import check_set
from dist_alexnet.data.prepare.photograph import Storage
from dist_alexnet.data.prepare.prepare import prepare
from dist_alexnet.data.sets.open import open_data, open_split
from tests.unit.data.damage import BAD_FILES, ODD_FILES, REFUSED, SHARDS, VICTIM

STORE, SIZE, B = 64, 48, 12
STILL = AugmentConfig(crop=False, mirror=False)


def loader(path: Path) -> Loader:
    config = DataConfig(store_size=STORE, order="file", augment=STILL, max_bad=10)
    return Loader(open_split(path, "train"), config, SIZE, torch.device("cpu"), 0)


def trained(mine: Loader) -> list[Batch]:
    """Several batches, over the end of an epoch: what does not end the pipeline at once may end it later."""
    batches = mine.train_batches(B, slice(0, B), 0)
    taken = list(itertools.islice(batches, 5))
    batches.close()
    assert [len(batch.images) for batch in taken] == [B] * 5
    return taken


def check_training(path: Path, sound: Path, bad: dict[int, str]) -> None:
    """The images of `bad` are named, with the reason, and the next sound ones are in their places; an evaluation leaves them out."""
    mine, expected = loader(path), trained(loader(sound))
    num_images = len(mine.images)
    instead = [next(i % num_images for i in range(index, 2 * num_images) if i % num_images not in bad) for index in range(num_images)]
    images, labels = (torch.cat([getattr(batch, name) for batch in expected]) for name in ("images", "labels"))
    order = [instead[position % num_images] for position in range(5 * B)]
    got = trained(mine)
    assert torch.equal(torch.cat([batch.images for batch in got]), images[order])
    assert torch.equal(torch.cat([batch.labels for batch in got]), labels[order])
    check_names(mine, bad)
    evaluating = loader(path)
    counted = torch.cat([batch.labels for batch in evaluating.eval_batches(B, lambda n: slice(0, n))])
    assert (counted == NOT_COUNTED).nonzero().flatten().tolist() == list(bad)
    check_names(evaluating, bad)


def check_names(mine: Loader, bad: dict[int, str]) -> None:
    assert len(mine.bad) == len(bad)
    for index, reason in bad.items():
        assert any(name.startswith(f"{mine.images.where(index)}: ") and reason in name for name in mine.bad)


def disfigure(photographs: Path, target: Path, content: bytes | None) -> Path:
    """A copy of the photographs in which the victim is another file; None: one that cannot be read, even by root."""
    victim = open_split(shutil.copytree(photographs, target), "train").path(VICTIM)
    victim.unlink()
    if content is None:
        victim.symlink_to("/proc/self/mem")
    else:
        victim.write_bytes(content)
    return victim


@pytest.mark.parametrize("kind", BAD_FILES)
def test_photographs_that_do_not_decode(photographs: Path, tmp_path: Path, kind: str) -> None:
    damage, path = BAD_FILES[kind], tmp_path / "set"
    victim = disfigure(photographs, path, damage.harm(open_split(photographs, "train").path(VICTIM).read_bytes()))
    check_training(path, photographs, {VICTIM: damage.said})
    (fault,) = check_set(path, 1).faults
    assert fault.startswith(f"{victim}: {damage.said}")
    left_out = prepare(path, tmp_path / "squares", Storage(size=STORE), workers=1).quarantine
    if damage.reason is None:
        assert left_out == []
        left_out = prepare(path, tmp_path / "originals", Storage("original", None), workers=1).quarantine
    ((file, reason),) = left_out
    assert file == str(victim.relative_to(path))
    assert reason.startswith(damage.reason or damage.said)
    storage = Storage(size=STORE) if damage.reason else Storage("original", None)
    with pytest.raises(UsageError, match=re.escape(f"1 files do not decode, such as {file} {reason}")):
        prepare(path, tmp_path / "strict", storage, workers=1, strict=True)


@pytest.mark.parametrize("kind", ODD_FILES)
def test_photographs_that_are_odd_but_decode(photographs: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "set"
    disfigure(photographs, path, ODD_FILES[kind](open_split(photographs, "train").path(VICTIM).read_bytes()))
    mine = loader(path)
    trained(mine)
    assert mine.bad == []
    assert check_set(path, 1).faults == []
    assert prepare(path, tmp_path / "squares", Storage(size=STORE), workers=1, strict=True).quarantine == []


@pytest.mark.parametrize("kind", SHARDS)
def test_shards_of_the_right_length(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    damage, path = SHARDS[kind], tmp_path / "set"
    sound: Path = request.getfixturevalue(damage.kind)
    shutil.copytree(sound, path)
    damage.harm(path)
    if damage.bad:
        check_training(path, sound, damage.bad)
    else:
        mine = loader(path)
        images = [torch.cat([batch.images for batch in trained(each)]) for each in (mine, loader(sound))]
        assert not torch.equal(*images)
        assert mine.bad == []
    checksums = [f"{path}/train/0000{shard}.arrow: not the bytes that were written" for shard in damage.shards]
    said = [*checksums, *damage.bad.values()]
    faults = check_set(path, 1).faults
    assert all(text in fault for text, fault in zip(said, faults, strict=False))
    rest = faults[len(said) :]  # Pillow, which `verify` asks, refuses some data that DALI decodes; and a class may have lost its last image
    assert all(f"row {VICTIM} (" in fault or "has no sound image" in fault for fault in rest)


@pytest.mark.parametrize("kind", REFUSED)
def test_sets_that_do_not_open(prepared: Path, tmp_path: Path, kind: str) -> None:
    harm, message = REFUSED[kind]
    path = shutil.copytree(prepared, tmp_path / "set")
    harm(path)
    with pytest.raises(UsageError, match=f"{path}.*{message}"):
        open_data(path)
    (fault,) = check_set(path, 1).faults
    assert re.search(f"{path}.*{message}", fault)


def test_the_catalogue_is_as_long_as_the_documentation_says() -> None:
    kinds = [*BAD_FILES, *SHARDS, *REFUSED]
    assert len(kinds) == len(set(kinds)) == 74
