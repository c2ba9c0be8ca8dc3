"""What a launcher is: it starts ranks, waits for them, and says how they ended."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from dist_alexnet.config import LaunchConfig
from dist_alexnet.runs.directory import RunDirectory

RankFunction = Callable[[], None]  # picklable; runs in every rank with torchrun's variables set


class Launcher(ABC):
    """Starts ranks. Register one as an entry point of the group `dist_alexnet.launchers`."""

    def __init__(self, config: LaunchConfig) -> None:
        self.config = config

    def validate(self) -> None:
        """Refuse, before anything is started, what cannot be given (UsageError): more GPUs than there are, an unreachable cluster."""

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
