"""`dist-alexnet submit`, which comes in as commands of other packages do."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.jobs import options, shown
from cluster.jobs.address import dashboard_address
from cluster.jobs.package import MAX_FILE_MIB, MIB, Tree, look_at, pack
from cluster.jobs.request import STOP_WAIT_S, Asked, job_request
from cluster.jobs.summary import find_summary
from dist_alexnet.cli.elsewhere import TypedElsewhere, read_train
from dist_alexnet.cli.screen.shown import say
from dist_alexnet.json_text import to_json
from dist_alexnet.redact import words_without_secrets

if TYPE_CHECKING:
    from cluster.jobs.client import Jobs

NOWHERE = Path("none")


def submit(
    words: Annotated[list[str] | None, typer.Argument(help="After --: what to type after train.", metavar="[-- TRAIN ARGUMENTS]")] = None,
    address: options.Address = None,
    working_dir: Annotated[Path, typer.Option("--working-dir", help="Folder that the job gets a copy of; none: nothing is sent.")] = Path(),
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of paths in it that are not sent.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="Variable of the job and its ranks, as NAME=VALUE.")] = None,
    pip: Annotated[list[str] | None, typer.Option("--pip", help="Package that Ray installs for the job, as pip takes it.")] = None,
    metadata: Annotated[list[str] | None, typer.Option("--metadata", help="KEY=VALUE that is shown with the job.")] = None,
    submission_id: Annotated[str | None, typer.Option("--submission-id", help="Id of the job; default: Ray makes one up.")] = None,
    num_cpus: Annotated[float, typer.Option("--num-cpus", help="Of the driver alone; ranks have their own.")] = 0.0,
    num_gpus: Annotated[float, typer.Option("--num-gpus", help="Of the driver alone; ranks have their own.")] = 0.0,
    stop_wait: Annotated[int, typer.Option("--stop-wait", help="Seconds that jobs stop gives it for a checkpoint.")] = STOP_WAIT_S,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the id and do not wait.")] = False,
    json: options.Json = False,
) -> None:
    """Train as a job of a Ray cluster: send the working tree, follow the logs, end with the job's exit code.

    As in: dist-alexnet submit --address http://HOST:8265 -- --strategy channel_split --gpus 2 --output-dir /shared/runs
    """
    asked = Asked(env or (), pip or (), metadata or (), submission_id, num_cpus, num_gpus, stop_wait)
    jobs, job = _send(words or [], asked, address, None if working_dir == NOWHERE else working_dir, exclude or ())
    if no_wait:
        print(to_json({"submission_id": job, "address": jobs.address}) if json else job)
        return
    from cluster.jobs.follow import ending, exit_code
    from cluster.jobs.watch import watch

    say(f"submitted {job}; Ctrl-C leaves it alone, {shown.command(jobs.address, 'stop', job)} ends it")
    info = watch(jobs, job, aside=json)
    code = exit_code(info)
    if json:
        print(to_json({"address": jobs.address, **shown.as_dict(info), "exit_code": code, "summary": find_summary(jobs.logs(job))}))
    what = "prints its summary" if not code else "prints what it has printed"
    say(f"{job} {ending(info)}; {shown.command(jobs.address, 'logs' if code else 'summary', job)} {what}")
    sys.exit(code)


def _send(words: Sequence[str], asked: Asked, address: str | None, folder: Path | None, exclude: Sequence[str]) -> "tuple[Jobs, str]":
    """Send a training; what can be refused here is, before anything is sent. Returns the jobs of the cluster, and the id of the new one."""
    typed = read_train(words, folder)
    request = job_request(words, typed.as_json, asked)
    where = dashboard_address(address)
    tree = look_at(folder, exclude) if folder else None
    for note in _notes(words, typed, tree):
        say(note)
    from cluster.jobs.client import Jobs  # here, for Ray takes a second to import

    jobs = Jobs(where)
    if request.submission_id:
        jobs.check_free(request.submission_id)
    with tempfile.TemporaryDirectory(prefix="dist-alexnet-") as scratch:
        package = Path(scratch) / "tree.zip"
        if tree:
            say(f"sending {len(tree.files):,} file(s) of {tree.folder.absolute()}, {sum(tree.files.values()) / MIB:,.1f} MiB")
            pack(tree, package)
        return jobs, jobs.submit(request, package if tree else None)


def _notes(words: Sequence[str], typed: TypedElsewhere, tree: Tree | None) -> Iterator[str]:
    """What the sender may not have thought of."""
    if words_without_secrets(words) != list(words):
        yield "a secret was typed after --: Ray shows it to whoever may look at jobs; name a file of the cluster with it, where you can"
    if not typed.output_dir.is_absolute():
        yield (
            f"the run folder will lie in {typed.output_dir}/ of the job's copy, on one node, which Ray deletes some day; "
            "type --output-dir /on/shared/storage after -- to keep checkpoints, and for ranks on several nodes"
        )
    if not typed.checked:
        yield "the configuration is not checked here: a part of it lies on the cluster"
    if tree and tree.too_large:
        name, size = max(tree.too_large.items(), key=lambda item: item[1])
        yield (
            f"left out: {len(tree.too_large)} file(s) of over {MAX_FILE_MIB} MiB, the largest {name} of {size / MIB:,.0f} MiB; "
            "put what the job needs on storage that the cluster mounts"
        )
