"""The command that goes on with a run."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from dist_alexnet.checkpoints.resume import OF_THE_MACHINE
from dist_alexnet.launch.settle import OUTPUT_DIR


def resume_command(name: str, output_dir: Path, typed: Sequence[str]) -> str:
    """As it can be pasted. A run knows its settings but for those of the machine, which are said again if they were typed.

    Args:
        name: of the run.
        output_dir: as typed.
        typed: settings, as `options.as_overrides` gives them.
    """
    again = ["train", "--name", name, "--resume", "auto"]
    if output_dir != OUTPUT_DIR:
        again += ["--output-dir", str(output_dir)]
    of_the_machine = {f"{section}.{key}" for section, keys in OF_THE_MACHINE.items() for key in keys}
    again += [setting for setting in typed if setting.partition("=")[0] in of_the_machine]
    return shlex.join([*_program(), *again])


def _program() -> list[str]:
    """As this process was started."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return [sys.executable, "-m", "dist_alexnet"]
    found = shutil.which(path.name)
    return [path.name if found and os.path.samefile(found, path) else str(path)]
