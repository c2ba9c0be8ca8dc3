"""Where the jobs of a cluster are asked for: at its dashboard, which is not where nodes and drivers join it."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from dist_alexnet.config import UsageError

VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # as Ray reads them
DEFAULT = "http://127.0.0.1:8265"  # where Ray's dashboard listens unless it is told otherwise


def dashboard_address(typed: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Address of a dashboard: the one that was typed, that of the environment, or that of a head node on this machine.

    Raises:
        UsageError: it is one of another kind; says which kind, and where it came from.
    """
    variable = next((name for name in VARIABLES if environment.get(name)), None)
    given = typed or (environment[variable] if variable else DEFAULT)
    source = "--address" if typed else variable or "--address"
    remedy = "type that of the cluster's dashboard, as in --address http://10.0.0.1:8265"
    if "@" in given:
        raise UsageError(f"{source} has a user or a password in it, which would be printed; {remedy}")
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{source}={given!r} is no address: {error}; {remedy}") from None
    if parts.scheme not in ("http", "https"):
        kind = "of Ray Client" if parts.scheme == "ray" else "where nodes join, or of no kind that is known"
        raise UsageError(f"{source}={given!r} is no address of a dashboard, but {kind}; {remedy}")
    if not host or not given.isprintable() or " " in given or parts.query or parts.fragment:
        raise UsageError(f"{source}={given!r} is no address; {remedy}")
    del port  # looked at, for a number out of range raises
    return given.rstrip("/")
