"""What a comparison leaves: compare.json for programs, compare.csv for spreadsheets; and reading it back."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from dist_alexnet.compare.result import VERSION, Comparison, Result
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.runs.browse.folder import cell

JSON, CSV = "compare.json", "compare.csv"
KEYS = ("measured", "made", "setting", "versions", "machine", "left_out", "notes")  # of JSON, beside its results


def write(folder: Path, comparison: Comparison) -> None:
    """Leave compare.json and compare.csv in a folder."""
    (folder / JSON).write_text(to_json(comparison.as_dict(), indent=2) + "\n", encoding="utf-8")
    (folder / CSV).write_text(to_csv(comparison), encoding="utf-8", errors="backslashreplace")


def read(path: Path) -> Comparison:
    """From compare.json, or the folder that it is in.

    Raises:
        UsageError: it is not there, is none, or is of a later version.
    """
    file = path / JSON if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; type a compare.json, or the folder of a comparison") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file} is no JSON, or half of it; type the compare.json of a comparison that has ended") from None
    if not isinstance(content, dict) or content.get("kind") != "comparison":
        raise UsageError(f"{file} is no comparison; type a compare.json that `dist-alexnet compare` has written")
    if isinstance(version := content.get("version"), int) and version > VERSION:
        raise UsageError(f"{file} has version {version}, and this dist-alexnet knows up to {VERSION}; install the one that wrote it")
    try:
        known: dict[str, Any] = {key: content[key] for key in ("version", *KEYS)}
        results = [Result.from_dict(each) for each in content["results"]]
        sections = all(isinstance(known[key], dict) for key in ("setting", "versions", "machine"))
        if sections and all(isinstance(each.global_batch, int) and each.ips.median > 0 for each in results):
            return Comparison(results=results, **{key: known[key] for key in KEYS})
        told = "a number or a section is none"
    except KeyError as error:
        told = f"it lacks {error}"
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        told = str(error)
    raise UsageError(f"{file} is not as it was written: {told}; type a compare.json as `dist-alexnet compare` has written it")


def to_csv(comparison: Comparison) -> str:
    """A line for each contestant."""
    text = io.StringIO()
    rows = [_row(result) for result in comparison.results]
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(result: Result) -> dict[str, Any]:
    slowest = result.phases[result.slowest_rank]
    row: dict[str, Any] = {
        "contestant": cell(result.name),
        "ranks": result.ranks,
        "global_batch": result.global_batch,
        "equality": result.equality,
        "images_per_second": result.ips.median,
        "images_per_second_low": result.ips.low,
        "images_per_second_high": result.ips.high,
    }
    for base, times in result.times.items():
        row |= {f"times_{base}": times.median, f"times_{base}_low": times.low, f"times_{base}_high": times.high}
    row["efficiency"] = result.efficiency
    row |= {f"{phase}_seconds": seconds for phase, seconds in slowest.items()}
    row |= {
        "sent_bytes_per_step": result.sent_bytes,
        "memory_bytes": result.memory_bytes,
        "cpu_seconds_per_image": result.cpu_seconds_per_image,
        "joules_per_image": result.joules_per_image,
        "limit": cell(result.limit),
    }
    return row
