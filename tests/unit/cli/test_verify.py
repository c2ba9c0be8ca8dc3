"""`dist-alexnet verify`, run as a person does."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.launch.fingerprint import check_fingerprints
from dist_alexnet.verify.evidence import Evidence
from dist_alexnet.verify.verdict import TOLERANCES, judge

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_certificate(dist_alexnet: Command, workplace: Path) -> None:
    arguments = ["-c", "tiny.yaml", "--strategies", "ddp,channel_split", "--gpus", "2,3", "--steps", "3", "--out", "certified"]
    result = dist_alexnet("verify", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "not defined: channel_split on 3: channel_split puts one tower on each of 2 ranks" in result.stdout
    content = json.loads((workplace / "certified" / "certificate.json").read_text())
    assert content["passed"]
    assert content["dtype"] == "float64"
    judged = {(case["strategy"], case["world_size"]): case["verdict"] for case in content["cases"] if case["verdict"]}
    assert set(judged) == {("ddp", 2), ("ddp", 3), ("channel_split", 2)}
    for verdict in judged.values():
        assert 0 < verdict["bytes_per_step"] == verdict["bytes_predicted"]
        assert set(verdict["momentum"]) == set(verdict["weights"])
        assert max(verdict["weights"].values()) < 1e-9
        assert verdict["missing"] == verdict["faults"] == []
    assert "| ddp | 3 |" in (workplace / "certified" / "certificate.md").read_text()
    assert not (workplace / "certified" / "evidence").exists()


@pytest.mark.usefixtures("with_plug_ins")
def test_a_faulty_plug_in_fails_and_is_named(dist_alexnet: Command) -> None:
    names = "forgetful,unfinished,missing,ddp"
    result = dist_alexnet("verify", "-c", "tiny.yaml", "--strategies", names, "--gpus", "2", "--steps", "2", "--json")
    assert result.returncode == 1
    content = json.loads(result.stdout)
    cases = {case["strategy"]: case for case in content["cases"]}
    assert not content["passed"]
    assert "momentum of" in " ".join(cases["forgetful"]["verdict"]["faults"])
    assert "'unfinished' (faulty:Unfinished) lacks axes; its author must add it" in cases["unfinished"]["error"]
    assert "'missing' (no_such_module:Strategy) does not load: ModuleNotFoundError" in cases["missing"]["error"]
    assert cases["ddp"]["verdict"]["passed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "0"], "type --gpus 1,2,4"),
        (["--gpus", "two"], "type --gpus 1,2,4"),
        (["--steps", "0"], "type --steps 5"),
        (["--strategies", "dpp"], "did you mean 'ddp'?"),
        (["--strategies", "single", "--gpus", "2"], "nothing to verify: single runs on 1 rank"),
        (["--dtype", "float16"], "train.dtype"),
        (["-b", "2", "--gpus", "4", "--strategies", "ddp"], "leaves nothing for some of the 4 ranks"),
    ],
)
def test_nonsense(dist_alexnet: Command, arguments: list[str], message: str) -> None:
    result = dist_alexnet("verify", "-c", "tiny.yaml", *arguments)
    assert result.returncode == 2
    *_, error = result.stderr.splitlines()
    assert message in error
    assert result.stderr.count("error: ") == 1


def test_ranks_that_differ_are_named() -> None:
    alike = {"configuration": "a", "torch": "2.14.1"}
    check_fingerprints(["one", "two"], [alike, alike])
    with pytest.raises(UsageError, match=r"rank 1 on two has another torch than rank 0 on one \(2.13.0, not 2.14.1\); install the same"):
        check_fingerprints(["one", "two"], [alike, {**alike, "torch": "2.13.0"}])


def test_a_tensor_that_nobody_has_is_missed() -> None:
    part = {"start": 0, "stop": 4, "squared_difference": 0.0, "whole_rows": 4, "squared_norm": 1.0}
    content = {"loss_difference": 0.0, "tensors": {"a.weight": part}, "masks": [], "samples": [{0: True}]}
    sent: dict[str, object] = {"counted_bytes": {}, "predicted_bytes": {}, "wanted": ["a.weight", "b.weight"]}
    verdict = judge([Evidence.from_dict({**content, **sent})], {}, 1, TOLERANCES["float64"])
    assert verdict.faults == ["no rank has b.weight"]


def test_typed_options_are_what_is_verified(dist_alexnet: Command) -> None:
    one = ["verify", "-c", "tiny.yaml", "--strategies", "ddp", "--gpus", "2", "--steps", "1"]
    rounded = dist_alexnet(*one, "strategy.options.gradient_wire=bfloat16")
    assert rounded.returncode == 1, "what is rounded is not equal"
    assert "momentum of" in rounded.stdout
    unknown = dist_alexnet(*one, "strategy.options.foo=1")
    assert unknown.returncode == 2
    assert "foo" in unknown.stderr
    several = dist_alexnet("verify", "-c", "tiny.yaml", "--strategies", "ddp,single", "strategy.options.foo=1")
    assert "type --strategies with one name" in several.stderr


def test_a_folder_with_other_things_is_left_alone(dist_alexnet: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    result = dist_alexnet("verify", "-c", "tiny.yaml", "--strategies", "ddp", "--out", str(tmp_path))
    assert result.returncode == 2
    assert "there are other things in it" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
