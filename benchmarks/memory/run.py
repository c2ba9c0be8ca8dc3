"""How much of a machine's memory does a rank on the CPU take, and does `explain` say so?

Trains the full network for a few steps under each case, with a checkpoint after each and a validation at the end, and compares the most
that a rank held (summary.json) with what `explain` says to reserve.

    python -m benchmarks.memory.run --out benchmarks/memory/results/NAME.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import environment, write

CASES = [
    *(("single", 1, batch) for batch in (64, 128, 256)),
    *((strategy, 2, batch) for strategy in ("ddp", "channel_split") for batch in (32, 128, 256)),
    *((strategy, 2, 128) for strategy in ("one_weird_trick", "fsdp", "pipeline")),
    ("hybrid", 4, 128),
    ("ddp", 4, 128),
]
MIB = 2**20
DATA = ["data.synth.classes=20", "data.synth.train=512", "data.synth.val=256"]


def measure(case: tuple[str, int, int], folder: Path) -> dict[str, Any]:
    strategy, ranks, batch = case
    settings = ["-c", "alexnet_2012", "--strategy", strategy, "--gpus", str(ranks), "-b", str(batch), "--device", "cpu"]
    plan = json.loads(_dist_alexnet("explain", *settings, "model.classes=20", "--json", folder=folder))
    name = f"{strategy}-{ranks}-{batch}"
    _dist_alexnet(
        "train", *settings, *DATA, "--launcher", "local", "--max-steps", "4", "train.checkpoint_every=1", "--name", name, folder=folder
    )
    took = json.loads((folder / "runs" / name / "summary.json").read_text())["peak_memory_bytes"]
    said = max((group["resident"] for group in plan["groups"]), key=lambda resident: resident["total"])
    in_mib = {part: round(size / MIB) for part, size in said.items()}
    return {"strategy": strategy, "ranks": ranks, "batch": batch, "measured_mib": round(took / MIB), "said_mib": in_mib}


def _dist_alexnet(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "dist_alexnet", *arguments]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    before, rows = environment(), []
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        for case in CASES:
            rows.append(row := measure(case, Path(folder)))
            print(json.dumps(row), flush=True)
    write({"environment": before, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
