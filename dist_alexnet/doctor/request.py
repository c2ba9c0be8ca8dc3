"""The run that was asked for: whether the strategy, the launcher and the memory of this machine can do it."""

from collections.abc import Iterator

from dist_alexnet.config import Config
from dist_alexnet.doctor.checks import Asked, Finding, in_words
from dist_alexnet.machine.memory import free_memory

# What one machine takes besides its ranks, and what Ray adds (docs/operations.md, "Memory to reserve").
PROGRAM, OWN_RAY, RAY_PER_RANK = int(0.7 * 2**30), int(1.1 * 2**30), int(0.15 * 2**30)


def request(asked: Asked) -> Iterator[Finding]:
    """Everything that `train` would refuse before it starts a process (UsageError), but for the images; and its memory."""
    from dist_alexnet.launch.settle import make_launcher, settle_observers, settle_options, settle_ranks, with_generated_classes
    from dist_alexnet.parallel.explain.layout import lay_out

    config = settle_observers(settle_options(settle_ranks(with_generated_classes(asked.config))))
    launcher = make_launcher(config)
    launcher.validate()
    layout = lay_out(config)
    launch, mesh = config.launch, ", ".join(f"{axis}={size}" for axis, size in layout.mesh.items())
    yield Finding(f"{layout.strategy} ({mesh}) on {launch.ranks} {launch.device} rank(s), by the launcher {launch.name}")
    free = free_memory()
    residents = [(len(group.ranks), group.resident) for group in layout.groups]
    if free is not None and launcher.is_local and all(resident for _, resident in residents):
        ranks = sum(number * resident.total for number, resident in residents if resident)
        yield _memory(config, ranks + PROGRAM + (OWN_RAY + RAY_PER_RANK * launch.ranks if launch.name == "ray" else 0), free)


def _memory(config: Config, need: int, free: int) -> Finding:
    remedy = f"type a smaller -b than {config.train.global_batch}, fewer --gpus, train.accumulation=2, or free some"
    return Finding(
        f"it takes about {in_words(need)} of memory, of {in_words(free)} that are free",
        f"ranks would be killed for it; {remedy}" if need > free else "",
        {"needed_bytes": need, "free_bytes": free},
    )
