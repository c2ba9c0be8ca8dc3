import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dist_alexnet.data.sampler import Sampler, permutation

settings.register_profile("data", deadline=None, max_examples=60)
settings.load_profile("data")


def test_the_order_is_the_one_that_earlier_checkpoints_continue():
    # Golden: if a new numpy shuffles differently, resumed runs would see some images twice in their first epoch.
    assert permutation(10, seed=7, epoch=3).tolist() == [8, 4, 5, 3, 6, 0, 9, 7, 1, 2]


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


@given(num_images=st.integers(1, 50), epoch=st.integers(0, 5), seed=st.integers(0, 2**40), shuffle=st.booleans())
def test_every_image_comes_once_per_epoch(num_images, epoch, seed, shuffle):
    indices = Sampler(num_images, seed, shuffle).indices(epoch * num_images, (epoch + 1) * num_images)
    assert sorted(indices) == list(range(num_images))


def test_epochs_and_seeds_differ_and_file_order_does_not():
    orders = {tuple(permutation(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert Sampler(4, seed=1, shuffle=False).indices(2, 10).tolist() == [2, 3, 0, 1, 2, 3, 0, 1]
