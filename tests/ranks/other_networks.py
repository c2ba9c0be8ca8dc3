"""Networks that are not of 2012: settings of another type find another table."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dist_alexnet.config import ModelConfig
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.networks.alexnet import JOINING, WEIGHT_STD, describe
from dist_alexnet.model.networks.builder import Builder
from dist_alexnet.model.operations.activation import LeakyRelu, Relu
from dist_alexnet.model.operations.contract import Kept, Operation, OwnTensor, Part, Place
from dist_alexnet.model.operations.dropout import Dropout
from dist_alexnet.model.operations.normalization import LocalResponseNorm
from dist_alexnet.model.operations.pooling import MaxPool
from dist_alexnet.testing.conformance import NARROW


@dataclass(frozen=True)
class LeakyConfig(ModelConfig):
    """Of a network of seven layers with leaky ReLU, whose third convolution is normalised and not pooled."""


@dataclass(frozen=True)
class ScaledConfig(ModelConfig):
    """Of a network with an operation that brings tensors."""


@dataclass(frozen=True)
class Scale(Operation):
    """A trained number for each channel, and a buffer that is added."""

    name: ClassVar[str] = "scale"

    def apply(self, x: Tensor, place: Place) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * place.tensors["scale"].view(shape) + place.tensors["shift"].view(shape)

    def kept(self, part: Part) -> Kept:
        return Kept(reads=True)

    def tensors(self) -> dict[str, OwnTensor]:
        return {"scale": OwnTensor(initial=2.0, rate=0.5, decay=1.0), "shift": OwnTensor(initial=1.0, trained=False)}

    def multiply_adds(self, channels: int, size: int) -> int:
        return channels * size**2


LEAKY = LeakyConfig(image_size=68, classes=7, widths=NARROW, init="fan_in")
SCALED = ScaledConfig(image_size=36, classes=7, widths=NARROW, init="fan_in")


def builder(model: ModelConfig) -> Builder:
    return Builder(3, model.image_size, towers=model.towers, joining=JOINING[model.connect], weight_std=WEIGHT_STD[model.init])


@describe.register
def _leaky(model: LeakyConfig) -> tuple[Layer, ...]:
    leaky, norm, width, add = LeakyRelu(0.2), LocalResponseNorm(0.1), model.widths, builder(model)
    add.conv("conv1", width.conv1, kernel=11, stride=4, then=(leaky, norm, MaxPool()))
    add.conv("conv2", width.conv2, kernel=5, padding=2, bias=1.0, then=(norm, Relu(), MaxPool()))
    add.conv("conv3", width.conv3, kernel=3, padding=1, then=(leaky, norm))
    add.conv("conv5", width.conv5, kernel=3, padding=1, bias=1.0, then=(MaxPool(), leaky))
    add.linear("fc6", width.fc6, bias=1.0, then=(leaky, Dropout(model.dropout)))
    add.linear("fc7", width.fc7, bias=1.0, then=(Dropout(model.dropout), leaky))
    add.linear("fc8", model.classes or 1000)
    return add.layers


@describe.register
def _scaled(model: ScaledConfig) -> tuple[Layer, ...]:
    width, add = model.widths, builder(model)
    add.conv("conv1", width.conv1, kernel=11, stride=4, then=(Scale(), Relu(), MaxPool()))
    add.linear("fc6", width.fc6, then=(Relu(), Scale()))
    add.linear("fc7", width.fc7, then=(Relu(),))
    add.linear("fc8", model.classes or 1000)
    return add.layers
