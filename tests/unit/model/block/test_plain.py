"""The plain operators against a literal double loop, torch's own LRN and finite differences. All in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from dist_alexnet.model.block.plain import plain_relu_lrn_pool
from dist_alexnet.model.operations.normalization import LRN_BETA, LRN_K, local_response_norm
from dist_alexnet.model.operations.pooling import pooled_size

ALPHA = 0.1  # a thousand times the paper's, so that a wrong window shows in the first digits


def images(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def literal_lrn(x, towers, alpha):
    """Section 3.3 of the paper, word by word, with i and j counted inside a tower."""
    out, n = np.empty_like(x), x.shape[1] // towers
    for channel in range(x.shape[1]):
        first = channel // n * n
        window = range(max(first, channel - 2), min(first + n - 1, channel + 2) + 1)
        out[:, channel] = x[:, channel] / (LRN_K + alpha * sum(x[:, j] ** 2 for j in window)) ** LRN_BETA
    return out


@pytest.mark.parametrize(("towers", "channels"), [(1, 7), (2, 14), (2, 4), (3, 3)])
def test_lrn_is_the_papers_formula(towers, channels):
    x = images(2, channels, 3, 4)
    np.testing.assert_allclose(local_response_norm(x, towers, ALPHA), literal_lrn(x.numpy(), towers, ALPHA), rtol=1e-14)


@pytest.mark.parametrize(("touched", "changed"), [(0, [0, 1, 2]), (5, [3, 4, 5]), (6, [6, 7, 8]), (9, [7, 8, 9, 10, 11])])
def test_a_window_is_two_channels_each_way_and_ends_with_its_tower(touched, changed):
    x = images(1, 12, 1, 1)
    nudged = x.clone()
    nudged[:, touched] += 1
    differs = local_response_norm(x, 2, ALPHA) != local_response_norm(nudged, 2, ALPHA)
    assert differs.flatten().nonzero().flatten().tolist() == changed


def test_torch_divides_alpha_by_the_window():
    x = images(2, 9, 3, 3)
    expected = functional.local_response_norm(x, size=5, alpha=ALPHA * 5, beta=0.75, k=2.0)
    torch.testing.assert_close(local_response_norm(x, 1, ALPHA), expected)


@pytest.mark.parametrize("alpha", [ALPHA, None])
def test_gradient_by_finite_differences(alpha):
    x = images(2, 6, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: plain_relu_lrn_pool(x, 2, alpha), x)


@pytest.mark.parametrize("side", [2, 3, 4, 5, 27, 55])
def test_pooling_rounds_up_and_takes_what_is_inside(side):
    x = images(1, 1, side, side).abs()
    pooled = plain_relu_lrn_pool(x, 1, None)
    assert pooled.shape[2:] == (pooled_size(side), pooled_size(side))
    assert pooled[0, 0, -1, -1] == x[0, 0, 2 * pooled_size(side) - 2 :, 2 * pooled_size(side) - 2 :].max()


@pytest.mark.parametrize(("shape", "towers", "message"), [((1, 5, 3, 3), 2, "5 channels .* 2 equal"), ((5, 3, 3), 1, r"\[5, 3, 3\]")])
def test_refuses_what_does_not_split_into_towers(shape, towers, message):
    with pytest.raises(ValueError, match=message):
        local_response_norm(images(*shape), towers, ALPHA)
    with pytest.raises(ValueError, match=message):
        plain_relu_lrn_pool(images(*shape), towers, None)
