"""What a strategy says of itself before there is a process: its ranks, its two tables, and where weights lie. See `strategy.py`.

Everything in `Statement` and in `Strategy` is for a strategy to say, and has a line in docs/adding_a_strategy.md. What follows from it is
`@final`, in `tables.py` and `connected.py`; a class that defines it anew is refused when it is defined.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dist_alexnet.config import Config
from dist_alexnet.model.layers import Layer
from dist_alexnet.parallel.exchanges.batch_to_model import BatchToModel
from dist_alexnet.parallel.exchanges.exchange import Exchange, Wire
from dist_alexnet.parallel.exchanges.gradients import BUCKET_MIB
from dist_alexnet.parallel.placement import Placement
from dist_alexnet.parallel.world import World


@dataclass(frozen=True)
class NoOptions:
    """For a strategy without options of its own."""


class Statement(ABC):
    """What may be said without a process. Only `name` and `axes` must be; the rest has defaults that suit most strategies."""

    # ------------------------------------------------------------------ what every method may read

    config: Config
    options: Any  # of the class `Options`
    world: World
    mesh: dict[str, int]  # from `axes`
    coordinate: dict[str, int]  # of this rank, on each axis
    layers: tuple[Layer, ...]
    first: Layer  # which reads the images
    first_linear: Layer  # which reads the maps
    last: Layer  # whose outputs are the classes

    # ------------------------------------------------------------------ who it is

    name: ClassVar[str]  # = file name = entry point = config value = metric label
    default_ranks: ClassVar[int] = 2  # where nobody says how many
    Options: ClassVar[type] = NoOptions  # frozen dataclass: the fields of `strategy.options`, so that typos fail
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)  # options under which `verify` runs it

    # ------------------------------------------------------------------ which ranks there are: asked before there is any

    @classmethod
    def refuses(cls, config: Config, world_size: int) -> str:
        """Why this many ranks cannot run the configuration, and what to type instead; empty where they can.

        A function of its arguments alone. Whether the batch has rows for all of them is looked after elsewhere.
        """
        return ""

    @classmethod
    @abstractmethod
    def axes(cls, config: Config, world_size: int) -> Mapping[str, int]:
        """Mesh of a world that is not refused: axis -> coordinates, outermost first; their product is the world size."""

    row_axes: ClassVar[tuple[str, ...]] = ("data",)  # mesh axes over which the rows of a batch are split

    node_axes: ClassVar[tuple[str, ...]] = ()  # innermost mesh axes whose ranks share a node: they exchange on each step's critical path

    def validate(self) -> None:
        """Refuse where the ranks lie, which is known only once they run: `self.world.nodes` (UsageError)."""

    # ------------------------------------------------------------------ where layers are computed, and what they read

    def placement(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the output channels of a layer live: mesh axis -> placement. An axis that is not named replicates."""
        return {}

    def exchange(self, layer: Layer) -> Exchange | BatchToModel | None:
        """What happens to the input of a layer before the layer reads it; its adjoint happens to the gradient."""
        return None

    # ------------------------------------------------------------------ where weights are kept, and how gradients travel

    def stored(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the weights of a layer are kept between steps: where they are used, but for a strategy that gathers them first."""
        return self.placement(layer)

    def momentum(self, layer: Layer) -> Mapping[str, Placement]:
        """Where the momentum of a layer is kept: with the weights, but for a strategy that shares out their update."""
        return self.stored(layer)

    @property
    def gathered_layers(self) -> int:
        """How many neighbouring layers are whole at once where weights are stored in shards: one at work, one on its way."""
        return 2

    @property
    def gradient_wire(self) -> Wire:
        """How gradients travel that are summed over ranks."""
        return "full"

    @property
    def bucket_mib(self) -> float:
        """Gradients that travel in one message, in MiB."""
        return BUCKET_MIB

    @property
    def microbatches(self) -> int:
        """Into which this rank's rows of a step are cut."""
        return self.config.train.accumulation

    def __init_subclass__(cls) -> None:
        """Refuse a class that defines what follows, or what is asked of a class as a method of an object (TypeError)."""
        super().__init_subclass__()
        for name, member in vars(cls).items():
            before = next((vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)), None)
            if is_final(before):
                raise TypeError(
                    f"{cls.__name__} defines {name}, which follows from what a strategy says; docs/adding_a_strategy.md has what to say"
                )
            if isinstance(before, classmethod) and not isinstance(member, classmethod):
                raise TypeError(
                    f"{cls.__name__}.{name} is asked before there are ranks; write @classmethod above it, and cls, config, world_size"
                )


def is_final(member: object) -> bool:
    """Whether a member of a class is marked `@final`: a method, a class method or a property."""
    inner = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return getattr(inner, "__final__", False)
