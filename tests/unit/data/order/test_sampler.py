import tracemalloc
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dist_alexnet.data.order.sampler import Sampler, permuted

settings.register_profile("data", deadline=None, max_examples=60)
settings.load_profile("data")


def test_the_order_is_the_one_that_earlier_checkpoints_continue():
    # Golden: if this changed, resumed runs would see some images twice in their first epoch.
    assert permuted(np.arange(10), 10, seed=7, epoch=3).tolist() == [2, 6, 8, 3, 9, 1, 7, 4, 5, 0]


@given(
    num_images=st.integers(1, 50),
    global_batch=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    start_step=st.integers(0, 8),
    seed=st.integers(0, 2**40),
    shuffle=st.booleans(),
)
def test_any_split_and_any_restart_give_the_same_stream(num_images, global_batch, cuts, start_step, seed, shuffle):
    whole = Sampler(num_images, seed, shuffle).indices(0, 20 * global_batch)
    bounds = [0, *sorted(min(cut, global_batch) for cut in cuts), global_batch]
    ranks = [Sampler(num_images, seed, shuffle) for _ in bounds[1:]]
    restarted = [
        rank.indices(step * global_batch + first, step * global_batch + last)
        for step in range(start_step, 20)
        for rank, first, last in zip(ranks, bounds[:-1], bounds[1:], strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(restarted), whole[start_step * global_batch :])


@given(num_images=st.integers(1, 5000), epoch=st.integers(0, 2**33), seed=st.integers(0, 2**40), shuffle=st.booleans())
def test_every_image_comes_once_per_epoch(num_images, epoch, seed, shuffle):
    indices = Sampler(num_images, seed, shuffle).indices(epoch * num_images, (epoch + 1) * num_images)
    assert sorted(indices) == list(range(num_images))


def test_epochs_and_seeds_differ_and_file_order_does_not():
    orders = {tuple(permuted(np.arange(50), 50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert Sampler(4, seed=1, shuffle=False).indices(2, 10).tolist() == [2, 3, 0, 1, 2, 3, 0, 1]


def test_every_order_of_four_images_is_as_likely_as_any_other():
    draws = 9600
    orders = Counter(tuple(permuted(np.arange(4), 4, seed, epoch)) for seed in range(draws // 60) for epoch in range(60))
    expected = draws / 24
    chi_square = sum((count - expected) ** 2 / expected for count in orders.values())
    assert len(orders) == 24
    assert chi_square < 50, "23 degrees of freedom: 49.7 is passed once in a thousand times"


def test_neighbours_do_not_stay_together():
    order = permuted(np.arange(1 << 16), 1 << 16, seed=1, epoch=0)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    assert (np.abs(np.diff(order)) == 1).sum() < 12, "2 are expected"


def test_a_set_of_fourteen_million_starts_as_fast_as_a_small_one():
    large = Sampler(14_000_000, seed=0, shuffle=True)
    tracemalloc.start()
    assert len(set(large.indices(13_999_900, 14_000_100).tolist())) == 200, "the last of an epoch and the first of the next"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
