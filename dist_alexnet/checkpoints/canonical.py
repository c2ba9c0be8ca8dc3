"""The tensors of a network under the names by which all ranks, checkpoints and comparisons know them, and which rows a rank keeps."""

from torch import Tensor
from torch.distributed.tensor import DTensor

from dist_alexnet.checkpoints.tensor_headers import full_name, split_name
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.placement import interval, length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.optimizer import VelocitySGD


def canonical_tensors(strategy: Strategy, network: Network, optimizer: VelocitySGD | None) -> dict[str, Tensor]:
    """Canonical name -> the rows of the tensor that this rank keeps, where it keeps any. Shares memory with the parameters."""
    tensors = {name: parameter.detach() for name, parameter in network.named_parameters()} | dict(network.named_buffers())
    for state, by_name in (optimizer.buffers() if optimizer else {}).items():
        tensors |= {full_name(state, name): buffer for name, buffer in by_name.items()}
    kept = {name: tensor for name, tensor in tensors.items() if length(rows_kept(strategy, name))}
    return {name: tensor.to_local() if isinstance(tensor, DTensor) else tensor for name, tensor in kept.items()}


def rows_kept(strategy: Strategy, name: str) -> slice:
    """Which rows of a canonical tensor a rank keeps: of a state where it is updated, of what is not trained where it is used."""
    state, name_of_layer, tensor = split_name(name)
    layer = next(layer for layer in strategy.layers if layer.name == name_of_layer)
    own = layer.own_tensors.get(tensor)
    if own and not own.trained:
        return strategy.outputs(layer)
    placement = strategy.momentum(layer) if state else strategy.stored(layer)
    return interval(layer.out_channels, placement, strategy.mesh, strategy.coordinate)


def holders(strategy: Strategy, name: str, first: int) -> list[tuple[int, slice]]:
    """Ranks that together keep a whole tensor, with their rows, in the order of the rows; rank `first` wherever it is one that has them."""
    found: dict[int, tuple[int, slice]] = {}
    for rank in (first, *range(strategy.world.world_size)):
        rows = rows_kept(strategy.at(rank), name)
        if length(rows):
            found.setdefault(rows.start, (rank, rows))
    return [found[start] for start in sorted(found)]
