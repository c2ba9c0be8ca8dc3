"""What follows a linear map: applied in the order of the table, fused where the pattern is, refused where it cannot work."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dist_alexnet.config import ModelConfig
from dist_alexnet.model.block.choose import ReluLrnPool, fuse
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import Network, Share
from dist_alexnet.model.networks.alexnet import describe
from dist_alexnet.model.operations.activation import LeakyRelu, Relu
from dist_alexnet.model.operations.contract import Kept, Operation, OwnTensor, Part, Place
from dist_alexnet.model.operations.dropout import Dropout
from dist_alexnet.model.operations.normalization import LocalResponseNorm, local_response_norm
from dist_alexnet.model.operations.pooling import MaxPool
from dist_alexnet.model.precision import Precision

NORM = LocalResponseNorm(1e-4)
PART = Part(channels=8, size=5, towers=2, item_bytes=4)


@dataclass(frozen=True)
class Scale(Operation):
    """A trained number for each channel, and a buffer."""

    name: ClassVar[str] = "scale"

    def apply(self, x: Tensor, place: Place) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * place.tensors["scale"].view(shape) + place.tensors["shift"].view(shape)

    def kept(self, part: Part) -> Kept:
        return Kept(reads=True)

    def tensors(self) -> dict[str, OwnTensor]:
        return {"scale": OwnTensor(initial=2.0), "shift": OwnTensor(initial=1.0, trained=False)}

    def multiply_adds(self, channels: int, size: int) -> int:
        return channels * size**2


def conv1(*then: Operation) -> Layer:
    model = ModelConfig(image_size=36, classes=7)
    return replace(describe(model)[0], then=then)


def test_the_pattern_of_2012_is_one_operation() -> None:
    assert fuse((Relu(), NORM, MaxPool())) == (ReluLrnPool(1e-4),)
    assert fuse((Relu(), MaxPool())) == (ReluLrnPool(None),)
    assert fuse((LeakyRelu(), Relu(), NORM, MaxPool(), Relu())) == (LeakyRelu(), ReluLrnPool(1e-4), Relu())


@pytest.mark.parametrize(
    "then",
    [
        (),
        (Relu(),),
        (Relu(), NORM),
        (NORM, MaxPool()),
        (LeakyRelu(), NORM, MaxPool()),
        (Relu(), LocalResponseNorm(1e-4, k=1.0), MaxPool()),
        (Relu(), LocalResponseNorm(1e-4, size=3), MaxPool()),
        (Relu(), Dropout(0.5)),
    ],
)
def test_anything_else_stays_as_it_is(then: tuple[Operation, ...]) -> None:
    assert fuse(then) == then


def test_of_a_subclass_nothing_is_known() -> None:
    @dataclass(frozen=True)
    class Other(Relu):
        """Applied differently."""

    assert fuse((Other(), MaxPool())) == (Other(), MaxPool())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_normalisation_without_pooling_is_applied(dtype: torch.dtype) -> None:
    network = Network([conv1(LeakyRelu(0.2), NORM)], precision=Precision(dtype, dtype))
    x = torch.randn(2, 3, 36, 36, dtype=dtype)
    product = functional.conv2d(functional.pad(x, (0, 3, 0, 3)), network.conv1.weight, network.conv1.bias, 4)
    assert torch.equal(network(x), local_response_norm(functional.leaky_relu(product, 0.2), 2, 1e-4))


def test_the_maps_of_a_table_follow_from_its_operations() -> None:
    assert [conv1(*then).result_size for then in ((), (MaxPool(),), (MaxPool(), Relu(), MaxPool()))] == [8, 4, 2]
    shapes = [Network([conv1(*then)])(torch.zeros(1, 3, 36, 36)).shape for then in ((), (MaxPool(),), (MaxPool(), Relu(), MaxPool()))]
    assert shapes == [(1, 96, 8, 8), (1, 96, 4, 4), (1, 96, 2, 2)]


def test_operations_bring_tensors() -> None:
    layer = conv1(Scale(), Relu())
    network = Network([layer], {"conv1": Share(slice(48, 96))})
    assert {name: tuple(p.shape) for name, p in network.named_parameters() if "bias" not in name} == {
        "conv1.weight": (48, 3, 11, 11),
        "conv1.scale": (48,),
    }
    assert {name: tuple(b.shape) for name, b in network.named_buffers()} == {"conv1.shift": (48,)}
    assert (layer.parameters, layer.buffers) == (34_944 + 96, 96)
    assert layer.multiply_adds == conv1().multiply_adds + 96 * 8 * 8
    x = torch.randn(1, 3, 36, 36)
    plain = Network([conv1()], {"conv1": Share(slice(48, 96))})(x)
    assert torch.equal(network(x), functional.relu(plain * 2 + 1))
    assert not list(Network([layer], {"conv1": Share(slice(0, 0))}).parameters()), "a rank without a part of the layer has none"


@pytest.mark.parametrize(
    ("index", "then", "message"),
    [
        (5, (Relu(), NORM), "fc6: LRN cannot follow a linear layer, only conv"),
        (5, (MaxPool(),), "fc6: max-pool cannot follow a linear layer, only conv"),
        (0, (Dropout(0.5),), "conv1: dropout cannot follow a conv layer, only linear"),
        (5, (Dropout(0.5), Dropout(0.1)), "fc6: two dropouts would draw the same mask; keep one"),
        (0, (Scale(), Scale()), "conv1: two tensors are called scale, shift; call those of the operations differently"),
    ],
)
def test_what_cannot_follow_is_refused(index: int, then: tuple[Operation, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(describe(ModelConfig())[index], then=then)


def test_what_a_fused_run_keeps_is_less_than_its_parts() -> None:
    (fused,) = fuse((Relu(), NORM, MaxPool()))
    assert fused.kept(PART) == Kept(reads=True, beside=8 * 2 * 2)
    assert NORM.kept(PART) == Kept(reads=False, beside=(3 * 8 + 2 * 4 + 8) * 25 * 4)
    assert NORM.kept(replace(PART, towers=1)) == Kept(reads=True, beside=(3 * 8 + 4) * 25 * 4)
