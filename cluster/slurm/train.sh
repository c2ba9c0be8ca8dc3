#!/bin/bash
# A training on an allocation of Slurm: starts Ray on its nodes, trains, and takes Ray down again.
#
#   sbatch cluster/slurm/train.sh -c alexnet_2012 --strategy ddp --gpus 8 --data /shared/imagenet \
#       --output-dir /shared/runs --name night --resume auto
#
# What follows the script is what follows `dist-alexnet train`. With a name and --resume auto, a job that Slurm puts back into the queue
# goes on from its newest checkpoint. Activate the environment that holds dist-alexnet before sbatch; it must be the same on all nodes.
# On one node none of this is needed: `sbatch --wrap "dist-alexnet train --gpus 4"`.
#
#SBATCH --job-name=dist-alexnet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --requeue
# Five minutes before the time is up the shell below is told, and tells the training, which saves a checkpoint and ends.
#SBATCH --signal=B:TERM@300
set -euo pipefail

nodes=${SLURM_JOB_NUM_NODES:?start this script with sbatch}
cpus=${SLURM_CPUS_PER_TASK:?type --cpus-per-task: a rank takes one}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) # where this script runs; a driver must be on a node of its cluster
last=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tail -n 1)
# --overlap: beside other steps. --export=ALL: the token, whatever SLURM_EXPORT_ENV says. CPUs are not handed on to steps since Slurm 22.05.
step=(srun --overlap --export=ALL --ntasks-per-node=1 --cpus-per-task="$cpus")
# Asked of another node: on a Debian the name of the machine itself stands for 127.0.1.1, where no other node would find Ray.
ip=$("${step[@]}" --nodes=1 --ntasks=1 --nodelist="$last" getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }')
port=$((20000 + SLURM_JOB_ID % 10000)) # another for each job: two may share a node
folder=/tmp/ray-$SLURM_JOB_ID          # Ray's own, /tmp/ray, belongs to whoever was first on the node; a longer path has no room for sockets

# Whoever reaches Ray's ports could run code as you. The token is in the environment of your processes alone, which nobody else can read.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_ADDRESS=$ip:$port
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # for what still runs on a node when it is taken down: nothing does; 30 s otherwise

started=()

cleanup() {
    trap '' TERM INT
    ((${#started[@]} == 0)) || kill -TERM "${started[@]}" 2>/dev/null || true
    wait
    "${step[@]}" --nodes="$nodes" --ntasks="$nodes" rm -rf "$folder" || true
}
trap cleanup EXIT

# --block: Ray lives as long as its step. Only the first line differs between the head and the others.
"${step[@]}" --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="$ip" --port="$port" --temp-dir="$folder" --include-dashboard=false \
    --num-cpus="$cpus" --disable-usage-stats --block >"ray-$SLURM_JOB_ID.log" 2>&1 &
started+=($!)
until ray health-check --address "$RAY_ADDRESS" >/dev/null 2>&1; do
    kill -0 "${started[0]}" 2>/dev/null || { echo "error: Ray's head did not start; see ray-$SLURM_JOB_ID.log" >&2; exit 1; }
    sleep 1
done
if ((nodes > 1)); then
    "${step[@]}" --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --exclude="$head" \
        ray start --address="$RAY_ADDRESS" --num-cpus="$cpus" --disable-usage-stats --block >>"ray-$SLURM_JOB_ID.log" 2>&1 &
    started+=($!)
fi
# A training is refused if the cluster has no room for it, so it begins when all nodes are there.
timeout 300 python -c '
import sys, time, ray
ray.init(log_to_driver=False, logging_level="ERROR")
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[1]):
    time.sleep(1)
' "$nodes" || { echo "error: not all of $nodes nodes joined Ray within 300 s; see ray-$SLURM_JOB_ID.log" >&2; exit 1; }

dist-alexnet train "$@" &
training=$!
trap 'kill -TERM "$training"' TERM INT
# A signal ends `wait` before the training has ended.
code=0
wait "$training" || code=$?
while kill -0 "$training" 2>/dev/null; do
    code=0
    wait "$training" || code=$?
done
exit "$code"
