"""Room for the ranks of a training: how many there are to be, and waiting for it where there is none yet."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dist_alexnet import registry
from dist_alexnet.config import Config, UsageError
from dist_alexnet.launch.launcher import Capacity
from dist_alexnet.launch.room import Rooms, largest
from dist_alexnet.launch.settle import make_launcher, world_sizes

LOOK_S, MOST_PAUSE_S = 0.5, 8.0  # between two looks at a cluster: at first, and in the long run
FREE_WAIT_S = 1.5  # for what a run that has just ended held: a cluster hears of it a little later


class NoRoom(UsageError):  # noqa: N818 - what happened, not an error of ours
    """There is no room for the ranks, and nobody wants to wait for it any longer."""


def with_ranks(config: Config, ranks: int) -> Config:
    """The same, for exactly so many."""
    return replace(config, launch=replace(config.launch, workers=ranks, min_workers=None))


def largest_world(config: Config, rooms: Rooms) -> int:
    """The most ranks that a run may go on with in this much room; 0: there is not enough."""
    together = partial(registry.load(registry.STRATEGIES, config.strategy.name).together, config)
    return largest(world_sizes(config), rooms, together)


def wait_for_room(
    config: Config,
    wait_s: float,
    say: Callable[[str], None],
    least: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    patient_s: float = 0.0,
) -> int:
    """How many ranks to start.

    Args:
        config: of the run.
        wait_s: how long to wait, from now on.
        say: hears, once, what is waited for.
        least: fewer ranks than these are taken only after `patient_s`: what an attempt held is not given back at once.
        stopped: nobody wants to wait any longer.
        patient_s: see there.

    Raises:
        NoRoom: there is not enough, and it was not to be waited for any longer.
    """
    begun, told, pause = time.monotonic(), False, LOOK_S
    while True:
        try:
            there: Capacity = make_launcher(config).capacity()
            ranks, trouble = largest_world(config, there.free), ""
        except UsageError as error:
            there, ranks, trouble = Capacity((), ()), 0, str(error)
        waited = time.monotonic() - begun
        if ranks >= (max(least, 1) if waited < patient_s else 1):
            return ranks
        soon = largest_world(config, there.whole) > 0 and waited < FREE_WAIT_S
        if stopped() or not (soon or waited < max(wait_s, patient_s)):
            raise NoRoom(trouble or "; ".join(_lack(config, there)))
        if not soon and not told and not ranks:
            say(f"waiting up to {wait_s:g} s for room: {trouble or _lack(config, there)[0]}")
            told = True
        time.sleep(pause)
        pause = min(2 * pause, MOST_PAUSE_S)  # each look is a connection, which the head keeps a record of


def _lack(config: Config, there: Capacity) -> tuple[str, str]:
    """What was asked and what there is; what to type."""
    sizes, strategy = world_sizes(config), registry.load(registry.STRATEGIES, config.strategy.name)
    most, served = sizes[-1], strategy.world_sizes(config, 1, sizes[-1])
    whole, free = (largest(served, rooms, partial(strategy.together, config)) for rooms in (there.whole, there.free))
    asked = f"{most}" if len(sizes) == 1 else f"{sizes[0]} to {most}"
    room = f"room for {whole}" + (f", now for {free}" if free != whole else "")
    instead = [f"--gpus {free}"] if free else []
    instead += [f"--elastic {whole if whole < most else free or 1}:{most}"] if whole and len(sizes) == 1 else []
    instead += ["--wait 600", "--launcher local or another launch.address"]
    return f"{asked} ranks need {there.words}, {room}", f"type {', '.join(instead)}"
