"""Whatever lies in a checkpoint or a prepared set: one line says what is wrong, or it is read. Never a traceback, never a hang.

A part of the cases by itself, all with `-m slow` (docs/security.md). Hangs end by the time limit of a test.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.checkpoints.resume import changes, check_usable, config_of_checkpoint
from dist_alexnet.data.images import ImageError
from dist_alexnet.data.sealed import seal
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.model.layers import own_tensors
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import resolve
from dist_alexnet.update.optimizer import VelocitySGD
from strategies.single import Single
from tests.fuzz.damage import AMOUNTS, changed, damaged, one_line, texts, try_all
from tests.unit.asking import TINY, ask, write_checkpoint

pytestmark = pytest.mark.parametrize("cases", AMOUNTS)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    (folder / "tiny.yaml").write_text(json.dumps({**TINY, "strategy": {"name": "single"}}))
    return write_checkpoint(ask(folder, str(folder / "tiny.yaml")), 7)


def read_checkpoint(checkpoint: Path) -> None:
    """All that is read of one: what a resume checks, its configuration, its tensors."""
    check_usable(checkpoint)
    config = resolve(config_of_checkpoint(checkpoint), ["strategy.name=single", "launch.workers=1"])
    changes(config, checkpoint)
    strategy = Single(config, World(0, 1))
    network = strategy.build()
    load_tensors(checkpoint, strategy, network, VelocitySGD(strategy.updated(network), config.train, own_tensors(strategy.layers)))


def test_the_state_of_a_checkpoint(cases: int, checkpoint: Path) -> None:
    """As somebody changed it, with a checksum that fits, and as a disk did."""
    file, whole = checkpoint / "state.json", (checkpoint / "state.json").read_bytes()
    tree = json.loads(whole)
    sealed = changed(tree).map(lambda other: json.dumps(seal(other) if isinstance(other, dict) else other).encode())

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            read_checkpoint(checkpoint)

    try:
        try_all(cases, sealed | texts(tree), meets)
    finally:
        file.write_bytes(whole)


def test_the_tensors_of_a_checkpoint(cases: int, checkpoint: Path) -> None:
    """Header and data, with a checksum that fits, so that it is the file itself that is looked at."""
    file, state = checkpoint / "model.safetensors", checkpoint / "state.json"
    whole, told = file.read_bytes(), json.loads(state.read_bytes())
    size = int.from_bytes(whole[:8], "little")

    def with_header(header: Any) -> bytes:
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + whole[8 + size :]

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        state.write_text(json.dumps({**told, "files": {**told["files"], file.name: hashlib.sha256(content).hexdigest()}}))
        with one_line():
            read_checkpoint(checkpoint)

    try:
        try_all(cases, changed(json.loads(whole[8 : 8 + size])).map(with_header) | damaged(whole), meets)
    finally:
        file.write_bytes(whole)
        state.write_text(json.dumps(told))


def read_set(folder: Path) -> None:
    """Every image of a set; one that cannot be read is no reason not to read the others."""
    with one_line():
        open_data(folder)
    for split in ("train", "val"):
        with one_line():
            images = open_split(folder, split)  # type: ignore[arg-type]
            for index in {0, len(images) // 2, len(images) - 1}:
                for look in (images.encoded, images.label, images.where):
                    with one_line(ImageError):
                        look(index)


@pytest.mark.parametrize("name", ["dataset.json", "statistics.json"])
def test_the_index_of_a_set(cases: int, name: str, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "set")
    file = tmp_path / "set" / name
    tree = json.loads(file.read_bytes())
    content = {key: value for key, value in tree.items() if key != "sha256"}
    sealed = changed(content).map(lambda other: json.dumps(seal(other) if isinstance(other, dict) else other).encode())

    def meets(text: bytes) -> None:
        file.write_bytes(text)
        read_set(tmp_path / "set")

    try_all(cases, sealed | texts(tree), meets)


def test_the_shards_of_a_set(cases: int, prepared: Path, tmp_path: Path) -> None:
    """With and without the length that the index says."""
    shutil.copytree(prepared, tmp_path / "set")
    file = tmp_path / "set" / "train" / "00000.arrow"
    whole = file.read_bytes()

    def meets(content: bytes) -> None:
        file.write_bytes(content.ljust(len(whole), b"\0")[: len(whole)] if len(content) % 2 else content)
        read_set(tmp_path / "set")

    try_all(cases, damaged(whole), meets)
