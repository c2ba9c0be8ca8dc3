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
    from dist_alexnet.training.room import with_ranks

    config = settle_observers(settle_options(settle_ranks(with_generated_classes(asked.config))))
    lay_out(config)
    launcher = make_launcher(config)
    launcher.check()
    ranks, waits = _room(config)
    config = with_ranks(config, ranks)
    layout = lay_out(config)
    launch, mesh = config.launch, ", ".join(f"{axis}={size}" for axis, size in layout.mesh.items())
    yield Finding(f"{layout.strategy} ({mesh}) on {ranks} {launch.device} rank(s), by the launcher {launch.name}{waits}")
    free = free_memory()
    residents = [(len(group.ranks), group.resident) for group in layout.groups]
    if free is not None and launcher.is_local and all(resident for _, resident in residents):
        need = sum(number * resident.total for number, resident in residents if resident)
        yield _memory(config, need + PROGRAM + (OWN_RAY + RAY_PER_RANK * ranks if launch.name == "ray" else 0), free)


def _room(config: Config) -> tuple[int, str]:
    """Ranks that a run would begin with, and what it would wait for before that.

    Raises:
        UsageError: there is no room, and it would not wait.
    """
    from dist_alexnet.training.room import NoRoom, wait_for_room

    try:
        return wait_for_room(config, 0, lambda line: None), ""
    except NoRoom as error:
        if not config.launch.wait_s:
            raise
        return config.launch.ranks, f", for which train waits up to {config.launch.wait_s:g} s: {str(error).partition('; type')[0]}"


def _memory(config: Config, need: int, free: int) -> Finding:
    remedy = f"type a smaller -b than {config.train.global_batch}, fewer --gpus, train.accumulation=2, or free some"
    return Finding(
        f"it takes about {in_words(need)} of memory, of {in_words(free)} that are free",
        f"ranks would be killed for it; {remedy}" if need > free else "",
        {"needed_bytes": need, "free_bytes": free},
    )
