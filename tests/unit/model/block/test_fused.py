"""The fused op against the plain operators, and what it promises beyond them: the same bits whoever computes, and no trouble in threads."""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dist_alexnet.model.block import choose
from dist_alexnet.model.block.fused import fused_relu_lrn_pool
from dist_alexnet.model.block.plain import plain_relu_lrn_pool
from dist_alexnet.model.operations.pooling import pooled_size

ALPHA = 0.1  # a thousand times the paper's: LRN must matter in the gradient

SHAPES = [  # images, channels, height, width, towers
    (3, 96, 11, 11, 2),
    (1, 32, 8, 8, 1),  # even sides: the last windows are clipped
    (3, 20, 7, 6, 2),  # 10 channels a tower: no multiple of a SIMD width; not square
    (2, 3, 5, 4, 3),  # one channel a tower: each window is its own channel
    (2, 6, 2, 3, 1),  # the smallest map
    (0, 8, 5, 5, 2),
]


@pytest.fixture
def num_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def result_and_gradient(op, x, towers, alpha, above=torch.float32):
    """Output and input gradient, under a gradient from above that is the same for every op: of numbers that a type has."""
    x = x.detach().requires_grad_()
    y = op(x, towers, alpha)
    (grad,) = torch.autograd.grad(y, x, images(*y.shape, seed=1).to(above).to(y.dtype))
    return y.detach(), grad


def assert_same_function(x, towers, alpha):
    """Against float64 operators: a dozen float32 roundings (6e-8 each) an element, far from any wrong window or weight."""
    for ours, exact in zip(
        result_and_gradient(fused_relu_lrn_pool, x, towers, alpha),
        result_and_gradient(plain_relu_lrn_pool, x.double(), towers, alpha),
        strict=True,
    ):
        torch.testing.assert_close(ours.double(), exact, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("alpha", [ALPHA, None])
@pytest.mark.parametrize(("count", "channels", "height", "width", "towers"), SHAPES)
def test_equals_the_plain_operators(count, channels, height, width, towers, alpha):
    assert_same_function(images(count, channels, height, width), towers, alpha)


@pytest.mark.parametrize("alpha", [ALPHA, None])
@pytest.mark.parametrize(("count", "channels", "height", "width", "towers"), SHAPES)
def test_bfloat16_is_rounded_once_at_the_end(count, channels, height, width, towers, alpha):
    """Half of the last of eight bits, against float64 operators on the same numbers."""
    x = images(count, channels, height, width).bfloat16()
    for ours, exact in zip(
        result_and_gradient(fused_relu_lrn_pool, x, towers, alpha, torch.bfloat16),
        result_and_gradient(plain_relu_lrn_pool, x.double(), towers, alpha, torch.bfloat16),
        strict=True,
    ):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.double(), exact, rtol=2**-8, atol=2e-6)


def test_reads_any_memory_layout():
    x = images(2, 8, 9, 9)
    expected = result_and_gradient(fused_relu_lrn_pool, x, 2, ALPHA)
    for layout in (x.contiguous(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        for got, want in zip(result_and_gradient(fused_relu_lrn_pool, layout, 2, ALPHA), expected, strict=True):
            assert torch.equal(got, want)
    assert expected[0].is_contiguous(memory_format=torch.channels_last)


def test_of_tied_maxima_the_first_gets_the_gradient():
    x = images(2, 4, 9, 9).sign() * 0.5  # two values only: ties at 0 and above 0 in nearly every window
    assert_same_function(x, 1, None)
    x = torch.full((1, 4, 6, 5), 0.5)  # with LRN too: equal pixels must give equal values wherever they are
    assert_same_function(x, 1, ALPHA)


def test_nan_is_not_lost():
    for place in [(0, 0), (2, 3), (4, 4)]:
        x = images(1, 8, 5, 5)
        x[0, 3, *place] = torch.nan
        for alpha, dtype in itertools.product((ALPHA, None), choose.FUSED):
            x = x.to(dtype)
            ours, plain = (op(x, 2, alpha) for op in (fused_relu_lrn_pool, plain_relu_lrn_pool))
            assert torch.equal(ours.isnan(), plain.isnan())
            assert ours.isnan().any()


def test_same_bits_for_every_number_of_threads(num_threads):
    x, results = images(5, 24, 13, 13), []
    for threads in (1, 2, 2, 1000):  # more than there are: clipped
        num_threads(threads)
        results.append(result_and_gradient(fused_relu_lrn_pool, x, 2, ALPHA))
    for y, grad in results[1:]:
        assert torch.equal(y, results[0][0])
        assert torch.equal(grad, results[0][1])


def test_python_threads_may_call_it_at_once():
    x = images(3, 16, 13, 13)
    expected = result_and_gradient(fused_relu_lrn_pool, x, 2, ALPHA)
    with ThreadPoolExecutor(4) as pool:
        for y, grad in pool.map(lambda _: result_and_gradient(fused_relu_lrn_pool, x, 2, ALPHA), range(40)):
            assert torch.equal(y, expected[0])
            assert torch.equal(grad, expected[1])


@pytest.mark.parametrize(
    ("x", "towers", "message"),
    [
        (torch.zeros(1, 4, 5, 5, dtype=torch.float64), 2, "needs float32 or bfloat16 on the CPU, got torch.float64"),
        (torch.zeros(1, 4, 1, 5), 2, "maps of 2x2 or more, got 1x5"),
        (torch.zeros(1, 5, 5, 5), 2, "5 channels do not split into 2"),
    ],
)
def test_refuses_what_it_cannot_do(x, towers, message):
    with pytest.raises(ValueError, match=message):
        fused_relu_lrn_pool(x, towers, ALPHA)


def test_the_network_gets_the_fused_op_for_its_types_on_the_cpu_only(monkeypatch):
    chosen = []
    monkeypatch.setattr(choose, "_on_cpu", lambda: lambda x, towers, alpha: chosen.append(x.dtype))
    choose.relu_lrn_pool(images(1, 2, 3, 3), 1, None)
    choose.relu_lrn_pool(images(1, 2, 3, 3).bfloat16(), 1, None)
    choose.relu_lrn_pool(images(1, 2, 3, 3).double(), 1, None)
    assert chosen == [torch.float32, torch.bfloat16]


def test_without_numba_the_plain_operators_run_and_say_so(monkeypatch, caplog):
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    assert choose._on_cpu.__wrapped__() is plain_relu_lrn_pool
    assert "pip install numba" in caplog.text


def test_importing_the_model_does_not_import_numba():
    code = "import sys, dist_alexnet.model.network; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_two_processes_may_fill_the_cache_at_once(tmp_path, monkeypatch):
    """And a third finds it complete: it loads both kernels of both types and compiles none."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = """
from dist_alexnet.model.block.kernels import kernels
print(sum(sum(kernel.stats.cache_hits.values()) for number in ("float32", "uint16") for kernel in kernels(number)))
import torch; from dist_alexnet.model.block.fused import fused_relu_lrn_pool
assert fused_relu_lrn_pool(torch.ones(1, 2, 4, 4), 1, None).eq(1).all()
"""
    start = lambda: subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)  # noqa: E731
    racers = [start(), start()]
    assert [racer.wait(timeout=120) for racer in racers] == [0, 0]
    last = start()
    assert last.communicate(timeout=60)[0].strip() == "4"


def test_pooled_size_is_what_comes_out():
    for side in (2, 3, 4, 13, 27):
        assert fused_relu_lrn_pool(images(1, 1, side, side + 1), 1, None).shape[2:] == (pooled_size(side), pooled_size(side + 1))
