"""What the dashboards show: panels, and the queries of each. generate.py makes Grafana's JSON of them."""

from collections.abc import Sequence
from dataclasses import dataclass

ONE = '{run=~"$run",strategy=~"$strategy"}'
RUN = "run, strategy"
NAMED, OF_RANK = "{{strategy}} ({{run}})", "{{run}} rank {{rank}}"


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    unit: str  # as Grafana calls it
    queries: Sequence[tuple[str, str]]  # PromQL, and the legend of a series
    text: str = ""  # what it tells
    stacked: bool = False


def metric(name: str, more: str = "") -> str:
    """Series of the chosen runs."""
    return f"dist_alexnet_{name}{ONE[:-1]}{more and f',{more}'}}}"


def rate(name: str, by: str = RUN, more: str = "") -> str:
    """Per second, over all that is not in `by`."""
    return f"sum by ({by}) (rate({metric(name, more)}[$__rate_interval]))"


def per_step(name: str, by: str) -> str:
    """Of one step, from two counters."""
    return f"{rate(name, by)} / on ({RUN}) group_left () {rate('steps_total')}"


def of_ranks(phases: str) -> str:
    """Seconds of a step by phase, as the mean over ranks."""
    ranks = f"count by ({RUN}) (count by ({RUN}, rank) ({metric('phase_seconds_total')}))"
    return f"{rate('phase_seconds_total', f'{RUN}, phase', phases)} / on ({RUN}) group_left () ({rate('steps_total')} * {ranks})"


def quantile(share: float) -> str:
    """Of the duration of a step."""
    return f"histogram_quantile({share}, {rate('step_duration_seconds_bucket', f'{RUN}, le')})"


def share_of(phase: str) -> str:
    """Of the time of all ranks."""
    wanted = f'phase="{phase}"'
    return f"{rate('phase_seconds_total', more=wanted)} / {rate('phase_seconds_total')}"


def by_rank(phases: str, whole: str = "") -> str:
    """Time of each rank in these phases, per second of `whole`, which by itself is all of its time."""
    part = rate("phase_seconds_total", f"{RUN}, rank", phases)
    return f"{part} / on ({RUN}) group_left () {whole}" if whole else f"{part} / {rate('phase_seconds_total', f'{RUN}, rank')}"


THROUGHPUT = Panel(
    "Throughput",
    "short",
    [(metric("images_per_second"), NAMED)],
    "Images per second in the steps of the last report; validation and checkpoints are not in it.",
)
WAITED_FOR = Panel(
    "Exposed wait by exchange",
    "s",
    [(per_step("exchange_exposed_seconds_total", f"{RUN}, exchange"), f"{NAMED} {{{{exchange}}}}")],
    "Seconds of a step in which ranks waited for an exchange that nothing hid.",
    stacked=True,
)
SENT = Panel(
    "Bytes per step",
    "bytes",
    [(per_step("exchange_bytes_total", f"{RUN}, exchange, direction"), f"{NAMED} {{{{exchange}}}} {{{{direction}}}}")],
    "Sent over all ranks.",
    stacked=True,
)
PHASES = Panel("Step by phase", "s", [(of_ranks(""), f"{NAMED} {{{{phase}}}}")], "Seconds of a step; mean over ranks.", stacked=True)
LOSS = Panel("Loss", "short", [(metric("loss"), NAMED), (metric("validation_loss"), f"{NAMED} validation")])
ERRORS = Panel("Validation error", "percentunit", [(metric("error_ratio"), f"{NAMED} top {{{{k}}}}")])

STRATEGIES: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Speed",
        (
            THROUGHPUT,
            Panel("Step", "s", [(quantile(0.5), f"{NAMED} median"), (quantile(0.95), f"{NAMED} 95 %")], "Duration of an optimizer step."),
            PHASES,
            Panel(
                "Where time is lost",
                "percentunit",
                [(share_of(phase), f"{NAMED} {phase}") for phase in ("data_wait", "communication", "rank_wait")],
                "Shares of the time of all ranks.",
            ),
        ),
    ),
    ("What ranks send each other", (WAITED_FOR, SENT)),
    (
        "What it costs",
        (
            Panel("Peak memory of a rank", "bytes", [(f"max by ({RUN}) ({metric('memory_peak_bytes')})", NAMED)]),
            Panel("CPU cores in use", "short", [(rate("cpu_seconds_total"), NAMED)], "CPU seconds of all ranks, per second."),
        ),
    ),
    ("What it learns", (LOSS, ERRORS, Panel("Epoch", "short", [(metric("epoch"), NAMED)]))),
)

SINGLE: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Where it stands",
        (
            Panel("Now", "short", [(f"{metric('run_state')} == 1", "{{run}}: {{state}}")], "What it does, or how it ended."),
            Panel("Time left", "s", [(metric("time_left_seconds"), NAMED)]),
            Panel("Steps", "short", [(metric("step"), NAMED), (metric("steps_planned"), f"{NAMED} planned")]),
            Panel(
                "Silence",
                "s",
                [(f"time() - {metric('last_record_timestamp_seconds')}", NAMED)],
                "Seconds since the run last said anything of itself.",
            ),
            LOSS,
            ERRORS,
            Panel("Learning rate", "short", [(metric("learning_rate"), NAMED)]),
            Panel(
                "Restarts, bad images, losses that are not finite",
                "short",
                [
                    (metric(f"{name}_total"), f"{NAMED} {name.replace('_', ' ')}")
                    for name in ("restarts", "bad_images", "non_finite_losses")
                ],
            ),
        ),
    ),
    ("Speed", (THROUGHPUT, PHASES, WAITED_FOR, SENT)),
    (
        "Ranks",
        (
            Panel(
                "Work of a rank",
                "s",
                [(by_rank('phase!~"rank_wait|communication"', rate("steps_total")), OF_RANK)],
                "Seconds of a step in which it waited for no other rank: the one that stands out is the straggler.",
            ),
            Panel(
                "Waiting for the slowest rank",
                "percentunit",
                [(by_rank('phase="rank_wait"'), OF_RANK)],
                "Share of the time of each rank; the straggler has least.",
            ),
            Panel("Waiting for images", "percentunit", [(by_rank('phase="data_wait"'), OF_RANK)]),
            Panel("Peak memory", "bytes", [(metric("memory_peak_bytes"), OF_RANK)]),
            Panel("CPU cores in use", "short", [(rate("cpu_seconds_total", f"{RUN}, rank"), OF_RANK)]),
        ),
    ),
    (
        "Besides training",
        (
            Panel("Duration of a checkpoint", "s", [(metric("checkpoint_duration_seconds"), NAMED)]),
            Panel("Size of a checkpoint", "bytes", [(metric("checkpoint_bytes"), NAMED)]),
            Panel("Duration of a validation", "s", [(metric("validation_duration_seconds"), NAMED)]),
            Panel(
                "Share of the time",
                "percentunit",
                [(rate(f"{name}_seconds_total"), f"{NAMED} {name}") for name in ("checkpoint_blocked", "validation")],
                "Seconds per second that are no training.",
            ),
        ),
    ),
)
