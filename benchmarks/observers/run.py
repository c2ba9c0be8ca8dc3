"""What do metrics and event files cost a training?

One training by the preset quickstart, while the observers of Prometheus and TensorBoard are now at work and now stopped, in turn, every few
seconds: two trainings after one another differ by more than observers cost. They run in a process of their own, so that they can be
stopped; in the driver they do the same. While they work, somebody scrapes them each second. Compared are blocks of time that follow each
other, and the CPU seconds that they took.

    python -m benchmarks.observers.run --out benchmarks/observers/results/NAME.json
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.common import environment, summary, write
from benchmarks.observers.watch import OBSERVERS
from dist_alexnet.config import Config
from dist_alexnet.registry import OBSERVERS as OBSERVERS_GROUP
from dist_alexnet.registry import load
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.records import RunStarted, Stage, Steps

SCRAPES = 200
SCRAPE_S = 1.0  # Prometheus by itself asks every 15 to 60 s
START_S = 300
EXPORTED = 300  # reports through Ray's metrics
EXPORT_S = 30.0  # within which: Ray sends every 10 s
TICKS = os.sysconf("SC_CLK_TCK")

Block = tuple[float, float, float]  # its beginning and its end in seconds since 1970, and CPU seconds of the observers


def cpu_seconds(pid: int) -> float:
    """Of a process without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_for(directory: RunDirectory, happened: Any) -> None:
    deadline = time.monotonic() + START_S
    while not happened():
        assert time.monotonic() < deadline, directory
        time.sleep(0.2)


def block(watcher: "subprocess.Popen[bytes]", seconds: float, url: str | None) -> Block:
    """Let some time pass; `url`: of the observers, if they are at work."""
    before, begun = cpu_seconds(watcher.pid), time.time()
    while time.time() < begun + seconds:
        if url:
            urllib.request.urlopen(url).read()
        time.sleep(SCRAPE_S)
    return begun, time.time(), cpu_seconds(watcher.pid) - before


def measure(folder: Path, typed: list[str], pairs: int, seconds: float) -> tuple[RunDirectory, list[Block], list[Block]]:
    """Blocks with the observers at work and blocks without, in turn, of one training that then is stopped."""
    command = [sys.executable, "-m", "dist_alexnet", "train", "-c", "quickstart", "--name", "run", *typed]
    directory = RunDirectory(folder / "runs" / "run")
    at_work, stopped = list[Block](), list[Block]()
    with ExitStack() as running:
        driver = running.enter_context(subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        running.callback(driver.send_signal, signal.SIGINT)
        wait_for(directory, lambda: any(record == Stage(doing="training", time=record.time) for record in directory.records()))
        watch = [sys.executable, "-m", "benchmarks.observers.watch", str(directory.path)]
        watcher = running.enter_context(subprocess.Popen(watch, stdout=subprocess.DEVNULL))
        running.callback(watcher.kill)
        wait_for(directory, (directory.path / "metrics.url").exists)
        url = (directory.path / "metrics.url").read_text().strip()
        time.sleep(seconds)  # torch is imported
        for _ in range(pairs):
            at_work.append(block(watcher, seconds, url))
            watcher.send_signal(signal.SIGSTOP)
            stopped.append(block(watcher, seconds, None))
            watcher.send_signal(signal.SIGCONT)
        assert driver.poll() is None, "it has ended before the last block"
    return directory, at_work, stopped


def images_per_second(reports: list[Steps], within: Block) -> float:
    """In the steps of a block; of a report that lies in it in part, that part."""
    images = seconds = 0.0
    for each in reports:
        took = each.steps * each.step_seconds
        inside = max(0.0, min(each.time, within[1]) - max(each.time - took, within[0]))
        images, seconds = images + each.images * inside / took, seconds + inside
    return images / seconds


def cpu_ms_of(reports: list[Steps]) -> dict[str, float]:
    """What one report and one scrape cost each observer, by feeding it many; no machine is too busy to measure that."""
    costs = {}
    for name in OBSERVERS:
        with tempfile.TemporaryDirectory(prefix="observers-") as folder:
            directory = RunDirectory(Path(folder) / "run")
            directory.create()
            kind, registry = load(OBSERVERS_GROUP, name), CollectorRegistry()
            observer = kind(Config(), directory, kind.Options(), *([registry] if name == "prometheus" else []))
            observer.see(RunStarted(step=0, epoch=0.0, total_epochs=1.0, total_steps=1, strategy="ddp"))
            begun = time.process_time()
            for report in reports:
                observer.see(report)
            costs[f"{name}_report"] = round(1e3 * (time.process_time() - begun) / len(reports), 3)
            begun = time.process_time()
            if name == "prometheus":
                for _ in range(SCRAPES):
                    generate_latest(registry)
                costs["scrape"] = round(1e3 * (time.process_time() - begun) / SCRAPES, 3)
            observer.close()
    return costs


def cpu_ms_of_export(reports: list[Steps]) -> float:
    """What a report costs a rank that publishes it through Ray's metrics, Ray's own threads in its process included.

    The process reports nothing for a while, and then reports for as long: Ray sends its metrics at times of its own.
    """
    import ray

    def beside_a_rank(reports: list[Steps]) -> float:
        from cluster.export import RankMetrics

        published = RankMetrics("run", 0)
        published.see(RunStarted(step=0, epoch=0.0, total_epochs=1.0, total_steps=1, strategy="ddp"))
        cpu = [time.process_time()]
        for amount in (0, EXPORTED):
            begun = time.monotonic()
            for number in range(EXPORTED):
                if number < amount:
                    published.see(reports[number % len(reports)])
                time.sleep(max(0.0, begun + (number + 1) * EXPORT_S / EXPORTED - time.monotonic()))
            cpu.append(time.process_time())
        return 1e3 * (cpu[2] - cpu[1] - (cpu[1] - cpu[0])) / EXPORTED

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        return round(float(ray.get(ray.remote(beside_a_rank).remote(reports))), 3)
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a block")
    parser.add_argument("--log-every", type=int, default=5, help="more often than the 20 of the preset: each report costs")
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    before = environment()
    # Without validations, which take no part in the numbers but time.
    typed = ["--gpus", str(options.gpus), f"train.log_every={options.log_every}", "train.epochs=1000", "train.validate_every=0"]
    with tempfile.TemporaryDirectory(prefix="observers-") as folder:
        directory, at_work, stopped = measure(Path(folder), typed, options.pairs, options.seconds)
        reports = [record for record in directory.records() if isinstance(record, Steps)]
    fast = {
        "at_work": [images_per_second(reports, each) for each in at_work],
        "stopped": [images_per_second(reports, each) for each in stopped],
    }
    # A block is compared with the mean of its neighbours, which takes out what changes slowly.
    ratios = [mine / (left + right) * 2 for mine, (left, right) in zip(fast["at_work"][1:], pairwise(fast["stopped"]), strict=True)]
    shares = [cpu / (end - begin) for begin, end, cpu in at_work]
    results: dict[str, Any] = {
        "images_per_second": {name: summary(values) for name, values in fast.items()},
        "throughput_ratio": summary(ratios, 4),
        "share_of_one_core": summary(shares, 4),
        "cpu_ms": cpu_ms_of(reports) | {"ray_export_report": cpu_ms_of_export(reports)},
        "reports_per_second": round(len(reports) / (reports[-1].time - reports[0].time), 2),
    }
    print(json.dumps(results, indent=1))
    write(
        {"environment": before, "seconds": options.seconds, "log_every": options.log_every, "ratios": ratios, "results": results},
        options.out,
    )


if __name__ == "__main__":
    main()
