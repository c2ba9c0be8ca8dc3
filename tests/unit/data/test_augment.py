import numpy as np
import pytest

from dist_alexnet.config import AugmentConfig
from dist_alexnet.data.augment import EIGENVECTORS, STDEVS, center, divisor, draw

MANY = np.arange(50_000) + 2**32 - 25_000  # on both sides of the border between two counter words


def test_offsets_cover_their_range_evenly_and_both_ends():
    drawn = draw(AugmentConfig(), seed=0, positions=MANY, max_offset=32)
    for offsets in (drawn.crop_y, drawn.crop_x):
        counts = np.bincount(offsets, minlength=33)
        assert len(counts) == 33
        assert abs(counts - len(MANY) / 33).max() < 6 * np.sqrt(len(MANY) / 33)
    assert abs(drawn.mirror.mean() - 0.5) < 0.01
    assert abs(np.corrcoef([drawn.crop_y, drawn.crop_x, drawn.mirror]) - np.eye(3)).max() < 0.02


def test_numbers_depend_on_seed_and_position_only():
    config = AugmentConfig(color="paper")
    whole = draw(config, seed=5, positions=MANY, max_offset=32)
    part = draw(config, seed=5, positions=MANY[7::3], max_offset=32)
    for name in ("crop_y", "crop_x", "mirror", "color"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[7::3])
    for seed in (6, 5 + 2**32):
        assert (draw(config, seed, MANY, 32).crop_y != whole.crop_y).mean() > 0.9


@pytest.mark.parametrize(("color", "scales"), [("paper", STDEVS**2 / 255), ("code", STDEVS)])
def test_color_noise_has_the_covariance_of_the_principal_components(color, scales):
    config = AugmentConfig(color=color, color_std=0.1)
    shifts = draw(config, seed=1, positions=MANY, max_offset=0).color
    expected = EIGENVECTORS @ np.diag((0.1 * scales) ** 2) @ EIGENVECTORS.T
    assert shifts.dtype == np.float32
    assert abs(shifts.mean(axis=0)).max() < 4 * np.sqrt(np.diag(expected) / len(MANY)).max()
    np.testing.assert_allclose(np.cov(shifts.T), expected, atol=0.03 * expected.max())


def test_eigenvectors_are_orthonormal():
    np.testing.assert_allclose(EIGENVECTORS.T @ EIGENVECTORS, np.eye(3), atol=1e-4)


def test_what_is_switched_off_stays_at_the_center():
    still = draw(AugmentConfig(crop=False, mirror=False), seed=0, positions=MANY[:10], max_offset=32)
    middle = center(10, 32)
    for name in ("crop_y", "crop_x", "mirror", "color"):
        np.testing.assert_array_equal(getattr(still, name), getattr(middle, name))
    assert set(middle.crop_y) == {16}


def test_only_the_noise_of_the_authors_code_is_followed_by_a_division():
    assert [divisor(AugmentConfig(color=color)) for color in ("paper", "code", "none")] == [1.0, 1.1, 1.0]
