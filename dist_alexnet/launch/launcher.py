"""What a launcher is: it starts ranks, waits for them, and says how they ended."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from dist_alexnet.config import LaunchConfig
from dist_alexnet.launch.room import Rooms
from dist_alexnet.runs.directory import RunDirectory

RankFunction = Callable[[], None]  # picklable; runs in every rank with torchrun's variables set


@dataclass(frozen=True)
class Capacity:
    """What a place has for ranks."""

    free: Rooms  # now
    whole: Rooms  # if nobody else used it
    words: str = ""  # what there is, of the things that a rank needs


@dataclass(frozen=True)
class Outlook:
    """What becomes of the place that ranks run on, as far as anybody has said."""

    rooms: Rooms = ()  # ranks that each node has room for, those of this run included
    leaving: tuple[str, ...] = ()  # nodes with ranks that are about to be taken away


class Launcher(ABC):
    """Starts ranks, once. Register one as an entry point of the group `dist_alexnet.launchers`."""

    def __init__(self, config: LaunchConfig, together: int = 1) -> None:
        """`together`: so many neighbouring ranks must be on one node."""
        self.config, self.together = config, together
        self.outlook = Outlook()  # while the ranks run; kept up to date where ranks can be added and taken away

    def check(self) -> None:
        """Refuse (UsageError) what stands in the way of any rank."""

    def validate(self) -> None:
        """Refuse besides what this place cannot give at all: more ranks than it has room for, a cluster that does not answer."""
        self.check()

    def capacity(self) -> Capacity:
        """What there is room for (UsageError: nobody can say, as of a cluster that does not answer)."""
        ranks = self.cuda_devices() if self.config.device == "cuda" and not self.config.share_device else self.config.ranks
        return Capacity((ranks,), (ranks,), f"{self.config.ranks} CUDA devices, but {ranks} are visible")

    @property
    def is_local(self) -> bool:
        """Whether all ranks will run on this machine."""
        return True

    @abstractmethod
    def cuda_devices(self) -> int:
        """CUDA devices that this launcher could give to ranks."""

    @abstractmethod
    def run(self, function: RankFunction, directory: RunDirectory) -> None:
        """Run the function on `config.ranks` ranks and return when all have ended.

        Called in a thread that is not the main one: signals are the driver's affair.

        Raises:
            TrainingFailed: a rank failed; says which one failed first, and how.
        """

    @abstractmethod
    def kill(self) -> None:
        """End all ranks at once; called from another thread while `run` waits."""
