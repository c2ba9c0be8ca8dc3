"""The network against an independent one, written here in plain PyTorch from the paper alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dist_alexnet.config import ModelConfig, TrainConfig, Widths
from dist_alexnet.model.network import Draw, Network, Share, canonical_parameters
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.model.precision import Precision, precision_of

SMALL = ModelConfig(
    image_size=64, classes=7, widths=Widths(conv1=8, conv2=12, conv3=16, conv4=16, conv5=12, fc6=20, fc7=24), init="fan_in", dropout=0.0
)


class PlainAlexNet(nn.Module):
    """Figure 2 of the paper in torch's own layers: groups for the two GPUs, LRN for each half apart."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        w, final = model.widths, 6 if model.image_size == 224 else 1
        self.conv1 = nn.Conv2d(3, w.conv1, 11, stride=4)
        self.conv2 = nn.Conv2d(w.conv1, w.conv2, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(w.conv2, w.conv3, 3, padding=1)
        self.conv4 = nn.Conv2d(w.conv3, w.conv4, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(w.conv4, w.conv5, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(w.conv5 * final**2, w.fc6)
        self.fc7 = nn.Linear(w.fc6, w.fc7)
        self.fc8 = nn.Linear(w.fc7, model.classes or 1000)
        self.lrn = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # torch divides alpha by 5; the paper does not
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 3, 0, 3))
        x = self.pool(self._halves(functional.relu(self.conv1(x))))
        x = self.pool(self._halves(functional.relu(self.conv2(x))))
        x = functional.relu(self.conv3(x))
        x = functional.relu(self.conv4(x))
        x = self.pool(functional.relu(self.conv5(x)))
        x = functional.relu(self.fc6(x.flatten(1)))
        x = functional.relu(self.fc7(x))
        return self.fc8(x)

    def _halves(self, x: Tensor) -> Tensor:
        return torch.cat([self.lrn(half) for half in x.chunk(2, dim=1)], dim=1)


def compare(model: ModelConfig, dtype: torch.dtype, tolerance: float, batch: int, kinks: float = 0.0) -> None:
    """`kinks`: what a few units may add to the relative error of gradients, whose sums lie so close to zero that rounding switches them."""
    ours = Network(describe(model), seed=5, precision=Precision(dtype, dtype))
    plain = PlainAlexNet(model).to(dtype)
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(batch, 3, model.image_size, model.image_size, dtype=dtype)
    labels = torch.randint(model.classes or 1000, (batch,))
    draw = Draw(seed=5, step=0, rows=torch.arange(batch))
    losses = [functional.cross_entropy(scores, labels) for scores in (ours(images, draw), plain(images))]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=tolerance)
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert float((mine.grad - theirs.grad).norm()) <= (tolerance + kinks) * float(theirs.grad.norm()), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_a_small_network_equals_plain_pytorch(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    compare(SMALL, dtype, tolerance, batch=4)


@pytest.mark.parametrize(("dtype", "tolerance", "kinks"), [(torch.float64, 1e-10, 0.0), (torch.float32, 1e-4, 0.05)])
def test_the_full_network_equals_plain_pytorch(dtype: torch.dtype, tolerance: float, kinks: float) -> None:
    """In float32 one unit of fc6 that is on here and off there is a good percent of a gradient of conv1."""
    torch.manual_seed(0)
    compare(ModelConfig(classes=1000, init="code", dropout=0.0), dtype, tolerance, batch=2, kinks=kinks)


def test_weights_are_drawn_whole_and_then_cut() -> None:
    layers = describe(SMALL)
    share = Network(layers, {"conv3": Share(slice(8, 16))}, seed=9)
    assert torch.equal(share.conv3.weight, Network(layers, seed=9).conv3.weight[8:16])
    assert not torch.equal(share.conv3.weight, Network(layers, seed=8).conv3.weight[8:16])


def test_initial_weights_have_the_deviation_of_the_paper() -> None:
    fc7 = describe(ModelConfig())[6]
    weight, bias = canonical_parameters(fc7, seed=0)
    assert float(weight.std()) == pytest.approx(0.01, rel=1e-3)
    assert float(weight.mean()) == pytest.approx(0, abs=1e-5)
    assert bool((bias == 1).all())


def test_units_are_scaled_in_the_test_and_dropped_in_training() -> None:
    """2012 style: no rescaling in training, all units at half strength in the test (section 4.2)."""
    layers = describe(ModelConfig(image_size=64, classes=7, widths=SMALL.widths, init="fan_in"))
    network = Network(layers, seed=1)
    fc6 = network.fc6
    x = torch.rand(6, *(layers[5].in_channels, layers[5].input_size, layers[5].input_size))
    trained = fc6(x, Draw(seed=1, step=0, rows=torch.arange(6)))
    network.eval()
    tested = fc6(x, None)
    kept = trained != 0
    assert 0.2 < float(kept.float().mean()) < 0.8
    assert torch.allclose(trained[kept], 2 * tested[kept])


def test_training_without_a_draw_is_a_mistake() -> None:
    network = Network(describe(ModelConfig(image_size=64, classes=7, widths=SMALL.widths)))
    with pytest.raises(ValueError, match="fc6: training mode needs a Draw"):
        network(torch.zeros(1, 3, 64, 64))


def test_a_share_cannot_cut_through_a_tower() -> None:
    layers = describe(ModelConfig(towers=1, image_size=64, widths=SMALL.widths))
    with pytest.raises(ValueError, match="cut through a tower"):
        Network(layers, {"conv1": Share(slice(0, 4))})


def test_an_empty_batch_passes() -> None:
    """A rank without rows of the last batch of an evaluation."""
    network = Network(describe(SMALL)).eval()
    assert network(torch.zeros(0, 3, 64, 64)).shape == (0, 7)


def test_mixed_precision_computes_with_copies_of_parameters_in_float32() -> None:
    """Close to float32, as eight bits are; and what is learnt, summed and written down is in float32."""
    torch.manual_seed(0)
    wide, mixed = (Network(describe(SMALL), seed=5, precision=precision_of(TrainConfig(precision=p))) for p in ("fp32", "bf16"))
    images, draw = torch.randn(4, 3, 64, 64), Draw(seed=5, step=0, rows=torch.arange(4))
    scores, rounded = wide(images, draw), mixed(images.bfloat16(), draw)
    torch.testing.assert_close(rounded, scores, rtol=0.05, atol=0.05 * float(scores.detach().abs().max()))
    assert not torch.equal(rounded, scores)
    rounded.sum().backward()
    assert {tensor.dtype for p in mixed.parameters() for tensor in (p, p.grad)} == {torch.float32}
    with torch.no_grad():
        for parameter in mixed.parameters():
            parameter.zero_()
    assert torch.equal(mixed(images.bfloat16(), draw), rounded), "not looked at before refresh"
    mixed.refresh()
    assert not mixed(images.bfloat16(), draw).any()
