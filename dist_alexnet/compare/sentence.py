"""What limits a strategy, in one sentence, from where the time of its steps goes."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from dist_alexnet.compare.result import Result

MATTERS = 0.1  # of a step: what takes less is not what limits it
ALWAYS = 0.4  # a rank that waits less than this share of what others wait is the one that they wait for
WORDS = {
    "gradients": "gradients",
    "weights": "weights",
    "loss": "the loss",
    "labels": "labels",
    "stages": "what passes between stages",
    "agreement": "agreeing on the loss",
    "report": "a report",
}
DOING = {"forward": "the forward pass", "backward": "the backward pass", "optimizer": "the update", "h2d": "copying to its device"}


def limit(result: Result, others: Sequence[Result] = ()) -> str:
    """The largest of what is no forward and backward pass, if it matters; else how long these are beside `others` on as many ranks."""
    step, phases = result.step_seconds or 1.0, result.phases
    shares = {
        "data": max(rank["data_wait"] for rank in phases) / step,
        "wait": max(rank["rank_wait"] for rank in phases) / step,
        "communication": fmean(rank["communication"] for rank in phases) / step,
        "update": fmean(rank["optimizer"] for rank in phases) / step,
        "copy": max(rank["h2d"] for rank in phases) / step,
        "other": fmean(rank["other"] for rank in phases) / step,
    }
    largest = max(shares, key=lambda name: shares[name])
    share = f"{shares[largest]:.0%}"
    if shares[largest] < MATTERS:
        return _computes(result, others)
    match largest:
        case "data":
            return _images(result, share)
        case "wait":
            return _waits(result, share)
        case "communication":
            return f"{result.label} waits {share} of its step for {_exchanged(result)}"
        case "update":
            return (
                f"{result.label} takes {share} of its step for the update of {result.parameters / 1e6:,.1f} million parameters a rank, "
                f"whatever the batch: more than {result.global_batch} images a step would share it"
            )
        case "copy":
            return f"{result.label} takes {share} of its step to copy images to the device"
    return f"{result.label} spends {share} of its step between the phases: starting operations, or a busy machine"


def _images(result: Result, share: str) -> str:
    rank = max(range(len(result.phases)), key=lambda rank: result.phases[rank]["data_wait"])
    return f"{result.label} waits {share} of its step for images{_on(rank, result.phases)}: reading or decoding is slower than the network"


def _on(rank: int, phases: list[Mapping[str, float]]) -> str:
    """Which rank it is, if it is one alone."""
    others = [other["data_wait"] for place, other in enumerate(phases) if place != rank]
    return f" on rank {rank}, and the others for it" if others and max(others) < phases[rank]["data_wait"] / 2 else ""


def _computes(result: Result, others: Sequence[Result]) -> str:
    step = result.step_seconds or 1.0
    forward, backward = (fmean(rank[phase] for rank in result.phases) / step for phase in ("forward", "backward"))
    said = f"{result.label} computes in {forward + backward:.0%} of its step (forward {forward:.0%}, backward {backward:.0%})"
    alike = [other for other in others if (other.ranks, other.global_batch) == (result.ranks, result.global_batch)]
    fastest = min(alike, key=_computing, default=result)
    longer = _computing(result) / (_computing(fastest) or 1.0) - 1
    if longer < MATTERS:
        return f"{said}: only faster arithmetic makes it faster"
    meanwhile = f", and meanwhile sends {_exchanged(result)}" if result.sent_bytes > fastest.sent_bytes else ""
    millions = [f"{each.parameters / 1e6:,.1f}" for each in (result, fastest)]
    return f"{said}, {longer:.0%} longer than {fastest.label}: each rank has {millions[0]} million parameters, not {millions[1]}{meanwhile}"


def _computing(result: Result) -> float:
    """Seconds of a step."""
    return fmean(rank["forward"] + rank["backward"] for rank in result.phases)


def _waits(result: Result, share: str) -> str:
    waits, slow = [rank["rank_wait"] for rank in result.phases], result.slowest_rank
    if waits[slow] > ALWAYS * max(waits):
        return f"{result.label} has ranks that wait for each other, now for one and now for another, up to {share} of its step"
    others = [phases for rank, phases in enumerate(result.phases) if rank != slow]
    longer = {phase: seconds - fmean(other[phase] for other in others) for phase, seconds in result.phases[slow].items()}
    phase = max(longer, key=lambda phase: longer[phase])
    if phase == "data_wait":
        return _images(result, share)
    where = DOING.get(phase, phase.replace("_", " "))
    return f"{result.label} waits {share} of its step for rank {slow}, which takes {1000 * longer[phase]:,.0f} ms longer for {where}"


def _exchanged(result: Result) -> str:
    """What it waits for longest, with bytes."""
    if not result.exposed:
        return "its exchanges"
    name = max(result.exposed, key=lambda name: result.exposed[name])
    megabytes = sum(result.sent.get(name, {}).values()) / result.ranks / 1e6
    said = f"{megabytes:,.1f} MB of {WORDS.get(name, name)} a rank" if name in WORDS else f"the input of {name}, {megabytes:,.1f} MB a rank"
    if not megabytes:
        said = WORDS.get(name, f"the input of {name}")
    if name == "gradients" and result.linear_share:
        said += f", {result.linear_share:.0%} of them of the fully connected layers"
    among = [WORDS.get(other, other) for other in result.exposed if other != name and result.exposed[other] > 0]
    if among and result.exposed[name] < sum(result.exposed.values()) / 2:
        return f"{len(among) + 1} exchanges, longest for {said}"
    return said
