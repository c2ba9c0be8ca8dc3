"""Values and bytes as nobody would write them, most of them close to what somebody would."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dist_alexnet.config import UsageError

FEW, MANY = 15, 600
AMOUNTS = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
ODD = ["", "null", "~", "???", "${x}", "***", "-1", "1e999", "nan", "../../etc/passwd", "a\nb", "\x1b[2J", "\udcff", "\u2028", "x" * 5000]
NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**400, 0.5, 1e308, float("inf"), float("nan"), True, False, None]
SCALARS = st.sampled_from([*ODD, *NUMBERS]) | st.text(max_size=8) | st.integers() | st.floats()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ODD) | st.text(max_size=5), inner, max_size=3)
)
DEEP = 3000  # lists in lists: deeper than Python's stack


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """A tree of JSON, in which some values are others, gone, or there under another name."""
    root = {"": copy.deepcopy(tree)}
    for _ in range(draw(st.integers(1, 3))):
        where: Any = root
        key: Any = ""
        while draw(st.integers(0, 5)) and isinstance(where[key], dict | list) and where[key]:
            where = where[key]
            key = draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
        _change(draw, where, key)
    return root[""]


def _change(draw: st.DrawFn, where: Any, key: Any) -> None:
    """One value."""
    how = draw(st.sampled_from(["another", "another", "gone", "renamed"]))
    if how == "gone" and key != "":
        del where[key]
    elif how == "renamed" and isinstance(where, dict) and key != "":
        where[draw(st.text(max_size=6))] = where.pop(key)
    else:
        where[key] = draw(TREES)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that were cut, flipped, overwritten, put in or doubled, in a few places; more often where a file begins or ends."""
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        at = draw(st.integers(0, size) | st.integers(0, min(64, size)) | st.integers(max(0, size - 64), size))
        run = draw(st.integers(1, 40))
        how = draw(st.sampled_from(["cut", "flip", "zeros", "put", "double", "gap"]))
        head, middle, tail = content[:at], content[at : at + run], content[at + run :]
        content = {
            "cut": head,
            "flip": head + bytes(byte ^ draw(st.integers(1, 255)) for byte in middle[:2]) + middle[2:] + tail,
            "zeros": head + bytes(len(middle)) + tail,
            "put": head + draw(st.binary(max_size=20)) + middle + tail,
            "double": head + middle + middle + tail,
            "gap": head + tail,
        }[how]
    return content


def texts(tree: Any) -> st.SearchStrategy[bytes]:
    """JSON of a changed tree, or the damaged bytes of a whole one, or lists without end."""
    whole = json.dumps(tree).encode()
    deep = st.just(b"[" * DEEP + b"]" * DEEP)
    return changed(tree).map(lambda other: json.dumps(other).encode("utf-8", "surrogateescape")) | damaged(whole) | deep


def try_all(cases: int, what: st.SearchStrategy[Any], meets: Callable[[Any], None]) -> None:
    """So many cases of it."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
    settings(max_examples=cases, deadline=None, database=None, suppress_health_check=checks)(given(what)(meets))()


@contextmanager
def one_line(*also: type[Exception]) -> Iterator[None]:
    """What is refused is refused in a line; `also`: what else may be raised."""
    told = ""
    try:
        yield
    except UsageError as refused:
        told = str(refused)
    except also:
        pass
    assert "\n" not in told
