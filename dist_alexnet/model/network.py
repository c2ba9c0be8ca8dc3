"""The network, written once: it computes whatever share of each layer a rank holds, and knows no strategy.

Letters: B images, C channels, H side of the map; a share of a layer has the output channels [start, stop) of C.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dist_alexnet.model.block import relu_lrn_pool
from dist_alexnet.model.dropout import keep_mask
from dist_alexnet.model.layers import Layer


@dataclass(frozen=True)
class Share:
    """What one rank computes of one layer."""

    outputs: slice  # output channels, with start and stop; empty: the rank has no part in this layer
    exchange: Callable[[Tensor], Tensor] | None = None  # applied to the layer's input first


@dataclass(frozen=True)
class Draw:
    """What the random numbers of one forward pass depend on, besides layer and unit."""

    seed: int
    step: int
    rows: Tensor  # [B] int64: rows of the global batch


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
        if self.weight is None:
            return x  # the (empty) result of the exchange, which keeps its adjoint in the graph
        y: Tensor = self._activate(self._multiply(x, self.weight))
        return self._drop(y, draw) if self.layer.dropout else y

    def _multiply(self, x: Tensor, weight: Tensor) -> Tensor:
        layer = self.layer
        if layer.kind == "linear":
            return functional.linear(x.flatten(1), weight, self.bias)
        if layer.overhang:
            x = functional.pad(x, (0, layer.overhang, 0, layer.overhang))
        return functional.conv2d(x, weight, self.bias, layer.stride, layer.padding, groups=self.groups)

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
        return x * keep


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
