"""Checkpoints that do not know which strategy wrote them, and that anybody can read (docs/checkpoints.md).

    checkpoints/step-00000100/
        model.safetensors                 the network: whole tensors under canonical names, `conv1.weight`, ...
        optimizer/momentum.safetensors    `momentum.conv1.weight`, ...
        state.json                        where the run stands, and the checksums of the other files

Each file has one writer, so that ranks on several nodes may share a folder of any kind: the first rank writes the weights, the last one
the states of the update rule, today the momentum. They get what other ranks keep tensor by tensor, and write it as it comes. All of it
under a temporary name, which is changed when everything is on disk, so that a run can be killed at any instant. No pickle in either
direction.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dist_alexnet.checkpoints.canonical import canonical_tensors, holders, rows_kept
from dist_alexnet.checkpoints.files import TEMPORARY, folder_name, list_checkpoints
from dist_alexnet.checkpoints.state import STATE_FILE, TrainingState, write_state
from dist_alexnet.checkpoints.tensor_file import TensorFile
from dist_alexnet.checkpoints.tensor_headers import Piece, full_name, read_pieces, state_file
from dist_alexnet.config import UsageError
from dist_alexnet.model.layers import buffer_shapes, parameter_shapes
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.exchanges.exchange import Channel
from dist_alexnet.parallel.exchanges.traffic import Traffic
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.telemetry.clock import Clock
from dist_alexnet.update.optimizer import VelocitySGD

SHA256_BYTES = 32


def save(folder: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD, state: TrainingState, keep: int = 0) -> Path:
    """Write `folder/step-NNNNNNNN`; every rank calls it. Keeps the newest `keep` checkpoints (0: all) and returns the new one."""
    target = folder / folder_name(state.step)
    temporary = folder / (TEMPORARY + target.name)
    first = strategy.world.rank == 0
    if first:
        folder.mkdir(exist_ok=True)  # and not the run folder, which somebody may just be deleting
        for leftover in folder.glob(TEMPORARY + "*"):  # of a run that was killed
            shutil.rmtree(leftover)
    dist.barrier()
    checksums = _write_tensors(temporary, strategy, network, optimizer)
    if first:
        write_state(temporary, replace(state, files=checksums))
        _flush(temporary / STATE_FILE, *(path.parent for path in temporary.rglob("*.safetensors")))
        doomed = [_set_aside(target)] if target.exists() else []  # the same step once more, after a resume
        temporary.rename(target)
        _flush(folder)
        others = [path for path in list_checkpoints(folder) if path != target]
        doomed += [_set_aside(old) for old in (others[: max(len(others) + 1 - keep, 0)] if keep else ())]
        for old in doomed:
            shutil.rmtree(old)
    dist.barrier()
    return target


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


def _write_tensors(folder: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD) -> dict[str, str]:
    """Write all files; returns, on the first rank, their checksums."""
    rank, last = strategy.world.rank, strategy.world.world_size - 1
    channel = Channel(None, rank, last + 1, Traffic(), Clock(strategy.world.device))  # not counted as a part of any step
    tensors, trained, states = canonical_tensors(strategy, network, optimizer), parameter_shapes(strategy.layers), list(optimizer.buffers())
    shapes = {"": trained | buffer_shapes(strategy.layers), **dict.fromkeys(states, trained)}  # of the network, and of each state
    writers = {"": 0, **dict.fromkeys(states, last)}
    files = {
        kind: TensorFile(folder / state_file(kind), {full_name(kind, name): shape for name, shape in shapes[kind].items()}, network.dtype)
        for kind, writer in writers.items()
        if writer == rank
    }
    together = [["", *states[:1]], *([state] for state in states[1:])]  # a rank sends a writer one tensor at a time
    for name, shape in shapes[""].items():
        for kinds in together:
            sends: dict[int, Tensor] = {}
            receives: dict[int, Tensor] = {}
            written: list[tuple[TensorFile, Tensor]] = []
            for kind in (kind for kind in kinds if name in shapes[kind]):
                writer, full = writers[kind], full_name(kind, name)
                for holder, rows in holders(strategy, full, writer):
                    if holder == rank and writer != rank:
                        sends[writer] = tensors[full].contiguous()
                    elif writer == rank:
                        there = torch.empty((rows.stop - rows.start, *shape[1:]), dtype=network.dtype, device=strategy.world.device)
                        written.append((files[kind], tensors[full] if holder == rank else receives.setdefault(holder, there)))
            channel.swap(name, "forward", sends, receives)
            for file, part in written:
                file.write(part)
    own = {state_file(kind): file.close() for kind, file in files.items()}
    return _tell_first(own, list(map(state_file, states)), channel, strategy.world.device)


def _tell_first(own: dict[str, str], of_last: list[str], channel: Channel, device: torch.device) -> dict[str, str]:
    """Checksums of all files on the first rank, of its own on any other; the last rank has written those of `of_last`."""
    sender = channel.size - 1
    if sender == 0 or not of_last:
        return own
    digests = b"".join(bytes.fromhex(own.get(file, "00" * SHA256_BYTES)) for file in of_last)
    message = torch.tensor(list(digests), dtype=torch.uint8, device=device)
    channel.swap(
        "checksum",
        "forward",
        {0: message} if channel.rank == sender else {},
        {sender: message} if channel.rank == 0 else {},
    )
    told = (bytes(part.tolist()).hex() for part in message.view(-1, SHA256_BYTES))
    return {**own, **dict(zip(of_last, told, strict=True))}


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


def _set_aside(checkpoint: Path) -> Path:
    """Take its name from a checkpoint that is to be deleted, so that a kill in between does not leave half of one under it."""
    return checkpoint.rename(checkpoint.with_name(f"{TEMPORARY}old-{checkpoint.name}"))


def _flush(*paths: Path) -> None:
    """Have the system write files or folders to disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
