"""What was proven, for people (Markdown) and programs (JSON)."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dist_alexnet.config import Config
from dist_alexnet.json_text import to_json
from dist_alexnet.telemetry.environment import describe_machine, versions
from dist_alexnet.verify.run import Case
from dist_alexnet.verify.verdict import TOLERANCES

# bits: of dropout masks and images, and the place of each.
COLUMNS = (
    "strategy",
    "ranks",
    "loss",
    "weights",
    "momentum",
    "bits",
    "bytes/step",
    "verdict",
)


def certificate(config: Config, steps: int, cases: Sequence[Case]) -> dict[str, Any]:
    """The whole result, for JSON."""
    return {
        "format": 1,
        "passed": passed(cases),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": {key: value for key, value in describe_machine().items() if key != "command"},
        "device": config.launch.device,
        "launcher": config.launch.name,
        "dtype": config.train.numbers,
        "steps": steps,
        "global_batch": config.train.global_batch,
        "tolerance": asdict(TOLERANCES[config.train.numbers]),
        "model": asdict(config.model),
        "cases": [_case(case) for case in cases],
    }


def passed(cases: Sequence[Case]) -> bool:
    """Every case that is defined was run and passed, and there is one at least."""
    judged = [case for case in cases if not case.undefined]
    return bool(judged) and all(case.verdict is not None and case.verdict.passed for case in judged)


def write(folder: Path, content: dict[str, Any], cases: Sequence[Case]) -> None:
    """Leave certificate.json and certificate.md in a folder."""
    (folder / "certificate.json").write_text(to_json(content, indent=2) + "\n")
    (folder / "certificate.md").write_text(_markdown(content, cases), encoding="utf-8")


def row(case: Case) -> tuple[str, ...]:
    """A line of the table."""
    name, ranks = case.name, str(case.ranks)
    if case.verdict is None:
        return (name, ranks, *["-"] * 5, "failed")
    verdict = case.verdict
    worst = [f"{max(values.values(), default=0.0):.1e}" for values in (verdict.weights, verdict.momentum)]
    bits = "equal" if not (verdict.samples or verdict.mask_bits) else "differ"
    return (name, ranks, f"{verdict.loss:.1e}", *worst, bits, f"{verdict.bytes_per_step:,.0f}", "equal" if verdict.passed else "DIFFERENT")


def undefined(cases: Sequence[Case]) -> list[str]:
    """Which strategies do not serve which world sizes, and why, a line each."""
    return list(dict.fromkeys(f"{case.config.strategy.name} on {case.ranks}: {case.undefined}" for case in cases if case.undefined))


def faults(case: Case) -> list[str]:
    """What is wrong, in words."""
    if case.error:
        return [case.error]
    return case.verdict.faults if case.verdict else []


def _case(case: Case) -> dict[str, Any]:
    return {
        "strategy": case.config.strategy.name,
        "options": case.config.strategy.options,
        "world_size": case.ranks,
        "mesh": case.mesh,
        "undefined": case.undefined or None,
        "error": case.error or None,
        "verdict": case.verdict.as_dict() if case.verdict else None,
    }


def _markdown(content: dict[str, Any], cases: Sequence[Case]) -> str:
    tolerance, library = content["tolerance"], content["versions"]
    lines = [
        "# Certificate of equality",
        "",
        f"{'Every' if content['passed'] else 'NOT every'} strategy below computes the same training steps as one process.",
        "",
        f"{content['steps']} steps of {content['global_batch']} images in {content['dtype']} on {content['device']}, "
        f"started by {content['launcher']}; {content['made']}; dist-alexnet {library['dist-alexnet']}, torch {library['torch']}.",
        f"Largest relative differences; allowed: loss {tolerance['loss']:g}, weights {tolerance['weight']:g}, "
        f"momentum {tolerance['momentum']:g}. Masks, images and bytes must be equal.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row(case))} |" for case in cases if not case.undefined),
        "",
    ]
    lines += [f"- {case.name} on {case.ranks}: {'; '.join(told)}" for case in cases if (told := faults(case))]
    lines += [f"- not defined: {line}" for line in undefined(cases)]
    return "\n".join(lines) + "\n"
