"""Where ranks are, in words."""

from collections.abc import Sequence


def in_words(nodes: Sequence[str]) -> str:
    """Which ranks are on which node, as "0-3 on a, 4-7 on b"; `nodes` by rank."""
    spans: list[tuple[int, int, str]] = []
    for rank, name in enumerate(nodes):
        first = spans.pop()[0] if spans and spans[-1][2] == name else rank
        spans.append((first, rank, name))
    return ", ".join(f"{first if first == last else f'{first}-{last}'} on {name}" for first, last, name in spans)
