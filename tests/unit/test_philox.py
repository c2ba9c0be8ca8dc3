"""The generator against the known answers of the Random123 distribution (file kat_vectors, philox4x32 10)."""

import warnings

import numpy as np
import pytest
import torch

from dist_alexnet.philox import MASK, philox

KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK, MASK, MASK, MASK), (MASK, MASK), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
KINDS = {
    "int": int,
    "numpy-int64": lambda word: np.array([word], np.int64),
    "numpy-uint64": lambda word: np.array([word], np.uint64),
    "torch": lambda word: torch.tensor([word]),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(kind, counter, key, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tuple(np.asarray(word).item() for word in philox(tuple(kind(word) for word in counter), key)) == words


def test_numpy_and_torch_give_the_same_words():
    counter = np.random.default_rng(0).integers(0, 2**32, (4, 10_000))
    key = (0xDEADBEEF, MASK)
    of_numpy = philox(tuple(counter), key)
    of_torch = philox(tuple(torch.from_numpy(counter)), key)
    for ours, theirs in zip(of_numpy, of_torch, strict=True):
        assert ours.min() >= 0
        assert ours.max() < 2**32
        np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("arange", [np.arange, torch.arange], ids=["numpy", "torch"])
def test_counters_broadcast_and_are_left_alone(arange):
    rows, units = arange(5)[:, None], arange(7)
    words = philox((units, rows, 3, 4), (1, 2))
    assert {tuple(word.shape) for word in words} == {(5, 7)}
    assert tuple(int(word[4, 6]) for word in words) == philox((6, 4, 3, 4), (1, 2))
    assert (rows == arange(5)[:, None]).all()
    assert (units == arange(7)).all()
