"""Wrong use is answered before torch is imported, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.asking import ask, write_checkpoint

HEAVY = ("torch", "ray", "nvidia.dali", "numba")
ASKED = """
import contextlib, io, json, sys
from dist_alexnet.cli.app import main
answers = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["dist-alexnet", *words]
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            code = end.code
    answers.append([code, said.getvalue(), [name for name in HEAVY if name in sys.modules]])
print(json.dumps(answers))
"""
WRONG = [
    (["train", "trian.lr=1"], "Did you mean: 'train'"),
    (["train", "train.lr=fast"], "must be a number"),
    (["train", "-c", "quikstart"], "did you mean 'quickstart'"),
    (["train", "--strategy", "dpd"], "did you mean 'ddp'"),
    (["train", "--launcher", "slurm"], "unknown launcher"),
    (["train", "--data", "nowhere"], "there is no such folder"),
    (["train", "--data", ""], "--data is empty"),
    (["train", "--resume", "nowhere"], "no complete checkpoint"),
    (["train", "--resume", "auto"], "type --name NAME"),
    (["train", "--name", "a/b"], "must be the name of a folder"),
    (["train", "--name", "there"], "exists and nothing is overwritten"),
    (["eval", "nowhere"], "no complete checkpoint"),
    (["explain", "--strategy", "dpd"], "did you mean 'ddp'"),
    (["explain", "model.towerz=2"], "Did you mean: 'towers'"),
    (["verify", "--strategies", "dpd"], "did you mean 'ddp'"),
    (["verify", "--gpus", "x"], "needs numbers from 1 on"),
    (["compare", "--strategies", "dpd"], "did you mean 'ddp'"),
    (["compare", "--gpus", "x"], "needs numbers from 1 on"),
    (["compare", "--fail-if-slower", "5%"], "type --against"),
    (["compare", "--resume"], "type --out with it"),
    (["data", "bench", "nowhere"], "no such folder"),
    (["data", "stats", "nowhere"], "no such folder"),
    (["data", "verify", "nowhere"], "no such folder"),
    (["data", "prepare", "nowhere", "target"], "there is no such folder"),
    (["data", "prepare", ".", "target", "--size", "small"], "must be a number of pixels, or none"),
    (["data", "prepare", ".", "target", "--size", "none", "--quality", "50"], "--quality 50 would do nothing"),
    (["data", "prepare", ".", "target", "--encoding", "raw", "--quality", "50"], "--quality 50 would do nothing"),
    (["verify", "train.schedule.name=cosine"], "train.schedule.name would do nothing: a verification compares --steps steps"),
    (["verify", "train.max_steps=3"], "train.max_steps would do nothing"),
    (["config", "show", "strategy.name=dpd"], "did you mean 'ddp'"),
    (["submit", "--address", "a:6379"], "is no address of a dashboard"),
    (["submit", "--", "trian.lr=1"], "Did you mean: 'train'"),
    (["jobs", "status", "a/b"], "is no id of a job"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """Of one process, which is asked everything."""
    place = tmp_path_factory.mktemp("place")
    (place / "runs" / "there").mkdir(parents=True)
    asked = [words for words, _ in WRONG]
    command = [sys.executable, "-c", f"HEAVY = {HEAVY}\n{ASKED}", json.dumps(asked)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=place)
    return dict(zip(map(" ".join, asked), json.loads(answer.stdout), strict=True))


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_use_needs_no_torch(words: list[str], message: str, answers: dict[str, list[object]]) -> None:
    code, said, heavy = answers[" ".join(words)]
    assert message in str(said)
    assert (code, heavy) == (2, [])


@pytest.mark.parametrize(
    ("module", "call", "said"),
    [
        ("dist_alexnet.verify.request", "prepare_verification(None, [], 'single,ddp', '1', 1, Path('runs'), tell)", "single, ddp"),
        (
            "dist_alexnet.compare.request",
            "prepare(Asked(None, ['launch.name=local'], 'single,ddp', '1', '8', 9, 0), Path('runs'), False, tell)",
            "single, ddp",
        ),
        ("dist_alexnet.training.prepare", "prepare(Request('quickstart', ['strategy.name=ddp'], Path('runs')), tell)", "ddp, quickstart"),
    ],
)
def test_what_is_about_to_be_done_is_said_before_torch_is_imported(module: str, call: str, said: str, tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom pathlib import Path\nfrom {module} import *\n"
        f"def tell(line):\n    print(line, 'torch' in sys.modules)\n    sys.exit()\n{call}"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert answer.stdout == f"{said}: loading PyTorch False\n"


@pytest.mark.parametrize(
    "words",
    [
        ["explain"],
        ["explain", "strategy.options.fc8=first"],
        ["data", "prepare", "photographs", "prepared"],
        ["train", "strategy.options.overlap=false", "--name", "x"],  # refused: it exists
        ["train", "--resume", "runs/x", "--gpus", "3", "--name", "y"],  # refused: of 2 ranks
        ["eval", "runs/x", "--strategy", "channel_split", "--gpus", "3"],
    ],
)
def test_a_line_comes_before_torch_is_imported(words: list[str], tmp_path: Path, preset: str) -> None:
    for split in ("train", "val"):
        (tmp_path / "photographs" / split / "cat").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photographs" / split / "cat" / "1.jpg")
    if "train" in words or "eval" in words:
        write_checkpoint(ask(tmp_path, preset))
    command = [sys.executable, "-X", "importtime", "-m", "dist_alexnet", *words]  # a line on stderr when a module has been imported
    printed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stderr.splitlines()
    assert not any("Traceback" in line for line in printed)
    said = next(number for number, line in enumerate(printed) if line.endswith(": loading PyTorch") or line.startswith("reading step-"))
    torch = next(number for number, line in enumerate(printed) if line.endswith(" torch"))
    assert said < torch
