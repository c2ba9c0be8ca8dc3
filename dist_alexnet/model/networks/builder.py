"""From the lines of a table to layers: carries channels and map size from one to the next."""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from dist_alexnet.model.layers import Layer
from dist_alexnet.model.operations.contract import Kind, Operation


class Builder:
    """Appends layers; what it is not told follows from those before."""

    def __init__(self, channels: int, size: int, *, towers: int, joining: Collection[str], weight_std: Callable[[str, int], float]) -> None:
        """Begin with an image.

        Args:
            channels: of the image.
            size: its side.
            towers: that the network keeps apart.
            joining: names of the layers that read all towers; the first one reads the whole image in any case.
            weight_std: standard deviation of the initial weights, from the name of a layer and how many inputs an output has.
        """
        self._channels, self._size, self._towers, self._joining, self._weight_std = channels, size, towers, joining, weight_std
        self._layers: list[Layer] = []

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All so far, as a whole network."""
        return tuple(replace(layer, count=len(self._layers)) for layer in self._layers)

    def conv(
        self,
        name: str,
        out_channels: int,
        *,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        bias: float = 0.0,
        then: tuple[Operation, ...] = (),
    ) -> None:
        """A convolution; its map is as large as it takes for every pixel to be read, with zeros at the right and the bottom."""
        output_size = 1 + math.ceil((self._size + 2 * padding - kernel) / stride)
        overhang = (output_size - 1) * stride + kernel - self._size - 2 * padding
        sizes = {"output_size": output_size, "kernel": kernel, "stride": stride, "padding": padding, "overhang": overhang}
        self._append("conv", name, out_channels, kernel, bias=bias, then=then, **sizes)

    def linear(self, name: str, out_channels: int, *, bias: float = 0.0, then: tuple[Operation, ...] = ()) -> None:
        """A matrix product over the whole map."""
        sizes = {"output_size": 1, "kernel": 1, "stride": 1, "padding": 0, "overhang": 0}
        self._append("linear", name, out_channels, self._size, bias=bias, then=then, **sizes)

    def _append(self, kind: Kind, name: str, out_channels: int, window: int, **rest: Any) -> None:
        groups = 1 if not self._layers or name in self._joining else self._towers
        layer = Layer(
            index=len(self._layers),
            count=len(self._layers) + 1,
            name=name,
            kind=kind,
            before=self._layers[-1].kind if self._layers else None,
            in_channels=self._channels,
            out_channels=out_channels,
            input_size=self._size,
            groups=groups,
            towers=self._towers,
            weight_std=self._weight_std(name, self._channels // groups * window**2),
            **rest,
        )
        self._layers.append(layer)
        self._channels, self._size = out_channels, layer.result_size
