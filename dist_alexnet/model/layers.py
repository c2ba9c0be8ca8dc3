"""A network as data: layers, from which the module, the placements, `explain` and the byte counts all follow.

Letters: B images, C channels, H side of a square map (all maps are square).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dist_alexnet.model.operations.contract import Kind, Operation, OwnTensor
from dist_alexnet.model.operations.dropout import Dropout


@dataclass(frozen=True)
class Layer:
    """A linear map with weight and bias, and the operations that follow it up to the next.

    A layer reads [B, in_channels, input_size, input_size], convolves (a linear layer flattens first), adds its bias and applies its
    operations in their order.

    Raises:
        ValueError: operations that cannot follow this map, or each other; for the author of a table.
    """

    index: int  # from 0
    count: int  # layers of the network
    name: str
    kind: Kind
    before: Kind | None  # kind of the layer before; None: it is the first
    in_channels: int
    out_channels: int
    input_size: int  # side of the map it reads
    output_size: int  # side of the map that the first operation reads; 1 for a linear layer
    kernel: int
    stride: int
    padding: int  # zeros on every side of the map
    overhang: int  # further zeros, at the right and the bottom only
    groups: int  # towers that the layer keeps apart: outputs of one read inputs of the same one only
    towers: int  # towers of the whole network: no operation reads across them
    weight_std: float
    bias: float  # the value every bias starts at
    then: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        names = ["weight", "bias"]
        for operation in self.then:
            if self.kind not in operation.after:
                raise ValueError(f"{self.name}: {operation.name} cannot follow a {self.kind} layer, only {' or '.join(operation.after)}")
            names += operation.tensors()
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{self.name}: two tensors are called {', '.join(twice)}; call those of the operations differently")
        if sum(isinstance(operation, Dropout) for operation in self.then) > 1:
            raise ValueError(f"{self.name}: two dropouts would draw the same mask; keep one")

    # ------------------------------------------------------------------ its place in the network

    @property
    def is_first(self) -> bool:
        """Reads the images."""
        return self.index == 0

    @property
    def is_last(self) -> bool:
        """Gives the scores of the classes."""
        return self.index == self.count - 1

    @property
    def is_first_linear(self) -> bool:
        """A linear layer that reads maps, or the images."""
        return self.kind == "linear" and self.before != "linear"

    # ------------------------------------------------------------------ sizes, of one image

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of what it reads, as the layer before leaves it: [C, H, H] or [C]."""
        return (self.in_channels,) if self.before == "linear" else (self.in_channels, self.input_size, self.input_size)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Of what it leaves: [C, H, H] or [C]."""
        return (self.out_channels,) if self.kind == "linear" else (self.out_channels, self.result_size, self.result_size)

    @property
    def result_size(self) -> int:
        """Side of the map that the next layer reads."""
        size = self.output_size
        for operation in self.then:
            size = operation.result_size(size)
        return size

    @property
    def inputs(self) -> int:
        """Elements that the layer reads."""
        return self.in_channels * self.input_size**2

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds, forward."""
        total, size = math.prod(self.weight_shape) * self.output_size**2, self.output_size
        for operation in self.then:
            total += operation.multiply_adds(self.out_channels, size)
            size = operation.result_size(size)
        return total

    # ------------------------------------------------------------------ tensors

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Canonical shape: [out, in / groups, k, k] of a convolution, [out, in / groups] of a linear layer."""
        if self.kind == "conv":
            return (self.out_channels, self.in_channels // self.groups, self.kernel, self.kernel)
        return (self.out_channels, self.inputs // self.groups)

    @property
    def own_tensors(self) -> dict[str, OwnTensor]:
        """Name -> what the operations bring besides weight and bias."""
        return {name: tensor for operation in self.then for name, tensor in operation.tensors().items()}

    @property
    def parameters(self) -> int:
        """Numbers that are trained: a multiple of `out_channels`."""
        own = sum(math.prod(tensor.shape) for tensor in self.own_tensors.values() if tensor.trained)
        return math.prod(self.weight_shape) + self.out_channels * (1 + own)

    @property
    def buffers(self) -> int:
        """Numbers that are kept and not trained: a multiple of `out_channels`."""
        return self.out_channels * sum(math.prod(tensor.shape) for tensor in self.own_tensors.values() if not tensor.trained)

    @property
    def dropout(self) -> float:
        """Probability that a unit is dropped."""
        return next((operation.probability for operation in self.then if isinstance(operation, Dropout)), 0.0)


def parameter_shapes(layers: Iterable[Layer]) -> dict[str, tuple[int, ...]]:
    """Canonical name -> shape of everything that is trained."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes |= {f"{layer.name}.weight": layer.weight_shape, f"{layer.name}.bias": (layer.out_channels,)} | _own(layer, trained=True)
    return shapes


def buffer_shapes(layers: Iterable[Layer]) -> dict[str, tuple[int, ...]]:
    """Canonical name -> shape of what is kept and not trained."""
    return {name: shape for layer in layers for name, shape in _own(layer, trained=False).items()}


def own_tensors(layers: Iterable[Layer]) -> dict[str, OwnTensor]:
    """Canonical name -> what operations bring, for the update rule."""
    return {f"{layer.name}.{name}": tensor for layer in layers for name, tensor in layer.own_tensors.items()}


def _own(layer: Layer, trained: bool) -> dict[str, tuple[int, ...]]:
    tensors = layer.own_tensors.items()
    return {f"{layer.name}.{name}": (layer.out_channels, *tensor.shape) for name, tensor in tensors if tensor.trained == trained}
