"""Which strategy trains AlexNet fastest on the CPU processes of one machine? A call of `dist-alexnet compare`.

The network of the paper at full size, one thread per rank, images drawn beforehand, every strategy with the options that matter.

    python -m benchmarks.strategies.run --out benchmarks/strategies/results/NAME [any option of compare, which wins over those here]
"""

import subprocess
import sys

CONTESTANTS = (
    "single",
    "ddp",
    "ddp:gradient_wire=bfloat16",
    "ddp:shard_optimizer=true",
    "channel_split:overlap=false",
    "channel_split",
    "hybrid",
    "one_weird_trick:scheme=a",
    "one_weird_trick:scheme=b",
    "one_weird_trick:scheme=c",
    "fsdp",
    "pipeline",
)
ARGUMENTS = ("-c", "alexnet_2012", "--strategies", ",".join(CONTESTANTS), "--gpus", "2,4", "-b", "32,64", "--rounds", "9", "--inexact")


def main() -> None:
    command = [sys.executable, "-m", "dist_alexnet", "compare", *ARGUMENTS, "--device", "cpu", "launch.threads=1", *sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
