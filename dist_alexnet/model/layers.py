"""The network as data: eight layers, from which the module, the placements, `explain` and the byte counts all follow.

Letters: B images, C channels, H side of a square map (all maps are square). Source: Krizhevsky et al. 2012, section 3.5 and figure 2;
sizes as the authors' code computed them, with `ceil`, which settles "224 or 227": the last filter of conv1 hangs over the right and the
bottom edge, so zeros are padded there and nowhere else.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from dist_alexnet.config import ModelConfig

LRN_SIZE, LRN_BETA, LRN_K = 5, 0.75, 2.0  # section 3.3: n, beta, k
# Layers that read both towers, by model.connect (section 3.5 of the paper, and the experiments in the authors' notes).
JOINING = {
    "conv3": {"conv3", "fc6", "fc7", "fc8"},
    "none": {"fc8"},
    "conv4": {"conv4", "fc6", "fc7", "fc8"},
    "all": {"conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"},
}
LRN_ALPHA = {"paper": 1e-4, "code": 1e-4 / LRN_SIZE}  # the authors' parser divided alpha by n


@dataclass(frozen=True)
class Layer:
    """One of the eight layers with weights, and what follows it up to the next.

    A layer reads [B, in_channels, input_size, input_size], convolves (a linear layer flattens first), adds its bias and applies in this
    order what its flags name: ReLU, LRN, max-pool 3x3 stride 2, dropout.
    """

    index: int  # 0 to 7
    name: str
    kind: Literal["conv", "linear"]
    in_channels: int
    out_channels: int
    input_size: int  # side of the map it reads
    output_size: int  # side of the map before pooling; 1 for a linear layer
    kernel: int
    stride: int
    padding: int  # zeros on every side of the map
    overhang: int  # further zeros, at the right and the bottom only
    groups: int  # towers that the layer keeps apart: outputs of one read inputs of the same one only
    towers: int  # towers of the whole network: LRN never reads across them
    relu: bool
    lrn_alpha: float | None  # on the raw sum of squares; None: no LRN here
    pool: bool
    dropout: float
    weight_std: float
    bias: float  # the value every bias starts at

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Canonical shape: [out, in / groups, k, k] of a convolution, [out, in / groups] of a linear layer."""
        if self.kind == "conv":
            return (self.out_channels, self.in_channels // self.groups, self.kernel, self.kernel)
        return (self.out_channels, self.inputs // self.groups)

    @property
    def inputs(self) -> int:
        """Elements per image that the layer reads."""
        return self.in_channels * self.input_size**2

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return math.prod(self.weight_shape) + self.out_channels

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds per image, forward."""
        return math.prod(self.weight_shape) * self.output_size**2

    @property
    def result_size(self) -> int:
        """Side of the map that the next layer reads."""
        return pooled_size(self.output_size) if self.pool else self.output_size


def pooled_size(side: int) -> int:
    """Side of the map after a 3x3 max-pool with stride 2 (section 3.4: overlapping pooling)."""
    return 1 + math.ceil((side - 3) / 2)


def describe(model: ModelConfig) -> tuple[Layer, ...]:
    """The eight layers of a configuration; 1000 classes, as in the paper, where `model.classes` is null."""
    width = asdict(model.widths)
    alpha = LRN_ALPHA.get(model.lrn)
    add = _Builder(model)
    add("conv1", width["conv1"], kernel=11, stride=4, lrn_alpha=alpha, pool=True)
    add("conv2", width["conv2"], kernel=5, padding=2, bias=1.0, lrn_alpha=alpha, pool=True)
    add("conv3", width["conv3"], kernel=3, padding=1)
    add("conv4", width["conv4"], kernel=3, padding=1, bias=1.0)
    add("conv5", width["conv5"], kernel=3, padding=1, bias=1.0, pool=True)
    add("fc6", width["fc6"], bias=1.0, dropout=model.dropout)
    add("fc7", width["fc7"], bias=1.0, dropout=model.dropout)
    add("fc8", model.classes or 1000, relu=False)
    return tuple(add.layers)


def parameter_shapes(layers: Iterable[Layer]) -> dict[str, tuple[int, ...]]:
    """Canonical name -> shape of every weight and bias."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes |= {f"{layer.name}.weight": layer.weight_shape, f"{layer.name}.bias": (layer.out_channels,)}
    return shapes


class _Builder:
    """Appends layers, carrying channels and map size from one to the next."""

    def __init__(self, model: ModelConfig) -> None:
        self.model = model
        self.layers: list[Layer] = []
        self.channels, self.size = 3, model.image_size

    def __call__(
        self,
        name: str,
        out_channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        relu: bool = True,
        lrn_alpha: float | None = None,
        pool: bool = False,
        dropout: float = 0.0,
        bias: float = 0.0,
    ) -> None:
        conv = name.startswith("conv")
        groups = 1 if name == "conv1" or name in JOINING[self.model.connect] else self.model.towers
        output_size = 1 + math.ceil((self.size + 2 * padding - kernel) / stride) if conv else 1
        fan_in = self.channels // groups * (kernel if conv else self.size) ** 2
        self.layers.append(
            Layer(
                index=len(self.layers),
                name=name,
                kind="conv" if conv else "linear",
                in_channels=self.channels,
                out_channels=out_channels,
                input_size=self.size,
                output_size=output_size,
                kernel=kernel,
                stride=stride,
                padding=padding,
                overhang=(output_size - 1) * stride + kernel - self.size - 2 * padding if conv else 0,
                groups=groups,
                towers=self.model.towers,
                relu=relu,
                lrn_alpha=lrn_alpha,
                pool=pool,
                dropout=dropout,
                weight_std=_WEIGHT_STD[self.model.init](name, fan_in),
                bias=bias,
            )
        )
        self.channels, self.size = out_channels, self.layers[-1].result_size


# Standard deviation of the initial weights by model.init: section 5 of the paper; layers-145.cfg of the authors; He et al. 2015, eq. 10.
_WEIGHT_STD: dict[str, Callable[[str, int], float]] = {
    "paper": lambda name, fan_in: 0.01,
    "code": lambda name, fan_in: 0.03 if name in ("conv3", "conv4", "conv5") else 0.01,
    "fan_in": lambda name, fan_in: math.sqrt(2 / fan_in),
}
