"""Small JSON files that carry their own checksum: a number that changed in one would be another image, or another mean, without a word."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json


def write_sealed(file: Path, version: int, content: Mapping[str, Any]) -> None:
    """Write or replace a file."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(to_json(seal({"format": version, **content})))
    part.replace(file)


def read_sealed(file: Path, version: int, remedy: str) -> dict[str, Any]:
    """What was written.

    Args:
        file: that is there.
        version: of the format that this program reads.
        remedy: what to type if the file cannot be used.

    Raises:
        UsageError: it is of another version, broken, or not what was written.
    """
    try:
        content = json.loads(file.read_text())
        found, expected = content["format"], content.pop("sha256", None)
    except PermissionError as error:
        raise UsageError(f"{file}: {error.strerror}; a data set must be readable") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file}: broken ({type(error).__name__}: {error}); {remedy}") from error
    if found != version:
        raise UsageError(f"{file}: format {found}, but this program reads format {version}; {remedy}")
    if expected != checksum(content):
        raise UsageError(f"{file}: not what was written (its SHA-256 is another); {remedy}")
    del content["format"]
    return dict(content)


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """With its checksum, under the key `sha256`."""
    return {**content, "sha256": checksum(content)}


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what JSON has of it, in an order of its own."""
    return hashlib.sha256(to_json(content, sort_keys=True).encode()).hexdigest()
