"""What the process of a rank takes of a machine's memory on the CPU: what must be reserved for it in a container or a batch job.

What the strategy's tables say (`memory.py`, to the byte) is the smaller half. The rest is said here part by part: computed where it can be,
else after what was measured part by part in ranks of the full network (docs/operations.md; torch 2.14, glibc, 2026-11). Nothing that has
been freed goes back to the system (`machine/allocator.py`), so the parts add up though they are not needed at the same time.
"""

import math
from dataclasses import dataclass, fields

from dist_alexnet.parallel.exchanges.traffic import Collective
from dist_alexnet.parallel.explain.memory import Memory, parameter_bytes
from dist_alexnet.parallel.placement import length
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.update.rule import kept_states

LIBRARIES = 720 * 2**20  # resident once a rank has joined the others: torch 2.14 as built for CUDA, pyarrow, numba and DALI
OPERATORS = 120 * 2**20  # compiled loops, threads and what operators cache, whatever the size of the network
MAPS_AT_WORK = 2  # of the largest feature map: its gradient, and the one that is made from it
BATCHES_AT_WORK = 2  # of images: one is trained on, one is being cut out
FLOAT_BYTES = 4
CHANNELS = 3


@dataclass(frozen=True)
class Resident:
    """Bytes of a machine's memory that a rank on the CPU takes at most, by what takes them."""

    libraries: int
    step: int  # weights, gradients, momentum, activations: the total of `Memory`
    images: int  # batches that are trained on, cut out or decoded ahead
    working: int  # what operators and messages need while they run
    validation_and_checkpoint: int  # above what the activations leave free by then
    copies: int  # of what a rank writes of a checkpoint, for as long as the run goes on

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def resident(strategy: Strategy, global_batch: int, step: Memory) -> Resident:
    """Memory of the process of the rank that `strategy` looks from.

    Args:
        strategy: of any rank.
        global_batch: images of a step.
        step: what this rank keeps during a step.
    """
    whole_tensor = max(math.prod(layer.weight_shape) for layer in strategy.layers) * strategy.precision.parameter.itemsize
    batch = length(strategy.rows(global_batch)) * CHANNELS * strategy.config.model.image_size**2 * FLOAT_BYTES
    images = batch * (strategy.config.data.prefetch + BATCHES_AT_WORK)
    return Resident(
        libraries=LIBRARIES,
        step=step.total,
        images=images,
        # Initial weights are drawn whole, then cut.
        working=OPERATORS + whole_tensor + MAPS_AT_WORK * _largest_map(strategy, global_batch) + _buffers(strategy, global_batch),
        # Both sets of images are kept ready, and a checkpoint collects one tensor at a time.
        validation_and_checkpoint=max(0, images + whole_tensor - step.activations),
        copies=_copies(strategy),
    )


def _copies(strategy: Strategy) -> int:
    """The first rank writes the network, the last one the states of the update rule."""
    if not strategy.config.train.checkpoint_async:
        return 0
    rank, last = strategy.world.rank, strategy.world.world_size - 1
    trained, states = sum(layer.parameters for layer in strategy.layers), len(kept_states(vars(strategy.config.train)))
    others = sum(layer.buffers for layer in strategy.layers)
    return ((trained + others) * (rank == 0) + trained * states * (rank == last)) * strategy.precision.parameter.itemsize


def _largest_map(strategy: Strategy, global_batch: int) -> int:
    rows = -(-strategy.computed_rows(global_batch) // strategy.microbatches)
    return (
        max(rows * length(strategy.outputs(layer)) * layer.output_size**2 for layer in strategy.layers)
        * strategy.precision.activation.itemsize
    )


def _buffers(strategy: Strategy, global_batch: int) -> int:
    """In which weights and gradients travel, whole at their end."""
    sent = [message for message in strategy.collectives(global_batch) if message.name in ("weights", "gradients")]
    once = [message for message in sent if message.name == "gradients" or message.direction == "forward"]
    return min(sum(_carried(message, strategy) for message in once), 2 * sum(parameter_bytes(strategy, strategy.placement)))


def _carried(message: Collective, strategy: Strategy) -> int:
    ranks = math.prod(strategy.mesh[axis] for axis in message.axes)
    passes = 2 if message.kind == "all-reduce" else message.times
    return int(message.sent * ranks / max(1, ranks - 1) / passes)  # alone in its world a rank sends nothing
