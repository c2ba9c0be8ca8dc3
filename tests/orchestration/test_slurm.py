"""The script for Slurm, and the whole of it on this machine: srun and scontrol are stand-ins, which run what they are given here.

So a node is a Ray node, and two of them share this machine. What Slurm itself does (allocating, confining, killing) is not seen here.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dist_alexnet.cli.elsewhere import read_train
from tests.orchestration.ray_head import REPOSITORY, free_port

SCRIPT = REPOSITORY / "cluster" / "slurm" / "train.sh"
SRUN = """#!/bin/bash
echo "$@" >>"$SRUN_LOG"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
RAY = f"""#!/bin/bash
exec {shlex.quote(sys.executable)} -m ray.scripts.scripts "$@"
"""
SCONTROL = """#!/bin/bash
[[ "$1 $2 $3" == "show hostnames two-of-them" ]] && printf 'localhost\\nlocalhost\\n'
"""


def test_bash_can_read_it_and_the_program_takes_the_command_that_it_shows() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    shown = re.search(r"^#   sbatch (.*)", SCRIPT.read_text().replace("\\\n#", ""), flags=re.MULTILINE)
    assert shown
    words = shlex.split(shown[1])
    assert words[0] == str(SCRIPT.relative_to(REPOSITORY))
    assert read_train(words[1:], None).checked


def test_the_head_listens_where_other_nodes_reach_it_though_its_name_is_its_loopback_there_as_on_debian(tmp_path: Path) -> None:
    """/etc/hosts of each node is a stand-in, too; Ray is, for what it is asked for."""
    for name, content in (
        ("scontrol", "printf 'one\\ntwo\\n'"),
        ("srun", 'while [[ $1 == --* ]]; do [[ $1 != --nodelist=* ]] || export NODE=${1#*=}; shift; done; exec "$@"'),
        ("getent", '[[ $NODE == "$2" ]] && echo "127.0.1.1 STREAM" || echo "10.0.0.7 STREAM"'),
        ("ray", 'echo "$@" >>"$RAY_LOG"; exit 1'),
        ("rm", ""),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{content}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "[one,two]", "SLURM_CPUS_PER_TASK": "1", "NODE": "one"}
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **slurm, "PATH": path, "RAY_LOG": str(tmp_path / "asked")}
    ran = subprocess.run([str(SCRIPT)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, "error: Ray's head did not start; see ray-1.log\n")
    assert " --node-ip-address=10.0.0.7 " in (tmp_path / "asked").read_text()


@pytest.mark.slow
def test_it_starts_ray_on_two_nodes_trains_and_leaves_nothing(workplace: Path, tmp_path: Path) -> None:
    for name, content in (("srun", SRUN), ("ray", RAY), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    job = str(free_port())
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    slurm = {"SLURM_JOB_ID": job, "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "two-of-them", "SLURM_CPUS_PER_TASK": "1"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [str(SCRIPT), "-c", "tiny.yaml", "--launcher", "ray", "--gpus", "2", "--max-steps", "2", "--name", "slurm"]
    log = tmp_path / "log"
    ran = subprocess.run(
        command, cwd=workplace, env={**own, **slurm, "PATH": path, "SRUN_LOG": str(log)}, capture_output=True, text=True, timeout=280
    )
    assert ran.returncode == 0, ran.stderr + (workplace / f"ray-{job}.log").read_text()
    summary = json.loads((workplace / "runs" / "slurm" / "summary.json").read_text())
    assert (summary["world_size"], summary["steps"]) == (2, 2), "of a slot each: both nodes have taken part"
    steps = log.read_text().splitlines()
    assert ["ray start --head" in steps[1], "--nodes=1" in steps[1], "--exclude=localhost ray start --address" in steps[2]] == [True] * 3
    assert not Path(f"/tmp/ray-{job}").exists()
    assert f"ray-{job}" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "TOKEN" not in ran.stdout + ran.stderr
