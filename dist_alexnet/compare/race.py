"""One step of every contestant in turn, round after round, in processes that all of them share.

Whatever else the machine does falls on all of them alike, so that a ratio is of steps that lie a moment apart. Each round has an order of
its own, drawn from the seed: who comes after whom matters, by what the one before leaves in caches and in free memory. A contestant with
fewer ranks than were started has the first of them, and the others sleep meanwhile.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from dist_alexnet import registry
from dist_alexnet.batch import Batch
from dist_alexnet.compare.energy import joules
from dist_alexnet.config import Config
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.data.sets.open import open_data
from dist_alexnet.json_text import to_exact_json
from dist_alexnet.launch.agreement import Agreement
from dist_alexnet.launch.rank import connect_strategy, settle_threads
from dist_alexnet.parallel.groups import connect_mesh
from dist_alexnet.parallel.strategy import Strategy
from dist_alexnet.parallel.world import World
from dist_alexnet.telemetry.waiting import pack, split_waiting, unpack
from dist_alexnet.training.trainer import Trainer
from dist_alexnet.verify.testimony import generated_batches

RATE = 1e-6  # the same images a hundred times over at the rate of a training would end in infinite losses


@dataclass(frozen=True)
class Course:
    """What all contestants run."""

    rounds: int
    warmup: int  # rounds before them that do not count
    data: Path | None  # folder with train/ and val/; None: images are drawn from the seed
    file: Path  # takes a line for each round, as soon as it is over


class Contestant:
    """A strategy with everything that a step needs."""

    def __init__(self, config: Config, world: World, batches: "Batches") -> None:
        self.config = settle_threads(config, world)
        torch.set_num_threads(self.config.launch.threads)
        self.strategy = connect_strategy(self.config, world)
        before = self._allocated()
        self.trainer = Trainer(self.strategy)
        self.batch = batches.of(self.strategy)
        self._kept = self._allocated() - before
        self._steps = 0

    def measure(self) -> dict[str, Any]:
        """What one step takes on this rank, for JSON."""
        device, clock = self.strategy.world.device, self.strategy.clock
        others = self._allocated() - self._kept
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        # A device that ranks share counts what all of them use.
        energy, cpu = 0.0 if self.config.launch.share_device else joules(device), time.process_time()
        clock.restart()
        self.trainer.step(self.batch, RATE, self._steps)
        clock.end_step()
        took = clock.take()  # waits for the device
        cpu = time.process_time() - cpu
        self.strategy.traffic.clear()
        self._steps += 1
        return {
            "step": pack(took),
            "cpu": cpu,
            "joules": joules(device) - energy if energy else None,
            "peak": torch.cuda.max_memory_allocated(device) - others if device.type == "cuda" else None,
        }

    def _allocated(self) -> int:
        device = self.strategy.world.device
        return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


class Batches:
    """The first global batch, of which contestants with the same rows share the tensors."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._known: dict[tuple[int, int], Batch] = {}

    def of(self, strategy: Strategy) -> Batch:
        """This rank's rows of it."""
        rows = strategy.rows(strategy.config.train.global_batch)
        key = rows.start, rows.stop
        if key not in self._known:
            self._known[key] = self._load(strategy, rows)
        return self._known[key]

    def _load(self, strategy: Strategy, rows: slice) -> Batch:
        config = strategy.config
        if self._data is None:
            return next(iter(generated_batches(config, strategy)))
        loader = Loader(open_data(self._data)[0], config.data, config.model.image_size, strategy.world.device, config.train.seed)
        with closing(loader.train_batches(config.train.global_batch, rows, 0)) as batches:
            batch: Batch = next(batches)
        return batch


def race(entries: Sequence[Config], course: Course, world: World, configs: Sequence[Config]) -> Iterator[None]:
    """The rounds that the file does not have yet. A `Trial`, started under a configuration that has the ranks of the largest entry.

    Raises:
        RuntimeError: a contestant failed; says which.
    """
    agreement = Agreement(world, configs[0].launch.timeout_s)
    contestants = _line_up(entries, course, world)
    done = len(read_rounds(course.file))
    if world.rank == 0:
        _end_line(course.file)
    for number in range(done - course.warmup, course.rounds):
        mine: dict[int, Any] = {}
        for place in _order(len(entries), number, entries[0].train.seed):
            agreement.sum(0.0)  # all ranks are here: whoever has no part in it sleeps until the next
            if contestant := contestants[place]:
                torch.set_num_threads(contestant.config.launch.threads)
                with _named(entries[place]):
                    mine[place] = contestant.measure()
        told = agreement.gather({str(place): measured for place, measured in mine.items()})
        if world.rank == 0 and number >= done:
            with course.file.open("a") as stream:
                stream.write(to_exact_json([_joined(told, place) for place in range(len(entries))]) + "\n")
    for _ in configs:
        yield None


def read_rounds(file: Path) -> list[list[dict[str, Any]]]:
    """Of each round that is over what each contestant took; a line that a kill cut short is none."""
    rounds = []
    with suppress(FileNotFoundError):
        for line in file.read_text().splitlines():
            with suppress(ValueError):
                rounds.append(json.loads(line))
    return rounds


def _end_line(file: Path) -> None:
    """Where a kill cut the last line short, have the next one begin in a line of its own."""
    with suppress(FileNotFoundError):
        if not file.read_bytes().endswith(b"\n"):
            with file.open("a") as stream:
                stream.write("\n")


def _line_up(entries: Sequence[Config], course: Course, world: World) -> list[Contestant | None]:
    """Of each entry this rank's part; None: it has none."""
    batches, worlds = Batches(course.data), dict[int, World]()
    for size in sorted({entry.launch.ranks for entry in entries} - {1, world.world_size}):
        timeout = timedelta(seconds=entries[0].launch.timeout_s)
        group = dist.new_group(list(range(size)), timeout=timeout)  # every rank calls it, whether it is of the group or not
        worlds[size] = world.first(size, group)
    return [_take_part(entry, worlds.get(entry.launch.ranks) or world.first(entry.launch.ranks, None), batches) for entry in entries]


def _take_part(entry: Config, world: World, batches: "Batches") -> Contestant | None:
    with _named(entry):
        if world.rank < world.world_size:
            return Contestant(entry, world, batches)
        if world.world_size > 1:
            mesh = registry.load(registry.STRATEGIES, entry.strategy.name).axes(entry, world.world_size)
            connect_mesh(world, mesh, entry.launch.timeout_s)
    return None


def _order(contestants: int, number: int, seed: int) -> list[int]:
    """The same on every rank."""
    places = list(range(contestants))
    random.Random(f"{seed} {number}").shuffle(places)
    return places


class _named:  # noqa: N801 - reads as a function does
    """Say whose failure it was."""

    def __init__(self, entry: Config) -> None:
        self._entry = entry

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            chosen = self._entry.strategy
            raise RuntimeError(f"{chosen.name} on {self._entry.launch.ranks} rank(s): {type(error).__name__}: {error}") from error


def _joined(told: Sequence[dict[str, Any]], place: int) -> dict[str, Any]:
    """What a contestant took in a round, of all its ranks."""
    mine = [rank[str(place)] for rank in told if str(place) in rank]
    steps = [unpack(each["step"]) for each in mine]
    split_waiting(steps)
    exposed: dict[str, float] = {}
    for (step,) in steps:
        for exchange, seconds in step.exposed.items():
            exposed[exchange.name] = exposed.get(exchange.name, 0.0) + seconds / len(steps)
    peaks, energies = ([each[key] for each in mine] for key in ("peak", "joules"))
    return {
        "seconds": max(sum(step.phases.values()) for (step,) in steps),
        "phases": [step.phases for (step,) in steps],  # by rank
        "exposed": exposed,  # mean over ranks
        "cpu": sum(each["cpu"] for each in mine),
        "joules": None if None in energies else sum(energies),
        "peak": None if None in peaks else max(peaks),
    }
