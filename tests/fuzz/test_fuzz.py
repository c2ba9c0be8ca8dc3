"""Whatever lies in a file or is typed: one line says what is wrong, or it is read. Never a traceback, never a hang.

A part of the cases by itself, 6,600 with `-m slow` (`docs/security.md` has what came of them). Hangs end by the time limit of a test.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from dist_alexnet import registry
from dist_alexnet.checkpoints.checkpoint import load_tensors
from dist_alexnet.checkpoints.resume import changes, check_usable, config_of_checkpoint
from dist_alexnet.compare.of_runs import compare_runs
from dist_alexnet.compare.report import files
from dist_alexnet.compare.report.page import report
from dist_alexnet.config import Config, UsageError
from dist_alexnet.dashboard.address import AXES, View
from dist_alexnet.dashboard.catalog import Catalog
from dist_alexnet.dashboard.downloads import as_csv
from dist_alexnet.dashboard.figures import CHARTS
from dist_alexnet.dashboard.page import certificates, charts, details, table
from dist_alexnet.dashboard.picked import pick
from dist_alexnet.data.images import ImageError
from dist_alexnet.data.sealed import seal
from dist_alexnet.data.sets.open import open_data, open_split
from dist_alexnet.model.layers import own_tensors
from dist_alexnet.parallel.world import World
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.runs.browse.folder import key_of
from dist_alexnet.runs.directory import RunDirectory
from dist_alexnet.runs.failure import RankFailure
from dist_alexnet.settings.presets import read_preset
from dist_alexnet.update.optimizer import VelocitySGD
from strategies.single import Single
from tests.fuzz.damage import ODD, TREES, changed, damaged, texts, try_all
from tests.made_runs import make_run
from tests.unit.asking import TINY, ask, write_checkpoint

FEW, MANY = 15, 600
AMOUNTS = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
pytestmark = pytest.mark.parametrize("cases", AMOUNTS)


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    """What is installed is looked up once: it takes longer than most cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "entry_points", cache(entry_points))
        yield


@contextmanager
def one_line(*also: type[Exception]) -> Iterator[None]:
    """What is refused is refused in a line; `also`: what else may be raised."""
    told = ""
    try:
        yield
    except UsageError as refused:
        told = str(refused)
    except also:
        pass
    assert "\n" not in told


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    (folder / "tiny.yaml").write_text(json.dumps({**TINY, "strategy": {"name": "single"}}))
    return write_checkpoint(ask(folder, str(folder / "tiny.yaml")), 7)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        make_run(tmp_path, name, upto=10, settings={**TINY, "strategy": {"name": "ddp"}})
    return tmp_path


def keys(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in settings.items():
        found += [f"{prefix}{name}", *(keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [])]
    return found


def test_configuration_files(cases: int, tmp_path: Path) -> None:
    whole, file = asdict(resolve(read_preset("quickstart"), [])), tmp_path / "mine.yaml"
    trees = (changed(whole) | TREES).map(lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            config = resolve(read_preset(str(file)), [])
            file.write_text(to_yaml(config))
            assert resolve(read_preset(str(file)), []) == config

    try_all(cases, trees | damaged(to_yaml(Config()).encode()) | damaged(b"a: &a [*b, {x: !!python/name:os.system y}]\n? [z]\n: 1"), meets)


def test_overrides(cases: int) -> None:
    names = st.sampled_from(keys(asdict(Config()))) | st.lists(st.sampled_from(["train", "lr", "", "data", "[0]", "a"])).map(".".join)
    values = st.sampled_from([*ODD, "[1,2,3]", "{a: 1}", "[", "{", "&a [*a]", "0x1F", "1e3", "yes", "1_000"]) | st.text(max_size=12)
    words = st.builds("{}={}".format, names, values) | st.text(max_size=12)

    def meets(typed: list[str]) -> None:
        with one_line():
            resolve(read_preset("quickstart"), typed)

    try_all(cases, st.lists(words, min_size=1, max_size=3), meets)


def read_checkpoint(checkpoint: Path) -> None:
    """All that is read of one: what a resume checks, its configuration, its tensors."""
    check_usable(checkpoint)
    config = resolve(config_of_checkpoint(checkpoint), ["strategy.name=single", "launch.workers=1"])
    changes(config, checkpoint)
    strategy = Single(config, World(0, 1))
    network = strategy.build()
    load_tensors(checkpoint, strategy, network, VelocitySGD(strategy.updated(network), config.train, own_tensors(strategy.layers)))


def test_the_state_of_a_checkpoint(cases: int, checkpoint: Path) -> None:
    """As somebody changed it, with a checksum that fits, and as a disk did."""
    file, whole = checkpoint / "state.json", (checkpoint / "state.json").read_bytes()
    tree = json.loads(whole)
    sealed = changed(tree).map(lambda other: json.dumps(seal(other) if isinstance(other, dict) else other).encode())

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            read_checkpoint(checkpoint)

    try:
        try_all(cases, sealed | texts(tree), meets)
    finally:
        file.write_bytes(whole)


def test_the_tensors_of_a_checkpoint(cases: int, checkpoint: Path) -> None:
    """Header and data, with a checksum that fits, so that it is the file itself that is looked at."""
    file, state = checkpoint / "model.safetensors", checkpoint / "state.json"
    whole, told = file.read_bytes(), json.loads(state.read_bytes())
    size = int.from_bytes(whole[:8], "little")

    def with_header(header: Any) -> bytes:
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + whole[8 + size :]

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        state.write_text(json.dumps({**told, "files": {**told["files"], file.name: hashlib.sha256(content).hexdigest()}}))
        with one_line():
            read_checkpoint(checkpoint)

    try:
        try_all(cases, changed(json.loads(whole[8 : 8 + size])).map(with_header) | damaged(whole), meets)
    finally:
        file.write_bytes(whole)
        state.write_text(json.dumps(told))


def read_set(folder: Path) -> None:
    """Every image of a set; one that cannot be read is no reason not to read the others."""
    with one_line():
        open_data(folder)
    for split in ("train", "val"):
        with one_line():
            images = open_split(folder, split)  # type: ignore[arg-type]
            for index in {0, len(images) // 2, len(images) - 1}:
                for look in (images.encoded, images.label, images.where):
                    with one_line(ImageError):
                        look(index)


@pytest.mark.parametrize("name", ["dataset.json", "statistics.json"])
def test_the_index_of_a_set(cases: int, name: str, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "set")
    file = tmp_path / "set" / name
    tree = json.loads(file.read_bytes())
    content = {key: value for key, value in tree.items() if key != "sha256"}
    sealed = changed(content).map(lambda other: json.dumps(seal(other) if isinstance(other, dict) else other).encode())

    def meets(text: bytes) -> None:
        file.write_bytes(text)
        read_set(tmp_path / "set")

    try_all(cases, sealed | texts(tree), meets)


def test_the_shards_of_a_set(cases: int, prepared: Path, tmp_path: Path) -> None:
    """With and without the length that the index says."""
    shutil.copytree(prepared, tmp_path / "set")
    file = tmp_path / "set" / "train" / "00000.arrow"
    whole = file.read_bytes()

    def meets(content: bytes) -> None:
        file.write_bytes(content.ljust(len(whole), b"\0")[: len(whole)] if len(content) % 2 else content)
        read_set(tmp_path / "set")

    try_all(cases, damaged(whole), meets)


def look_at(runs: Path, view: View) -> None:
    """All that the dashboard shows, and compare reads."""
    catalog = Catalog(runs)
    table.table(catalog.entries(), view)
    picked = pick(catalog, view)
    charts.charts(picked, view)
    details.comparison(picked)
    details.details(catalog, picked)
    details.others(catalog)
    for run in picked:
        certificates.whole(catalog, run.key)
    for chart in CHARTS.values():
        if figure := chart(picked, view.x):
            as_csv(figure)
    for run in (runs / "a", runs / "b"):
        with one_line():
            list(RunDirectory(run).records())
        RankFailure.all(RunDirectory(run))
    with one_line():
        report(compare_runs([runs / "a", runs / "b"]))


def test_metrics_files(cases: int, runs: Path) -> None:
    """Lines that say other things than they should, under any axis."""
    file = runs / "a" / "metrics.jsonl"
    whole = file.read_bytes()
    lines = [json.loads(line) for line in whole.splitlines()]
    other = st.sampled_from(range(len(lines))).flatmap(lambda at: st.tuples(st.just(at), changed(lines[at]) | TREES))

    def put(replaced: list[tuple[int, Any]]) -> bytes:
        said = [*lines]
        for at, line in replaced:
            said[at] = line
        return b"".join(json.dumps(line).encode() + b"\n" for line in said)

    def meets(case: tuple[bytes, str]) -> None:
        content, x = case
        file.write_bytes(content)
        look_at(runs, View(runs=("a", "b"), x=x))

    try_all(cases, st.tuples(st.lists(other, min_size=1, max_size=4).map(put) | damaged(whole), st.sampled_from(AXES)), meets)


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "logs/rank_0.error.json", "env.json", "certificate.json"])
def test_other_files_of_a_run(cases: int, name: str, runs: Path) -> None:
    trees = {"config.yaml": asdict(Config()), "summary.json": {"status": "completed"}, "env.json": {"versions": {"torch": "2"}, "cores": 2}}
    tree = trees.get(
        name, {"rank": 0, "kind": "x", "message": "m", "trace": "t", "cases": [{"strategy": "ddp", "loss": 1.0, "options": {}}]}
    )
    file = runs / "a" / name

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        look_at(runs, View(runs=("a", "b")))

    try_all(max(5, cases // 3), texts(tree), meets)


def test_an_earlier_comparison(cases: int, runs: Path) -> None:
    """What --against reads."""
    comparison = compare_runs([runs / "a", runs / "b"])
    files.write(runs, comparison)
    file = runs / files.JSON
    tree = json.loads(file.read_bytes())

    def meets(content: bytes) -> None:
        file.write_bytes(content)
        with one_line():
            report(files.read(runs))

    try_all(cases, texts(tree), meets)


def test_addresses_and_names(cases: int, runs: Path) -> None:
    """Nothing outside of the folder of runs is found, whatever is asked for."""
    catalog, names = (
        Catalog(runs),
        st.text(max_size=20) | st.sampled_from(["..", ".", "a/../..", "/etc", "%2e%2e", "%2fetc", "a\0b", "a%00"]),
    )

    def meets(asked: str) -> None:
        for key in (asked, key_of(asked.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))):
            found = catalog.folder.find(key)
            assert found is None or found.resolve().parent == runs.resolve()
        pick(catalog, View.parse(f"?runs={asked}&zoom={asked}&x={asked}&page={asked}"))

    try_all(cases, names, meets)
