"""Checkpoints that do not know which strategy wrote them, and that anybody can read (docs/checkpoints.md).

    checkpoints/step-00000100/
        model.safetensors                 the network: whole tensors under canonical names, `conv1.weight`, ...
        optimizer/momentum.safetensors    `momentum.conv1.weight`, ...
        state.json                        where the run stands, and the checksums of the other files

Each file has one writer, so that ranks on several nodes may share a folder of any kind: the first rank writes the weights, the last one
the states of the update rule, today the momentum. They get what other ranks keep tensor by tensor. When which of it is written is said in
`saves.py`. No pickle in either direction.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dist_alexnet.checkpoints.canonical import canonical_tensors, holders, rows_kept
from dist_alexnet.checkpoints.tensor_file import Rows, Shapes
from dist_alexnet.checkpoints.tensor_headers import Piece, full_name, read_pieces
from dist_alexnet.config import UsageError
from dist_alexnet.model.layers import buffer_shapes, parameter_shapes
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.telemetry.clock import Clock
from dist_alexnet.update.optimizer import VelocitySGD


def written_here(strategy: Strategy, optimizer: VelocitySGD) -> dict[str, Shapes]:
    """The files that this rank writes: state of the update rule, or "" for the network itself -> its tensors by their full names."""
    return {
        kind: {full_name(kind, name): shape for name, shape in shapes.items()}
        for kind, shapes in _shapes(strategy, optimizer).items()
        if _writer(strategy, kind) == strategy.world.rank
    }


def collect(files: Mapping[str, Rows], strategy: Strategy, network: Network, optimizer: VelocitySGD) -> None:
    """Fill the files of `written_here` with what this rank and the others keep; every rank calls it."""
    rank, world = strategy.world.rank, strategy.world
    channel = Channel(None, rank, world.world_size, Traffic(), Clock(world.device))  # not counted as a part of any step
    tensors, shapes, states = canonical_tensors(strategy, network, optimizer), _shapes(strategy, optimizer), list(optimizer.buffers())
    together = [["", *states[:1]], *([state] for state in states[1:])]  # a rank sends a writer one tensor at a time
    for name, shape in shapes[""].items():
        for kinds in together:
            sends: dict[int, Tensor] = {}
            receives: dict[int, Tensor] = {}
            written: list[tuple[Rows, Tensor]] = []
            for kind in (kind for kind in kinds if name in shapes[kind]):
                writer, full = _writer(strategy, kind), full_name(kind, name)
                for holder, rows in holders(strategy, full, writer):
                    if holder == rank and writer != rank:
                        sends[writer] = tensors[full].contiguous()
                    elif writer == rank:
                        there = torch.empty((rows.stop - rows.start, *shape[1:]), dtype=network.precision.parameter, device=world.device)
                        written.append((files[kind], tensors[full] if holder == rank else receives.setdefault(holder, there)))
            channel.swap(name, "forward", sends, receives)
            for file, part in written:
                file.write(part)


def load_tensors(checkpoint: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD | None) -> None:
    """Fill this rank's parameters, and the states of the optimizer if there is one; every rank calls it.

    Raises:
        UsageError: the checkpoint is not there any more, or not whole.
    """
    with _reading(checkpoint):
        pieces = read_pieces(checkpoint)
        for name, tensor in canonical_tensors(strategy, network, optimizer).items():
            for piece in pieces[name]:
                _copy_rows(name, piece, rows_kept(strategy, name), tensor)
    network.refresh()


def _shapes(strategy: Strategy, optimizer: VelocitySGD) -> dict[str, Shapes]:
    """Of the tensors of the network, under "", and of each state of the update rule; by their names in the network."""
    trained = parameter_shapes(strategy.layers)
    return {"": trained | buffer_shapes(strategy.layers), **dict.fromkeys(optimizer.buffers(), trained)}


def _writer(strategy: Strategy, kind: str) -> int:
    return strategy.world.world_size - 1 if kind else 0


def _copy_rows(name: str, piece: Piece, rows: slice, tensor: Tensor) -> None:
    """What a piece has of these rows of a whole tensor; `tensor` holds the rows and no other."""
    start, stop = max(piece.first_row, rows.start), min(piece.end_row, rows.stop)
    if start < stop:
        with safe_open(piece.file, framework="pt") as file:
            part = file.get_slice(name)[start - piece.first_row : stop - piece.first_row]
            tensor[start - rows.start : stop - rows.start].copy_(part)


@contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """It was whole when the run was prepared: whoever wrote it may have deleted it since, having newer ones."""
    try:
        yield
    except (OSError, KeyError, SafetensorError, UsageError) as error:
        raise UsageError(f"checkpoint {checkpoint} is not there any more, or not whole ({error}); type another one") from None
