"""Several values of one option, as they are typed: with commas between."""

from dist_alexnet.config import UsageError


def numbers(option: str, text: str) -> list[int]:
    """In their order, each once (UsageError: one is no number from 1 on)."""
    try:
        found = sorted({int(number) for number in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise UsageError(f"{option} {text}: needs numbers from 1 on with commas between; type {option} 1,2,4")
    return found
