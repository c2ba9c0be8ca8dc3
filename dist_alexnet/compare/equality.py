"""Before contestants are compared: do they compute the same step? What is not equal is not compared."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dist_alexnet.compare.request import BASE, rounds_what_it_sends
from dist_alexnet.compare.results import Entry
from dist_alexnet.config import Config
from dist_alexnet.json_text import to_json
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.trials.run import Launch
from dist_alexnet.verify import certificate
from dist_alexnet.verify.run import Case, run_cases, steps_config
from dist_alexnet.verify.verdict import Tolerance

STEPS = 2  # the momentum of the first is in the second
IMAGES = 11  # which ranks do not divide
# Of whoever rounds what its ranks send: bfloat16 makes 0.4 % of the momentum, a forgotten gradient most of it. Masks, images and bytes
# may not differ at all.
ROUNDED = Tolerance(loss=0.2, weight=0.2, momentum=0.2)
FILE = "equality.json"


class Unequal(Exception):  # noqa: N818 - what was found, not an error
    """Contestants that do not compute the same step; says which, and how they differ."""


def check(
    entries: Sequence[Entry], data: Path | None, folder: Path, ranks: RunDirectory, launch: Launch, tell: Callable[[str], None]
) -> dict[str, str]:
    """Label -> "equal", or in words, of every contestant. Leaves a certificate in the folder; what it finds there is not done again.

    Raises:
        Unequal: some are not.
        TrainingFailed: the one-process run failed, or somebody stopped us.
    """
    file = folder / FILE
    with suppress(OSError, ValueError):
        return dict(json.loads(file.read_text()))
    cases = {entry.label: _case(entry) for entry in entries if entry.config.strategy.name != BASE}
    labels = {id(case): label for label, case in cases.items()}
    done = list(cases.values())
    if done:
        run_cases(done, STEPS, data, ranks, launch, lambda case: tell(f"{labels[id(case)]}: {_words(case)}"))
        exact = [case for case in done if case.tolerance is None]  # whoever rounds proves nothing
        if exact:
            certificate.write(folder, certificate.certificate(exact[0].config, STEPS, exact), exact)
    if faults := [f"{label}: {'; '.join(certificate.faults(case))}" for label, case in cases.items() if certificate.faults(case)]:
        raise Unequal("\n".join(faults))
    found = {entry.label: _words(cases[entry.label]) if entry.label in cases else "the one-process run itself" for entry in entries}
    file.write_text(to_json(found, indent=2) + "\n")
    return found


def _case(entry: Entry) -> Case:
    config: Config = entry.config
    images = max(IMAGES, 2 * config.launch.ranks + 1)
    config = steps_config(replace(config, train=replace(config.train, dtype="float64", precision="fp32", global_batch=images)))
    return Case(config, tolerance=ROUNDED if rounds_what_it_sends(entry.config) else None)


def _words(case: Case) -> str:
    if faults := certificate.faults(case):
        return "; ".join(faults)
    if case.tolerance and case.verdict:
        return f"inexact: it rounds what ranks send; after {STEPS} steps the loss differs by {case.verdict.loss:.0e}"
    return "equal"
