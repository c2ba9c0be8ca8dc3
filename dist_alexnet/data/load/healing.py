"""Images that cannot be read or decoded after all, and what comes in their place."""

import logging

import numpy as np
import numpy.typing as npt

from dist_alexnet.config import UsageError
from dist_alexnet.data.images import ImageError, ImageSet, TooManyBadImages
from dist_alexnet.data.order.plan import NOT_COUNTED, Plan
from dist_alexnet.data.pixels.wholeness import flaw

logger = logging.getLogger(__name__)


class HealingReader:
    """Reads the images of plans; one that is bad is put on record, and the next one of the set takes its place.

    Which one that is depends on the set alone: all ranks, and any number of them, agree without a word.

    Args:
        images: the set.
        exchange: put another image in the place of a bad one, as training does; else its row stays, but is not counted.
        max_bad: bad images that are put up with.
        bad: those that are known already, and a place for those that are found: index, and what a message calls it with the reason.
    """

    def __init__(self, images: ImageSet, exchange: bool, max_bad: int, bad: dict[int, str] | None = None) -> None:
        self.images = images
        self.bad = {} if bad is None else bad
        self._exchange = exchange
        self._max_bad = max_bad

    def read(self, plan: Plan, position: int) -> npt.NDArray[np.uint8]:
        """What is stored of the image at a position of the plan, whose label is filled in.

        Raises:
            TooManyBadImages: it was one too many.
        """
        while True:
            index = self.settle(plan, position)
            try:
                content = self.images.encoded(index)
                if self.images.encoding != "raw" and (reason := flaw(content, self.images.prepared_size)):
                    raise ImageError(reason)
                return content
            except ImageError as error:
                self.note(index, str(error))

    def settle(self, plan: Plan, position: int) -> int:
        """The image at a position of the plan, or the one that takes its place if it is known to be bad; its label is filled in."""
        asked = index = int(plan.indices[position])
        while True:
            if len(self.bad) >= len(self.images):
                first = self.images.where(0)
                raise UsageError(f"{first}, and not one other image can be read or decoded; run `dist-alexnet data verify` on the set")
            if index not in self.bad:
                try:
                    label = self.images.label(index)
                    break
                except ImageError as error:
                    self.note(index, str(error))
            index = (index + 1) % len(self.images)
        plan.indices[position] = index
        if index != asked:
            plan.exchanged[position] = True
        plan.labels[position] = NOT_COUNTED if plan.exchanged[position] and not self._exchange else label
        return index

    def note(self, index: int, reason: str) -> None:
        """This image is bad.

        Raises:
            TooManyBadImages: it is one too many.
        """
        self.bad[index] = f"{self.images.where(index)}: {reason}"
        logger.warning("bad image %s", self.bad[index])
        check_bad(list(self.bad.values()), self._max_bad)


def check_bad(bad: list[str], max_bad: int) -> None:
    """Refuse to go on with so many bad images (TooManyBadImages)."""
    if len(bad) > max_bad:
        raise TooManyBadImages(
            f"{bad[-1]}; {len(bad)} images are bad, and data.max_bad={max_bad}: run `dist-alexnet data verify` on the set and prepare "
            "it again, or type a larger data.max_bad"
        )
