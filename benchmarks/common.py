"""What every result file says: of which machine, versions and commit its numbers are, and how they spread."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dist_alexnet.telemetry.environment import describe_machine, versions


def summary(values: Iterable[float], digits: int = 2) -> dict[str, Any]:
    """Median, quartiles and extremes."""
    low, first, median, third, high = (round(float(value), digits) for value in np.percentile(list(values), (0, 25, 50, 75, 100)))
    return {"median": median, "quartiles": [first, third], "min": low, "max": high}


def environment() -> dict[str, Any]:
    """Take it before the measurement: it holds the load of the machine."""
    machine = describe_machine()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
    return {
        "processor": machine["processor"],
        "cores": machine["cores"],
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "versions": versions(),
        "commit": commit,
    }


def write(result: Mapping[str, Any], file: Path | None) -> None:
    """To a JSON file, if one is named."""
    if file:
        file.write_text(json.dumps(result, indent=1) + "\n")
