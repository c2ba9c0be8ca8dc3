"""Jobs of a real Ray that asks for a token: sent, followed, left alone, stopped, and their results fetched."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import TINY, Command
from tests.orchestration.ray_head import free_port, head
from tests.orchestration.runs import wait_until

BIN = str(Path(sys.executable).parent)
TRAIN = ("-c", "job.yaml", "--strategy=channel_split", "--gpus", "2")
ALONE = ("-c", "job.yaml", "--strategy=single", "--gpus", "1")
Jobs = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of the dashboard of a head node with two slots."""
    port = free_port()
    options = ("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}")
    with head(*options, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working tree with what must not be sent."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "job.yaml").write_text(TINY.replace("name: local, ", ""))
    for name in (".git", "data", "runs"):
        (folder / name).mkdir()
        (folder / name / "large").write_bytes(b"x")
    return folder


@pytest.fixture(scope="module")
def program(dist_alexnet: Command, address: str, tree: Path) -> Jobs:
    """`program("jobs", "list")`, asked of that head once it answers."""

    def run(*words: str, **options: str) -> "subprocess.CompletedProcess[str]":
        before, after = words[: words.index("--")] if "--" in words else words, words[words.index("--") :] if "--" in words else ()
        command = [sys.executable, "-m", "dist_alexnet", *before, *([] if "--address" in before else ["--address", address]), *after]
        environment = {**os.environ, **options}
        return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=200, check=False)

    for _ in range(40):  # two cores that others use, too
        if not (answer := run("jobs", "list")).returncode:
            break
        time.sleep(0.5)
    assert not answer.returncode, answer.stderr
    return run


@pytest.fixture(scope="module")
def finished(program: Jobs, tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """A job that was sent and waited for."""
    out = tmp_path_factory.mktemp("shared")
    done = program(
        "submit",
        "--submission-id",
        "first",
        "--metadata",
        "who=me",
        "--",
        *TRAIN,
        "--max-steps",
        "2",
        "--output-dir",
        str(out),
        "--name",
        "a",
    )
    assert (out / "a" / "summary.json").exists(), done.stdout + done.stderr
    return done


def test_a_job_is_followed_to_its_end_and_its_summary_fetched(finished: "subprocess.CompletedProcess[str]", program: Jobs) -> None:
    assert finished.returncode == 0
    assert "sending 1 file(s)" in finished.stderr
    assert re.search(r"^epoch .* step      2 ", finished.stdout, flags=re.MULTILINE)
    assert os.environ["RAY_AUTH_TOKEN"] not in finished.stdout + finished.stderr
    summary = json.loads(program("jobs", "summary", "first").stdout)
    assert (summary["strategy"], summary["world_size"], summary["steps"], summary["status"]) == ("channel_split", 2, 2, "completed")
    told = json.loads(program("jobs", "status", "first", "--json").stdout)
    assert (told["status"], told["exit_code"], told["metadata"]["who"]) == ("SUCCEEDED", 0, "me")
    assert program("jobs", "logs", "first").stdout == finished.stdout


@pytest.mark.slow
def test_ctrl_c_leaves_a_job_alone_and_stop_has_it_save_a_checkpoint(program: Jobs, address: str, tree: Path, tmp_path: Path) -> None:
    sent = program("submit", "--no-wait", "--", *ALONE, "train.epochs=1000", "--output-dir", str(tmp_path), "--name", "b")
    job = sent.stdout.strip()
    assert sent.returncode == 0, sent.stderr
    command = [sys.executable, "-m", "dist_alexnet", "jobs", "logs", "--follow", job, "--address", address]
    with subprocess.Popen(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        wait_until(follower, lambda: '"kind": "train"' in _text(tmp_path / "b" / "metrics.jsonl"))
        follower.send_signal(signal.SIGINT)
        out, err = follower.communicate()
    assert follower.returncode == 130
    assert f"{job} goes on; to stop it: dist-alexnet jobs stop {job} --address {address}" in err
    assert f"Running entrypoint for job {job}: dist-alexnet train --json -c job.yaml" in out
    assert " RUNNING " in program("jobs", "list").stdout
    assert program("jobs", "stop", job).stderr.endswith(f"{job}: stopped\n")
    assert json.loads(program("jobs", "summary", job).stdout)["status"] == "stopped"
    assert list((tmp_path / "b" / "checkpoints").iterdir())
    assert program("jobs", "logs", "-f", job).returncode == 128 + signal.SIGTERM


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (("jobs", "list"), {"RAY_AUTH_TOKEN": "0" * 64}, "asks for another token than the one it was shown; set RAY_AUTH_MODE=token"),
        (("jobs", "list"), {"RAY_AUTH_MODE": "disabled"}, "asks for a token; set RAY_AUTH_MODE=token"),
        (("submit", "--address", "http://127.0.0.1:1", "--", *TRAIN), {}, "no dashboard of Ray answers at http://127.0.0.1:1; type"),
        (("jobs", "stop", "nobody"), {}, "there is no job nobody at http"),
        (("jobs", "logs", "-f", "nobody"), {}, "there is no job nobody at http"),
        (("submit", "--submission-id", "first", "--", *TRAIN), {}, "there is a job first at http"),
        (("submit", "--", *TRAIN, "trian.lr=1"), {}, "Did you mean: 'train'"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...], environment: dict[str, str], message: str, program: Jobs, finished: "subprocess.CompletedProcess[str]"
) -> None:
    refused = program(*words, **environment)
    assert refused.returncode == 2
    assert message in refused.stderr.splitlines()[-1]
    assert refused.stderr.count("error: ") == 1
    assert environment.get("RAY_AUTH_TOKEN", "-" * 9) not in refused.stderr


@pytest.mark.parametrize(
    ("status", "driver_exit_code", "code", "said"),
    [
        ("SUCCEEDED", 0, 0, "succeeded with exit code 0"),
        ("FAILED", 2, 2, "failed with exit code 2"),
        ("FAILED", -9, 137, "failed with exit code -9"),
        ("FAILED", 127, 127, "failed with exit code 127: dist-alexnet is not on the PATH"),
        ("FAILED", None, 1, "failed: pip fell over"),
        ("STOPPED", None, 143, "stopped"),
    ],
)
def test_how_a_job_ended(status: str, driver_exit_code: int | None, code: int, said: str, address: str) -> None:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

    from cluster.jobs.follow import ending, exit_code

    info = JobDetails(
        type="SUBMISSION", status=status, entrypoint="", message="\npip fell over\nTraceback", driver_exit_code=driver_exit_code
    )
    assert exit_code(info) == code
    assert ending(info).startswith(said)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (
            "dist-alexnet train --hub-token hush hub.password='hu sh' --gpus 2",
            "dist-alexnet train --hub-token *** hub.password=*** --gpus 2",
        ),
        ("echo 'two  words' && dist-alexnet train", "echo 'two  words' && dist-alexnet train"),
        ("curl -H 'Authorization: Bearer hush' x", "curl -H Authorization: *** x"),
        ("echo it's token=hush", "echo it's token=***"),
    ],
)
def test_a_secret_is_not_shown_and_all_else_is_as_it_was_typed(typed: str, kept: str, address: str) -> None:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

    from cluster.jobs.follow import ending
    from cluster.jobs.shown import as_dict, details, line

    metadata = {"who": "me", "api_key": "hush"}
    info = JobDetails(type="SUBMISSION", status="FAILED", entrypoint=typed, message="refused: token=hush", metadata=metadata)
    assert as_dict(info)["entrypoint"] == kept
    assert line(info).endswith(kept)
    for shown in (json.dumps(as_dict(info)), *details(info), ending(info)):
        assert "hush" not in shown
