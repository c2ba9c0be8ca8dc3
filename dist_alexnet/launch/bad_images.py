"""Images that any rank could not read or decode, known to all of them."""

from collections.abc import Callable

from dist_alexnet.data.load.healing import check_bad
from dist_alexnet.data.load.loader import Loader
from dist_alexnet.launch.agreement import Agreement


class BadImages:
    """The bad images of a run so far.

    Args:
        loaders: of this rank.
        agreement: with the others.
        max_bad: images, over all ranks and sets, that a run goes on without.
        tell: called for each new one, on every rank.
    """

    def __init__(self, loaders: list[Loader], agreement: Agreement, max_bad: int, tell: Callable[[str], None]) -> None:
        self.known: list[str] = []
        self._loaders, self._agreement, self._max_bad, self._tell = loaders, agreement, max_bad, tell
        self._shared = 0  # of our own

    @property
    def unshared(self) -> int:
        """How many this rank has found and not told the others."""
        return len(self._own()) - self._shared

    def share(self) -> None:
        """Tell each other; every rank calls it together.

        Raises:
            TooManyBadImages: all together they are too many.
        """
        own = self._own()
        self._shared = len(own)
        for found in self._agreement.gather(own):
            for name in found:
                if name not in self.known:
                    self.known.append(name)
                    self._tell(name)
        check_bad(self.known, self._max_bad)

    def _own(self) -> list[str]:
        return [name for loader in self._loaders for name in loader.bad]
