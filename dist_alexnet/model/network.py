"""The network, written once: it computes whatever share of each layer a rank holds, and knows no strategy.

Letters: B images, C channels, H side of the map; a share of a layer has the output channels [start, stop) of C.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from dist_alexnet.model.block.choose import fuse
from dist_alexnet.model.layers import Layer
from dist_alexnet.model.operations.contract import Draw, Kind, MaskWatcher, Place
from dist_alexnet.model.precision import Precision

__all__ = ["Draw", "LayerShare", "MaskWatcher", "Network", "Product", "Share", "Span", "canonical_parameters", "multiply"]


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


def canonical_parameters(layer: Layer, seed: int) -> tuple[Tensor, Tensor]:
    """Initial weight and bias of the whole layer, in float32 on the CPU: the same whoever asks (paper, section 5)."""
    generator = torch.Generator().manual_seed(seed * 64 + layer.index)
    weight = torch.randn(layer.weight_shape, generator=generator) * layer.weight_std
    return weight, torch.full((layer.out_channels,), layer.bias)


class LayerShare(nn.Module):
    """One layer with weights and its operations, for the output channels that this rank holds. Their tensors have names beside `weight`.

    In mixed precision `copies` has its parameters in the type of activations, by name; `refresh` makes them anew.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, layer: Layer, share: Share, seed: int, device: torch.device, precision: Precision) -> None:
        super().__init__()
        self.layer, self.share, self.precision, dtype = layer, share, precision, precision.parameter
        self.copies: dict[str, Tensor] = {}
        outputs = share.outputs.stop - share.outputs.start
        # A tower is a run of output channels, so a share holds that part of the groups and of the towers that it holds of the channels.
        self.groups, self.towers = (max(1, n * outputs // layer.out_channels) for n in (layer.groups, layer.towers))
        whole = [operation.name for operation in layer.then if operation.reads_whole_towers]
        if whole and outputs * layer.towers % layer.out_channels:
            raise ValueError(f"{layer.name}: channels {share.outputs} cut through a tower, and {whole[0]} reads its whole tower")
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if not outputs:
            return  # a rank without a part in this layer has no parameters of it, not empty ones, for which DDP would wait
        weight, bias = (p[share.outputs].to(device, dtype) for p in canonical_parameters(layer, seed))
        if layer.kind == "conv":
            weight = weight.contiguous(memory_format=torch.channels_last)
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        for name, own in layer.own_tensors.items():
            tensor = torch.full((outputs, *own.shape), own.initial, device=device, dtype=dtype)
            if own.trained:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        if precision.mixed:
            self.copies = {name: p.detach().to(precision.activation) for name, p in self.named_parameters()}

    def forward(self, x: Tensor, draw: Draw | None) -> Tensor:
        """[B, C_in, H, H] -> [B, C_out, H', H'] of this share; [B, C_out] for a linear layer.

        Args:
            x: what the layer before left on this rank.
            draw: of random numbers; needed in training mode only.
        """
        if self.share.exchange:
            x = self.share.exchange(x)
        if self.weight is None or self.bias is None:
            y = self._nothing(x)
        else:
            y = self._map(x, self._read("weight"), self._read("bias"))
            place = self._place(draw)
            for operation in fuse(self.layer.then):
                y = operation.apply(y, place).to(self.precision.activation)
        return y.to(self.precision.parameter) if self.layer.is_last else y

    @torch.no_grad()
    def refresh(self) -> None:
        """Have products read the parameters as they are now."""
        for name, copy in self.copies.items():
            copy.copy_(self.get_parameter(name))

    def _map(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if self.share.product:
            return self.share.product(x, weight, bias, self.layer)
        return multiply(x, weight, bias, self.layer, self.groups)

    def _read(self, name: str) -> Tensor:
        """A tensor of the layer as it is computed with."""
        tensor: Tensor = getattr(self, name)
        if name in self.copies:
            tensor = _ReadCopy.apply(tensor, self.copies[name])
        return tensor

    def _nothing(self, x: Tensor) -> Tensor:
        """No channel of the layer, but with a place in the graph: the adjoint of an exchange must run here too."""
        if self.layer.kind == "linear":
            return x.flatten(1)[:, :0]
        side = self.layer.result_size
        return x.flatten(1)[:, :0].reshape(len(x), 0, side, side)

    def _place(self, draw: Draw | None) -> Place:
        tensors = {name: self._read(name) for name in self.layer.own_tensors}
        return Place(self.layer.index, self.layer.name, self.share.outputs, self.towers, self.training, draw, tensors)


class _ReadCopy(torch.autograd.Function):
    """A copy of a parameter in another type; its gradient is the parameter's, in the parameter's type."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, copy: Tensor) -> Tensor:
        ctx.dtype = parameter.dtype
        return copy.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].to(ctx.dtype), None


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
    """All layers, each reduced to this rank's share. Parameters are named as in a checkpoint: `conv1.weight`."""

    def __init__(
        self,
        layers: Sequence[Layer],
        shares: Mapping[str, Share] | None = None,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        precision: Precision = Precision(),  # noqa: B008 - frozen
    ) -> None:
        """Build the shares, from initial weights that are drawn whole and then cut.

        Args:
            layers: the network, from `describe`.
            shares: layer name -> share; a layer that is not named is held whole.
            seed: of the initial weights.
            device: where the parameters live.
            precision: types of parameters and activations.
        """
        super().__init__()
        for layer in layers:
            share = (shares or {}).get(layer.name, Share(slice(0, layer.out_channels)))
            self.add_module(layer.name, LayerShare(layer, share, seed, torch.device(device), precision))
        self.precision = precision

    def forward(self, images: Tensor, draw: Draw | None = None) -> Tensor:
        """Scores [B, k] of the classes that this rank holds, in the type of parameters, from images [B, 3, S, S] in that of activations."""
        x = images
        for layer in self.children():
            x = layer(x, draw)
        return x

    def refresh(self) -> None:
        """Have products read the parameters as they are now: after an update, or after others were loaded."""
        refresh(self)

    def span(self, kind: Kind) -> "Span":
        """The convolutional or the fully connected part, over the same parameters."""
        return Span([layer for layer in self.children() if isinstance(layer, LayerShare) and layer.layer.kind == kind])


def refresh(module: nn.Module) -> None:
    """As `Network.refresh`, of the layers in a module."""
    for layer in module.modules():
        if isinstance(layer, LayerShare):
            layer.refresh()


class Span(nn.Sequential):
    """Neighbouring layers of a network, to call or to wrap on their own."""

    def __init__(self, layers: Sequence[LayerShare]) -> None:
        super().__init__(*layers)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """What the last of the layers gives."""
        for layer in self:
            x = layer(x, draw)
        return x
