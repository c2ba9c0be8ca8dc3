"""The network, written once: it computes whatever share of each layer a rank holds, and knows no strategy.

Letters: B images, C channels, H side of the map; a share of a layer has the output channels [start, stop) of C.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from dist_alexnet.model.block.choose import relu_lrn_pool
from dist_alexnet.model.dropout import keep_mask
from dist_alexnet.model.layers import Layer

MaskWatcher = Callable[[int, Tensor, slice, Tensor], None]  # is told layer, rows, units and mask of a dropout


class Product(Protocol):
    """A layer's linear map that fetches what it lacks of its input by itself."""

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor, layer: Layer) -> Tensor:
        """The share's part of the map, from the part of the input that the layer before left here."""


@dataclass(frozen=True)
class Share:
    """What one rank computes of one layer."""

    outputs: slice  # output channels, with start and stop; empty: the rank has no part in this layer
    exchange: Callable[[Tensor], Tensor] | None = None  # applied to the layer's input first
    product: Product | None = None  # in place of exchange and linear map


@dataclass(frozen=True)
class Draw:
    """What the random numbers of one forward pass depend on, besides layer and unit."""

    seed: int
    step: int
    rows: Tensor  # [B] int64: rows of the global batch
    watch: MaskWatcher | None = None


def canonical_parameters(layer: Layer, seed: int) -> tuple[Tensor, Tensor]:
    """Initial weight and bias of the whole layer, in float32 on the CPU: the same whoever asks (paper, section 5)."""
    generator = torch.Generator().manual_seed(seed * 64 + layer.index)
    weight = torch.randn(layer.weight_shape, generator=generator) * layer.weight_std
    return weight, torch.full((layer.out_channels,), layer.bias)


class LayerShare(nn.Module):
    """One layer with weights and what follows it, for the output channels that this rank holds."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, layer: Layer, share: Share, seed: int, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer, self.share = layer, share
        outputs = share.outputs.stop - share.outputs.start
        # A tower is a run of output channels, so a share holds that part of the groups and of the towers that it holds of the channels.
        self.groups, self.towers = (max(1, n * outputs // layer.out_channels) for n in (layer.groups, layer.towers))
        if layer.lrn_alpha and outputs * layer.towers % layer.out_channels:
            raise ValueError(f"{layer.name}: channels {share.outputs} cut through a tower, and LRN reads its whole tower")
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if not outputs:
            return  # a rank without a part in this layer has no parameters of it, not empty ones, for which DDP would wait
        weight, bias = (p[share.outputs].to(device, dtype) for p in canonical_parameters(layer, seed))
        if layer.kind == "conv":
            weight = weight.contiguous(memory_format=torch.channels_last)
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

    def forward(self, x: Tensor, draw: Draw | None) -> Tensor:
        """[B, C_in, H, H] -> [B, C_out, H', H'] of this share; [B, C_out] for a linear layer.

        Args:
            x: what the layer before left on this rank.
            draw: of the dropout mask; needed in training mode only.
        """
        if self.share.exchange:
            x = self.share.exchange(x)
        if self.weight is None or self.bias is None:
            return self._nothing(x)
        if self.share.product:
            y = self.share.product(x, self.weight, self.bias, self.layer)
        else:
            y = multiply(x, self.weight, self.bias, self.layer, self.groups)
        y = self._activate(y)
        return self._drop(y, draw) if self.layer.dropout else y

    def _nothing(self, x: Tensor) -> Tensor:
        """No channel of the layer, but with a place in the graph: the adjoint of an exchange must run here too."""
        if self.layer.kind == "linear":
            return x.flatten(1)[:, :0]
        side = self.layer.result_size
        return x.flatten(1)[:, :0].reshape(len(x), 0, side, side)

    def _activate(self, x: Tensor) -> Tensor:
        if self.layer.pool:
            return relu_lrn_pool(x, self.towers, self.layer.lrn_alpha)
        return functional.relu(x) if self.layer.relu else x

    def _drop(self, x: Tensor, draw: Draw | None) -> Tensor:
        """2012 style (section 4.2): units are dropped in training without rescaling the rest, and all are scaled in the test."""
        if not self.training:
            return x * (1 - self.layer.dropout)
        if draw is None:
            raise ValueError(f"{self.layer.name}: training mode needs a Draw for its dropout mask")
        keep = keep_mask(
            seed=draw.seed,
            step=draw.step,
            layer=self.layer.index,
            rows=draw.rows,
            units=self.share.outputs,
            dropout=self.layer.dropout,
        )
        if draw.watch:
            draw.watch(self.layer.index, draw.rows, self.share.outputs, keep)
        return x * keep


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer, groups: int = 1) -> Tensor:
    """The linear map of a layer: convolution or matrix product, each of `groups` runs of outputs reading its own run of inputs."""
    if layer.kind == "conv":
        if layer.overhang:
            x = functional.pad(x, (0, layer.overhang, 0, layer.overhang))
        return functional.conv2d(x, weight, bias, layer.stride, layer.padding, groups=groups)
    x = x.flatten(1)
    if groups == 1:
        return functional.linear(x, weight, bias)
    towers = zip(x.chunk(groups, dim=1), weight.chunk(groups), strict=True)
    y = torch.cat([functional.linear(part, rows) for part, rows in towers], dim=1)
    return y if bias is None else y + bias


class Network(nn.Module):
    """The eight layers, each reduced to this rank's share. Parameters are named as in a checkpoint: `conv1.weight`."""

    def __init__(
        self,
        layers: Sequence[Layer],
        shares: Mapping[str, Share] | None = None,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Build the shares, from initial weights that are drawn whole and then cut.

        Args:
            layers: the network, from `describe`.
            shares: layer name -> share; a layer that is not named is held whole.
            seed: of the initial weights.
            device: where the parameters live.
            dtype: of the parameters and of the computation.
        """
        super().__init__()
        for layer in layers:
            share = (shares or {}).get(layer.name, Share(slice(0, layer.out_channels)))
            self.add_module(layer.name, LayerShare(layer, share, seed, torch.device(device), dtype))

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters and of the computation."""
        return next(self.parameters()).dtype

    def forward(self, images: Tensor, draw: Draw | None = None) -> Tensor:
        """Scores [B, k] of the classes that this rank holds, from images [B, 3, S, S]."""
        x = images
        for layer in self.children():
            x = layer(x, draw)
        return x

    def span(self, kind: Literal["conv", "linear"]) -> "Span":
        """The convolutional or the fully connected part, over the same parameters."""
        return Span([layer for layer in self.children() if isinstance(layer, LayerShare) and layer.layer.kind == kind])


class Span(nn.Sequential):
    """Neighbouring layers of a network, to call or to wrap on their own."""

    def __init__(self, layers: Sequence[LayerShare]) -> None:
        super().__init__(*layers)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """What the last of the layers gives."""
        for layer in self:
            x = layer(x, draw)
        return x
