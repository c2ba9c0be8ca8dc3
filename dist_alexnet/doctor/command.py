"""`dist-alexnet doctor`, which comes in as commands of other packages do."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dist_alexnet.config import UsageError

if TYPE_CHECKING:
    from dist_alexnet.doctor.checks import Asked, Finding

KEYS = {  # options that are settings under another name, as those of `train`
    "strategy": "strategy.name",
    "gpus": "launch.workers",
    "device": "launch.device",
    "launcher": "launch.name",
    "data": "data.path",
    "batch": "train.global_batch",
}


def doctor(
    words: Annotated[
        list[str] | None, typer.Argument(help="Checks, by itself all; any setting, as in train.lr=0.02.", metavar="[CHECK|KEY=VALUE]...")
    ] = None,
    preset: Annotated[str | None, typer.Option("-c", "--config", help="Of the run that is meant.", metavar="PRESET|FILE")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="How the network is to be spread.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", help="Ranks.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cuda or cpu.")] = None,
    launcher: Annotated[str | None, typer.Option("--launcher", help="Who starts the ranks.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="The images.")] = None,
    batch: Annotated[int | None, typer.Option("-b", "--batch", help="Images per step over all ranks.")] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", help="Where run folders go.")] = Path("runs"),
    measure: Annotated[bool, typer.Option("--measure", help="Measure, too: a minute in which the machine is busy.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds that a check may take; default: 60, and 600 to measure.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Look at what stands in the way of a run, here and on its cluster: exit code 1 if anything does, with what mends it."""
    given = locals()
    from dist_alexnet.doctor.apart import chosen
    from dist_alexnet.doctor.checks import Asked
    from dist_alexnet.json_text import to_json
    from dist_alexnet.machine.surroundings import check_alone

    check_alone()
    if timeout is not None and not 0 < timeout < 1e6:
        raise UsageError(f"--timeout {timeout:g}: must be seconds, as in --timeout 60")
    names = [word for word in words or [] if "=" not in word]
    settings = [f"{key}={given[name]}" for name, key in KEYS.items() if given[name] is not None]
    settings += [word for word in words or [] if "=" in word]
    checks = chosen(names)
    asked = Asked(_config(preset, settings), output_dir.absolute(), measure or bool(names))
    found, left = [], list[str]()
    for check, finding in _look(checks, asked, timeout, left):
        found.append({"check": check, **asdict(finding)})
        if not as_json:
            print(_line(check, max(map(len, checks)), finding), flush=True)
    troubles = sum(bool(each["trouble"]) for each in found)
    print(to_json(found, indent=2) if as_json else _ending(troubles, left))
    sys.exit(1 if troubles else 0)


def _config(preset: str | None, settings: list[str]) -> Any:
    from dist_alexnet.resolve import resolve
    from dist_alexnet.settings.presets import PAPER, QUICKSTART, read_preset

    has_data = any(each.startswith("data.path=") for each in settings)
    return resolve(read_preset(preset or (PAPER if has_data else QUICKSTART)), settings)


def _look(checks: list[str], asked: "Asked", timeout: float | None, left: list[str]) -> "Iterator[tuple[str, Finding]]":
    """All findings, each with its check, as they come; `left` takes the checks that were not asked for."""
    from dist_alexnet.doctor.apart import Left, run_check

    for name in checks:
        try:
            for finding in run_check(name, asked, timeout):
                yield name, finding
        except Left:
            left.append(name)


def _line(check: str, width: int, finding: "Finding") -> str:
    """A line each, also where it is wide: what reads it may be a program."""
    from dist_alexnet.runs.browse.folder import shown

    said = [finding.what] if finding.what != check else []  # a check that ended in an error has looked at nothing else
    return shown(f"{'TROUBLE' if finding.trouble else 'fine':9}{check:{width}}  {': '.join([*said, *filter(None, [finding.trouble])])}")


def _ending(troubles: int, left: list[str]) -> str:
    what = f"{troubles} thing(s) stand in the way" if troubles else "nothing stands in the way"
    return f"{what}; not measured: {', '.join(left)} (type --measure)" if left else what
