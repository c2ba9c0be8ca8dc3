import numpy as np
import pytest
from PIL import Image

from dist_alexnet.config import MAX_SYNTH_CLASSES, SynthConfig, UsageError
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.data.synth.drawing import MAX_CLASSES, SHAPES, class_name
from dist_alexnet.data.synth.synth import ensure, write

CONFIG = SynthConfig(classes=12, train=40, val=15, seed=1)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_same_configuration_same_bytes(tmp_path):
    write(tmp_path / "a", CONFIG)
    ensure(tmp_path / "deep" / "b", CONFIG)
    assert files(tmp_path / "a") == files(tmp_path / "deep" / "b")
    write(tmp_path / "c", SynthConfig(classes=12, train=40, val=15, seed=2))
    assert files(tmp_path / "a").keys() == files(tmp_path / "c").keys()
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_the_images_are_as_varied_as_photographs(tmp_path):
    write(tmp_path / "set", SynthConfig(classes=10, train=200, val=10))
    train, val = open_data(tmp_path / "set")
    assert (len(train), len(val), train.classes) == (200, 10, sorted(SHAPES))
    assert np.bincount(train.labels).tolist() == [20] * 10
    pictures = [Image.open(train.path(index)) for index in range(len(train))]
    assert {picture.format for picture in pictures} == {"JPEG"}
    assert 64 <= min(min(picture.size) for picture in pictures) < 70
    assert len({picture.size for picture in pictures}) > 50
    assert 2 <= sum(picture.mode == "L" for picture in pictures) <= 20


def test_class_names_are_unique():
    assert len({class_name(label) for label in range(MAX_CLASSES)}) == MAX_CLASSES == MAX_SYNTH_CLASSES


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_another_one_mirrored(shape):
    u = np.linspace(-1, 1, 41)
    field = np.broadcast_to(SHAPES[shape](u[None, :], u[:, None]) < 0, (41, 41))
    flat = np.abs(np.broadcast_to(SHAPES[shape](u[None, :], u[:, None]), (41, 41))) < 1e-9
    same = (field == field[:, ::-1]) | flat | flat[:, ::-1]
    inverted = (field != field[:, ::-1]) | flat | flat[:, ::-1]
    assert same.all() or inverted.all()  # a pattern may swap its two colors, which mean nothing


def test_ensure_returns_at_once_and_never_leaves_half_a_set(tmp_path, monkeypatch):
    ensure(tmp_path / "set", CONFIG)
    monkeypatch.setattr("dist_alexnet.data.synth.synth.draw", lambda *_: pytest.fail("drawn again"))
    ensure(tmp_path / "set", CONFIG)
    with pytest.raises(pytest.fail.Exception):
        ensure(tmp_path / "other", CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_refusals(tmp_path):
    ensure(tmp_path / "set", CONFIG)
    with pytest.raises(UsageError, match=r"generated from .*; type another --output-dir"):
        ensure(tmp_path / "set", SynthConfig())
    with pytest.raises(UsageError, match=r"it exists and is not empty"):
        write(tmp_path / "set", CONFIG)
