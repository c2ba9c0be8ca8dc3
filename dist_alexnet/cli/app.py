"""`dist-alexnet`: the commands, and what becomes of errors."""

import os
import re
import sys
from itertools import pairwise
from typing import Annotated

import typer

from dist_alexnet import __version__
from dist_alexnet.cli import compare, config, evaluate, explain, train, verify
from dist_alexnet.cli.data import app as data
from dist_alexnet.cli.plug_ins import Commands
from dist_alexnet.cli.screen import output
from dist_alexnet.cli.screen.shown import shown
from dist_alexnet.config import UsageError
from dist_alexnet.machine import surroundings

app = typer.Typer(
    cls=Commands,
    help="One AlexNet, many ways to spread it: train, compare and explain the network of 2012.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("verify")(verify.verify)
app.command("compare")(compare.compare)
app.command("explain")(explain.explain)
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dist-alexnet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """One AlexNet, many ways to spread it: train, compare and explain the network of 2012."""


def _words(typed: list[str]) -> list[str]:
    """What was typed, with the ~ expanded that a shell leaves after `--option=`, and nothing empty in it.

    Raises:
        UsageError: an argument is empty, as a variable of the shell that is not set leaves it.
    """
    for before, word in pairwise(["", *typed]):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            what = word.rstrip("=") or (before if before.startswith("-") else "an argument")
            raise UsageError(f"{what} is empty; type a value, or leave it out; was it a variable of the shell that is not set?")
    return [re.sub(r"^(--[\w-]+=)(~.*)", lambda found: found[1] + os.path.expanduser(found[2]), word, flags=re.S) for word in typed]


def main() -> None:
    """Run a command. Exit codes: 0 ok, 1 training failed, 2 wrong use, 128 + n stopped by signal n."""
    output.open_outlets()
    try:
        surroundings.check_folder()
        surroundings.check_threads()
        app(_words(sys.argv[1:]))
    except UsageError as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        sys.exit(2)
    except PermissionError as error:  # wherever it was met: no one file is worth a check of its own
        if error.filename is None:  # it is about no file
            raise
        print(f"error: {shown(str(error.filename))}: {error.strerror}; name another, or have its owner let you in", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        sys.exit(output.exit_code(end.code))
