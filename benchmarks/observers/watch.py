"""The observers of a run, in a process of their own that can be stopped and goes on: as the driver has them, beside a driver without.

python -m benchmarks.observers.watch RUN_FOLDER
"""

import sys
import threading
from pathlib import Path

from dist_alexnet.config import Config
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.observers import observed

OBSERVERS = {"prometheus": {}, "tensorboard": {}}


def main() -> None:
    with observed(Config(observers=dict(OBSERVERS)), RunDirectory(Path(sys.argv[1])), print):
        threading.Event().wait()


if __name__ == "__main__":
    main()
