"""For runs that are disturbed."""

from collections.abc import Iterator

import pytest

from tests.orchestration.runs import end_all


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """After each test, failed ones included."""
    yield
    end_all()
