"""Checkpoints that do not know which strategy wrote them.

    checkpoints/step-00000100/
        shard-*.safetensors   canonical tensors, each rank its part: `conv1.weight`, `momentum.conv1.weight`, ...
        state.json            where the run stands: step, position, schedule, configuration, versions

Written by `torch.distributed.checkpoint` under a temporary name and renamed when complete, so that a run can be killed at any instant.
No pickle in either direction.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.tensor import DTensor

from dist_alexnet.model.layers import parameter_shapes
from dist_alexnet.model.network import Network
from dist_alexnet.parallel.placement import Owner, Placement, Replicate
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.training.checkpoint_files import STATE_FILE, TEMPORARY, folder_name, list_checkpoints
from dist_alexnet.training.optimizer import VelocitySGD

FORMAT = 1


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds besides tensors."""

    step: int  # optimizer steps done
    position: int  # images taken from the endless stream of training images
    validated_at: int  # position of the newest validation
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    config: Mapping[str, Any]  # resolved
    versions: Mapping[str, str]
    classes: list[str]
    subtracted: str  # from the images, as `Crops.subtracted` says it
    validation: Mapping[str, Any] | None = None  # its result
    format: int = FORMAT


def canonical_tensors(strategy: Strategy, network: Network, optimizer: VelocitySGD | None) -> dict[str, Tensor]:
    """Canonical name -> this rank's part of the tensor, as a DTensor where it is sharded. Shares memory with the parameters."""
    weights: dict[str, Tensor] = {name: p.detach() for name, p in network.named_parameters()}
    buffers = optimizer.buffers() if optimizer else {}
    placed: dict[str, Tensor | None] = {}
    for layer in strategy.layers:
        for name, shape in parameter_shapes([layer]).items():
            nothing = torch.empty((0, *shape[1:]), device=strategy.world.device, dtype=network.dtype)
            placed[name] = _place(weights.get(name, nothing), shape, strategy.stored(layer), strategy)
            if optimizer and optimizer.velocity_momentum:
                placed[f"momentum.{name}"] = _place(buffers.get(name, nothing), shape, strategy.momentum(layer), strategy)
    return {name: tensor for name, tensor in placed.items() if tensor is not None}


def _place(local: Tensor, shape: tuple[int, ...], placement: Mapping[str, Placement], strategy: Strategy) -> Tensor | None:
    """A rank without a row of a sharded tensor takes part in it nevertheless: it is spread over all of them. None: not this rank's."""
    placements: list[Any] = [placement.get(axis, Replicate()) for axis in strategy.mesh]
    if isinstance(local, DTensor):
        return local
    if strategy.world.world_size == 1 or any(isinstance(one, Owner) for one in placements):
        return local if local.numel() else None
    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(local, strategy.device_mesh, placements, shape=torch.Size(shape), stride=stride, run_check=False)


def save(folder: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD, state: TrainingState, keep: int = 0) -> Path:
    """Write `folder/step-NNNNNNNN`; every rank calls it. Keeps the newest `keep` checkpoints (0: all) and returns the new one."""
    target = folder / folder_name(state.step)
    temporary = folder / (TEMPORARY + target.name)
    first = strategy.world.rank == 0
    if first:
        for leftover in folder.glob(TEMPORARY + "*"):  # of a run that was killed
            shutil.rmtree(leftover)
        temporary.mkdir(parents=True)
    dist.barrier()
    tensors = {name: _contiguous(tensor) for name, tensor in canonical_tensors(strategy, network, optimizer).items()}
    state_dict_saver.save(tensors, storage_writer=HuggingFaceStorageWriter(str(temporary), save_distributed=True))
    dist.barrier()
    if first:
        (temporary / STATE_FILE).write_text(json.dumps(asdict(state), indent=1))
        _flush(temporary)
        if target.exists():  # the same step once more, after a resume
            _remove(target)
        temporary.rename(target)
        others = [path for path in list_checkpoints(folder) if path != target]
        for old in others[: max(len(others) + 1 - keep, 0)] if keep else ():
            _remove(old)
    dist.barrier()
    return target


def load_tensors(checkpoint: Path, strategy: Strategy, network: Network, optimizer: VelocitySGD | None) -> None:
    """Fill this rank's parameters, and the momentum if there is an optimizer; every rank calls it."""
    tensors = canonical_tensors(strategy, network, optimizer)
    state_dict_loader.load(tensors, storage_reader=HuggingFaceStorageReader(str(checkpoint)))


def _contiguous(tensor: Tensor) -> Tensor:
    """Safetensors stores row-major tensors; convolution weights are channels-last in memory."""
    if isinstance(tensor, DTensor):
        local = tensor.to_local().contiguous()
        shape, stride = tensor.shape, tensor.stride()
        return DTensor.from_local(local, tensor.device_mesh, tensor.placements, shape=shape, stride=stride, run_check=False)
    return tensor.contiguous()


def _remove(checkpoint: Path) -> None:
    """Delete a checkpoint; its name goes first, so that a kill in between does not leave half of one under it."""
    doomed = checkpoint.with_name(f"{TEMPORARY}old-{checkpoint.name}")
    checkpoint.rename(doomed)
    shutil.rmtree(doomed)


def _flush(folder: Path) -> None:
    """Have the system write everything to disk before the name that says so appears."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
