"""What may be anything, as a terminal shows it."""

import sys


def shown(line: str) -> str:
    """A line with names of files in it: control characters, line breaks and bytes that are no text as escapes, shown and not obeyed."""
    return line if line.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def say(line: str) -> None:
    """On stderr and at once: what is being done, so that nobody wonders while libraries load or ranks start."""
    print(shown(line), file=sys.stderr, flush=True)


def mean_loss(value: float | None) -> str:
    """Of a validation, as JSON gives it: null for what is not finite."""
    return "not finite" if value is None else f"{value:.4f}"
