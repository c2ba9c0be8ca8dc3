"""A layer's product that hides the exchange of its input: first the half whose input is already here, then the one that has arrived.

    forward    send own channels, receive the others' | y = W_own x_own + b |  wait  | y += W_other x_other
    backward   W' g | send the others' channels of it, receive what they made of own ones | g_W |  wait  | add up

The same numbers as `gather_shards` followed by the product, in another order of summation.

Letters: B images, C channels of a shard, R ranks of the axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dist_alexnet.model.layers import Layer
from dist_alexnet.model.network import multiply
from dist_alexnet.parallel.exchanges.exchange import Channel, Exchange


@dataclass(frozen=True)
class OverlappedProduct:
    """Product of a layer that all ranks of an axis read; the layer keeps no towers apart."""

    exchange: Exchange
    sizes: Sequence[int]  # channels of the input that each rank holds
    channel: Channel

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor, layer: Layer) -> Tensor:
        """This rank's outputs, from its part of the input.

        Args:
            x: [B, C, ...], C = sizes[channel.rank].
            weight: of this rank's outputs, over all inputs.
            bias: of this rank's outputs.
            layer: which.
        """
        y: Tensor = _OverlappedProduct.apply(x, weight, bias, layer, self)
        return y


class _OverlappedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: Layer, product: OverlappedProduct) -> Tensor:
        channel = product.channel
        own = x.movedim(1, -1).contiguous()  # channels-last activations travel without being copied
        arriving = {r: own.new_empty((*own.shape[:-1], product.sizes[r])) for r in channel.peers}
        transfer = channel.start(layer.name, "forward", dict.fromkeys(channel.peers, own), arriving, product.exchange.wire)
        y = multiply(x, _columns(weight, channel.rank, product, x), bias, layer)
        transfer.wait()
        parts = {r: part.movedim(-1, 1) for r, part in arriving.items()}
        for r, part in parts.items():
            y += multiply(part, _columns(weight, r, product, part), None, layer)
        ctx.layer, ctx.product = layer, product
        ctx.save_for_backward(torch.cat([x if r == channel.rank else parts[r] for r in range(channel.size)], dim=1), weight)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (joined, weight), product, layer = gradients, ctx.saved_tensors, ctx.product, ctx.layer
        channel = product.channel
        made = _input_gradient(gradient, joined, weight, layer).movedim(1, -1)
        parts = [part.contiguous() for part in torch.split(made, list(product.sizes), dim=-1)]
        partials = {r: torch.empty_like(parts[channel.rank]) for r in channel.peers}
        transfer = channel.start(layer.name, "backward", {r: parts[r] for r in channel.peers}, partials, product.exchange.wire)
        weight_gradient, bias_gradient = _parameter_gradients(gradient, joined, weight, layer)
        partials[channel.rank] = parts[channel.rank]
        transfer.wait()
        total = partials[0]
        for r in range(1, channel.size):  # in the order of the ranks, so that the sum is the same on every run
            total = total + partials[r]
        return total.movedim(-1, 1), weight_gradient, bias_gradient, None, None


def _columns(weight: Tensor, rank: int, product: OverlappedProduct, x: Tensor) -> Tensor:
    """The part of a weight that reads the channels of a rank; a linear layer reads a whole map per channel."""
    per_channel = x.shape[2:].numel() if weight.dim() == 2 else 1
    start = sum(product.sizes[:rank])
    return weight.narrow(1, start * per_channel, product.sizes[rank] * per_channel)


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, layer: Layer) -> Tensor:
    if layer.kind == "linear":
        return (gradient @ weight).view(x.shape)
    made: Tensor = _convolution_backward(gradient, x, weight, layer, (True, False, False))[0]
    return made


def _parameter_gradients(gradient: Tensor, x: Tensor, weight: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    if layer.kind == "linear":
        return gradient.t() @ x.flatten(1), gradient.sum(dim=0)
    _, weight_gradient, bias_gradient = _convolution_backward(gradient, x, weight, layer, (False, True, True))
    return weight_gradient, bias_gradient


def _convolution_backward(gradient: Tensor, x: Tensor, weight: Tensor, layer: Layer, wanted: tuple[bool, bool, bool]) -> Any:
    stride, padding = [layer.stride] * 2, [layer.padding] * 2
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, [weight.shape[0]], stride, padding, [1, 1], False, [0, 0], 1, list(wanted)
    )
