"""`dist-alexnet doctor`, which comes in as commands of other packages do."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False) -> None:
    """Look at what stands in the way of a run here: exit code 1 if anything does. Starts nothing."""
    from dist_alexnet.doctor.checks import run_checks
    from dist_alexnet.json_text import to_json

    found = []
    for check, finding in run_checks():
        found.append({"check": check, **asdict(finding)})
        if not as_json:
            trouble = f": {finding.trouble}" if finding.trouble else ""
            print(f"{'TROUBLE' if trouble else 'fine':8}{check}: {finding.what}{trouble}")
    if as_json:
        print(to_json(found, indent=2))
    sys.exit(1 if any(each["trouble"] for each in found) else 0)
