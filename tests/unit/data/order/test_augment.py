import numpy as np
import pytest

from dist_alexnet.config import AugmentConfig
from dist_alexnet.data.order.augment import IMAGENET, center, draw, ten_views

STDEVS, EIGENVECTORS = np.array(IMAGENET.stdevs), np.array(IMAGENET.eigenvectors)
EPOCH = 1000
MANY = np.arange(50_000) + 2**32 - 25_000  # on both sides of the border between two counter words


def test_offsets_cover_their_range_evenly_and_both_ends():
    drawn = draw(AugmentConfig(), seed=0, positions=MANY, num_images=EPOCH, max_offset=32)
    for offsets in (drawn.crop_y, drawn.crop_x):
        counts = np.bincount(offsets, minlength=33)
        assert len(counts) == 33
        assert abs(counts - len(MANY) / 33).max() < 6 * np.sqrt(len(MANY) / 33)
    assert abs(drawn.mirror.mean() - 0.5) < 0.01
    assert abs(np.corrcoef([drawn.crop_y, drawn.crop_x, drawn.mirror]) - np.eye(3)).max() < 0.02


def test_numbers_depend_on_seed_and_position_only():
    config = AugmentConfig(color="paper")
    whole = draw(config, seed=5, positions=MANY, num_images=EPOCH, max_offset=32)
    part = draw(config, seed=5, positions=MANY[7::3], num_images=EPOCH, max_offset=32)
    for name in ("crop_y", "crop_x", "mirror", "color", "divide"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[7::3])
    for seed in (6, 5 + 2**32):
        assert (draw(config, seed, MANY, EPOCH, 32).crop_y != whole.crop_y).mean() > 0.9


@pytest.mark.parametrize(("color", "scales"), [("paper", STDEVS**2 / 255), ("code", STDEVS)])
def test_color_noise_has_the_covariance_of_the_principal_components(color, scales):
    config = AugmentConfig(color=color, color_std=0.1)
    shifts = draw(config, seed=1, positions=MANY, num_images=EPOCH, max_offset=0).color
    expected = EIGENVECTORS @ np.diag((0.1 * scales) ** 2) @ EIGENVECTORS.T
    assert shifts.dtype == np.float32
    assert abs(shifts.mean(axis=0)).max() < 4 * np.sqrt(np.diag(expected) / len(MANY)).max()
    np.testing.assert_allclose(np.cov(shifts.T), expected, atol=0.03 * expected.max())


def test_eigenvectors_are_orthonormal():
    np.testing.assert_allclose(EIGENVECTORS.T @ EIGENVECTORS, np.eye(3), atol=1e-4)


def test_what_is_switched_off_stays_at_the_center():
    still = draw(AugmentConfig(crop=False, mirror=False), seed=0, positions=MANY[:10], num_images=EPOCH, max_offset=32)
    middle = center(10, 32)
    for name in ("crop_y", "crop_x", "mirror", "color", "divide"):
        np.testing.assert_array_equal(getattr(still, name), getattr(middle, name))
    assert set(middle.crop_y) == {16}


def test_only_the_noise_of_the_authors_code_is_followed_by_a_division_unless_it_is_configured():
    def divided(**config):
        return set(draw(AugmentConfig(**config), 0, MANY, EPOCH, 32).divide.tolist())

    assert [divided(color=color) for color in ("paper", "code", "off", "none")] == [{1.0}, {np.float32(1.1)}, {1.0}, {1.0}]
    assert divided(color="paper", divide=3.0) == {3.0}


def test_noise_ends_with_its_epoch_and_its_division_too():
    drawn = draw(AugmentConfig(color="code", until_epoch=1.5), 0, np.arange(20), num_images=10, max_offset=32)
    assert (abs(drawn.color).sum(axis=1) > 0).tolist() == [True] * 15 + [False] * 5
    assert drawn.divide.tolist() == [np.float32(1.1)] * 15 + [1.0] * 5


def test_a_chunk_shares_crop_and_mirror_but_no_noise():
    drawn = draw(AugmentConfig(color="paper", crop_chunk=32), 0, np.arange(32 * 40), EPOCH, 32)
    for numbers in (drawn.crop_y, drawn.crop_x, drawn.mirror):
        chunks = numbers.reshape(40, 32)
        assert (chunks == chunks[:, :1]).all()
        assert len(set(chunks[:, 0])) > 1
    assert len(set(drawn.color[:, 0].tolist())) == 32 * 40


def test_the_ten_views_are_in_the_order_of_the_authors():
    views = [(view.crop_y[0], view.crop_x[0], view.mirror[0]) for view in ten_views(3, 32)]
    five = [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]
    assert views == [(*place, 0) for place in five] + [(*place, 1) for place in five]
