"""What the page shows, as its address says it, so that an address shows another person the same, and the browser's back goes back."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from dist_alexnet.runs.browse.folder import key_of, name_of

AXES = ("step", "epoch", "time")
MOST_PICKED = 12  # colours that charts have


@dataclass(frozen=True)
class View:
    """What is picked, and how it is shown."""

    runs: tuple[str, ...] = ()  # keys, in the order in which they were picked
    x: str = "step"  # one of AXES
    zoom: tuple[float, ...] = ()  # from where to where on it; empty: all
    sort: str = "-when"  # a column; with a minus: the largest first
    filter: str = ""  # words
    page: int = 1

    @staticmethod
    def parse(search: object) -> "View":
        """The query of an address, which anybody may have typed: what makes no sense in it is left out."""
        said = dict(part.partition("=")[::2] for part in str(search or "").removeprefix("?").split("&"))
        keys = dict.fromkeys(key_of(name_of(key)) for key in said.get("runs", "").split(",") if key)
        x, page = said.get("x", ""), said.get("page", "")
        return View(
            runs=tuple(keys)[:MOST_PICKED],
            x=x if x in AXES else AXES[0],
            zoom=_zoom(said.get("zoom", "")),
            sort=said.get("sort") or View.sort,
            filter=unquote(said.get("filter", "")),
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
        )

    def search(self) -> str:
        """The query that says so; what is as ever is left out."""
        usual = View()
        said = {
            "runs": ",".join(self.runs),
            "x": self.x if self.x != usual.x else "",
            "zoom": ",".join(f"{each:.7g}" for each in self.zoom),
            "sort": self.sort if self.sort != usual.sort else "",
            "filter": quote(self.filter, safe=""),
            "page": str(self.page) if self.page > 1 else "",
        }
        return "?" + "&".join(f"{name}={value}" for name, value in said.items() if value)

    def toggled(self, key: str) -> "View":
        """With a run picked that was not, or the other way round."""
        runs = tuple(each for each in self.runs if each != key)
        return replace(self, runs=runs if key in self.runs else (*self.runs, key)[-MOST_PICKED:])

    def sorted_by(self, column: str) -> "View":
        """By a column: the largest first, and the smallest first if it is so already."""
        return replace(self, sort=column if self.sort == f"-{column}" else f"-{column}", page=1)


def _zoom(said: str) -> tuple[float, ...]:
    with suppress(ValueError):
        numbers = tuple(map(float, said.split(",")))
        if len(numbers) == 2 and all(map(math.isfinite, numbers)) and numbers[0] < numbers[1]:
            return numbers
    return ()
