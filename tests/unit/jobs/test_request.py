"""What was typed for a job becomes what Ray is sent, or one line that says why not: whatever was typed."""

import json
import math
import shlex
from pathlib import Path

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster.jobs.address import dashboard_address
from cluster.jobs.request import STOP_WAIT, Asked, job_request
from cluster.jobs.summary import find_summary
from dist_alexnet.cli.elsewhere import read_train
from dist_alexnet.config import UsageError


def test_a_job_as_ray_takes_it() -> None:
    asked = Asked(["A=b=c", f"{STOP_WAIT}=7"], ["six==1.17"], ["who=me", "why="], "night-1", 0.5, 2)
    job = job_request(["--name", "it's", "a=$HOME"], False, asked)
    assert shlex.split(job.entrypoint) == ["dist-alexnet", "train", "--json", "--name", "it's", "a=$HOME"]
    assert job.runtime_env == {"env_vars": {"A": "b=c", STOP_WAIT: "7"}, "pip": ["six==1.17"]}
    assert (job.metadata, job.submission_id) == ({"who": "me", "why": ""}, "night-1")
    assert job_request(["--json"], True, Asked()).entrypoint == "dist-alexnet train --json"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(env=["A"]), "^--env A: type it as NAME=VALUE$"),
        (Asked(env=["a-b=1"]), "no variable can have that name"),
        (Asked(env=["RAY_AUTH_TOKEN=hush"]), "^--env RAY_AUTH_TOKEN: everybody [^=]*$"),
        (Asked(metadata=["=x"]), "type it as KEY=VALUE"),
        (Asked(submission_id="a/../b"), "is no id of a job"),
        (Asked(submission_id=""), "is no id of a job"),
        (Asked(num_gpus=1.5), "--num-gpus 1.5: must be a part of one"),
        (Asked(num_cpus=math.nan), "--num-cpus nan"),
        (Asked(stop_wait_s=-1), "--stop-wait -1"),
    ],
)
def test_what_ray_would_refuse_or_show_to_others_is_refused_here(asked: Asked, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        job_request([], True, asked)


@pytest.mark.parametrize(
    ("typed", "environment", "found"),
    [
        ("http://a:8265/", {"RAY_ADDRESS": "b:6379"}, "http://a:8265"),
        (None, {"RAY_ADDRESS": "https://b/ray"}, "https://b/ray"),
        (None, {"RAY_ADDRESS": "b:6379", "RAY_API_SERVER_ADDRESS": "http://c:1"}, "http://c:1"),
        (None, {}, "http://127.0.0.1:8265"),
        (None, {"RAY_ADDRESS": "b:6379"}, "^RAY_ADDRESS='b:6379' is no address of a dashboard, but where nodes join"),
        ("ray://a:10001", {}, "of Ray Client"),
        ("http://a:99999", {}, "Port out of range"),
        ("http://me:hush@a:8265", {}, "^--address has a user or a password in it, [^@]*$"),
    ],
)
def test_the_address_is_that_of_a_dashboard(typed: str | None, environment: dict[str, str], found: str) -> None:
    if found.startswith("http"):
        assert dashboard_address(typed, environment) == found
        return
    with pytest.raises(UsageError, match=found):
        dashboard_address(typed, environment)


OPTIONS = [
    "--gpus",
    "--strategy",
    "-c",
    "--name",
    "--resume",
    "--batch",
    "--",
    "-h",
    "--output-dir",
    "--json",
    "--seed",
    "channel_split",
    "2",
]
OPTIONS += ["train.lr=0.1", "launch.name=local", "model.towers=", "a.b=c", "strategy={}", "quickstart", "~", "auto", "data.path=/x"]
WORD = st.one_of(st.sampled_from(OPTIONS), st.text(st.characters(exclude_characters="\0"), max_size=8))
PAIR = st.one_of(st.builds("{}={}".format, st.sampled_from(["A", "RAY_AUTH_TOKEN", "1", ""]), st.text(max_size=5)), st.text(max_size=5))
FEW = st.lists(PAIR, max_size=2)
ASKED = st.builds(Asked, FEW, FEW, FEW, st.none() | st.text(max_size=4), st.floats(), st.floats(), st.integers())


ADDRESS = st.none() | st.text(max_size=12) | st.just("http://a:1")


@settings(max_examples=60)
@given(words=st.lists(WORD, max_size=5))
def test_whatever_follows_train_is_read_or_refused_in_a_line(words: list[str]) -> None:
    try:
        assert read_train(words, Path(__file__).parent).output_dir
    except UsageError:
        pass
    except typer.Exit:
        assert {"-h", "--help"} & set(words)


def becomes_a_job_or_one_line(words: list[str], asked: Asked, address: str | None) -> None:
    """What becomes a job can be sent: it is JSON, and a shell reads back what was typed."""
    try:
        job = job_request(words, True, asked)
        assert dashboard_address(address, {}).startswith("http")
    except UsageError:
        return
    assert shlex.split(job.entrypoint) == ["dist-alexnet", "train", *words]
    json.dumps(job.runtime_env).encode()
    assert "RAY_AUTH_TOKEN" not in job.runtime_env["env_vars"]


@settings(max_examples=500)
@given(words=st.lists(WORD, max_size=5), asked=ASKED, address=ADDRESS)
@example(words=["\ud800"], asked=Asked(), address=None)
def test_whatever_is_typed_becomes_a_job_or_one_line(words: list[str], asked: Asked, address: str | None) -> None:
    becomes_a_job_or_one_line(words, asked, address)


@pytest.mark.slow
@settings(max_examples=5000)
@given(words=st.lists(WORD, max_size=5), asked=ASKED, address=ADDRESS)
def test_the_same_of_5000_cases(words: list[str], asked: Asked, address: str | None) -> None:
    becomes_a_job_or_one_line(words, asked, address)


@given(before=st.text(max_size=50), after=st.text(max_size=50))
def test_a_summary_is_found_in_whatever_else_was_printed(before: str, after: str) -> None:
    summary = {"status": "completed", "strategy": "ddp", "world_size": 2, "val": {"loss": None}}
    assert find_summary(f"{before}\n{json.dumps(summary, indent=2)}\n{after}") == summary
    assert find_summary("{\n" + before) is None
