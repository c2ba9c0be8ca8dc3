"""`dist-alexnet verify`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dist_alexnet.cli import options
from dist_alexnet.cli.screen.shown import say, shown
from dist_alexnet.config import UsageError
from dist_alexnet.json_text import to_json
from dist_alexnet.machine.surroundings import check_alone

if TYPE_CHECKING:
    from dist_alexnet.verify.run import Case


def verify(
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    strategies: Annotated[str, typer.Option("--strategies", help="all, or names with commas between.")] = "all",
    gpus: Annotated[str, typer.Option("--gpus", help="Ranks, with commas between.")] = "1,2",
    steps: Annotated[int, typer.Option("--steps", help="Optimizer steps that are compared.")] = 5,
    dtype: Annotated[str, typer.Option("--dtype", help="float64, float32 or bf16.")] = "float64",
    batch: Annotated[int, typer.Option("-b", "--batch", help="Images per step; a number that ranks do not divide tests more.")] = 11,
    device: options.Device = None,
    share_device: options.ShareDevice = None,
    launcher: options.LauncherName = "local",
    data: options.Data = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the certificate; default: runs/verify-TIME.")] = None,
    as_json: options.Json = False,
) -> None:
    """Prove on these machines that strategies train alike: same losses, weights, momentum, dropout, images and bytes as one process.

    Exit code 1 if one does not. Default: the preset quickstart, in double precision, where nothing but a fault is larger than 1e-9.
    """
    typed = options.as_overrides(locals() | {"strategies": None, "gpus": None})
    check_alone()
    from rich.console import Console

    from dist_alexnet.runs.directory import RunDirectory
    from dist_alexnet.runs.failure import TrainingFailed
    from dist_alexnet.training.prepare import make_free
    from dist_alexnet.verify.request import prepare_verification

    folder = (out or Path("runs") / f"verify-{time.strftime('%Y%m%d-%H%M%S')}").absolute()
    if out and folder.exists() and any(folder.iterdir()) and not (folder / "certificate.json").exists():
        raise UsageError(f"--out {out}: there are other things in it; type a new folder, or that of a certificate")

    prepared = prepare_verification(
        preset,
        [f"train.{'dtype' if dtype.startswith('float') else 'precision'}={dtype}", *typed],
        strategies,
        gpus,
        steps,
        folder.parent,
        say,
    )
    from dist_alexnet.verify import certificate
    from dist_alexnet.verify.run import run_cases

    folder = folder if out else make_free(folder)
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)

    def tell(case: "Case") -> None:
        console.print(shown(f"{case.name} on {case.ranks}: {'; '.join(certificate.faults(case)) or 'equal'}"))

    directory = RunDirectory(folder)
    try:
        run_cases(prepared.cases, steps, prepared.data, directory, prepared.launch, tell)
    except TrainingFailed as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    content = certificate.certificate(prepared.config, steps, prepared.cases)
    certificate.write(folder, content, prepared.cases)
    if as_json:
        print(to_json(content, indent=2))
    else:
        _print_table(prepared.cases, folder)
    sys.exit(0 if content["passed"] else 1)


def _print_table(cases: "list[Case]", folder: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from dist_alexnet.verify.certificate import COLUMNS, faults, row, undefined

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for heading in COLUMNS:
        is_text = heading in ("strategy", "verdict")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=heading != "strategy", overflow="fold")
    for case in cases:
        if not case.undefined:
            table.add_row(*row(case))
    console = Console(markup=False, highlight=False, soft_wrap=False)
    console.print(table)
    for case in cases:
        for line in faults(case):
            console.print(shown(f"{case.name} on {case.ranks}: {line}"), soft_wrap=True)
    for line in undefined(cases):
        console.print(f"not defined: {line}", soft_wrap=True)
    console.print(shown(f"written to {folder / 'certificate.md'} and certificate.json"), soft_wrap=True)
