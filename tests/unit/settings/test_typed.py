"""Settings arrive as they were typed, or are refused. Once they went through YAML 1.1, where 010 is 8 and 1:30 is 90."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dist_alexnet.cli.options import as_overrides
from dist_alexnet.config import Config, UsageError
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.settings.presets import MAX_BYTES, read_preset
from dist_alexnet.settings.yaml_text import read_yaml

TEXTS = ["2012_09_30", "2012-09-30", "007", "0o7", "0x1F", "1e3", "1:30", "/data/img #1", "a: b", "[::1]:6379", "on", "Null", "!!int 5"]
TEXTS += [
    '"/data/in quotes"',
    "'it'",
    "&a",
    "*a",
    "%",
    "@x",
    "- a",
    "{a: 1}",
    "...",
    "---",
    " a ",
    "\ta",
    "a\nb",
    "\x85",
    "\u2028x",
    "\ufeff",
]


def of(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def read_back(config: Config) -> Config:
    """From what is written to config.yaml."""
    content: Any = read_yaml("config.yaml", to_yaml(config))
    return resolve(content, [])


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ["data.path", "launch.address"])
def test_text_stays_text(key: str, text: str) -> None:
    config = resolve({}, [f"{key}={text}"])
    assert of(config, key) == text
    assert read_back(config) == config


@pytest.mark.parametrize("text", ["007", "1e3", "2012_09_30", "/data/img #1", '"x"', "on"])
def test_flags_pass_through_unchanged(text: str) -> None:
    assert resolve({}, as_overrides({"overrides": None, "data": Path(text)})).data.path == text


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("train.seed", "010", 10),
        ("train.seed", "1_000", 1000),
        ("train.seed", "1e9", 1_000_000_000),
        ("train.max_steps", "2.5e2", 250),
        ("train.max_steps", "null", None),
        ("train.lr", "1e-2", 0.01),
        ("train.lr", ".5", 0.5),
        ("train.lr", "1", 1.0),
        ("data.mean", "[1, 2.5, 1e1]", [1.0, 2.5, 10.0]),
        ("data.augment.mirror", "0", False),
        ("data.path", "null", None),
        ("data.path", "~/images", os.path.expanduser("~/images")),
        ("data.path", "./~", "./~"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_setting(key: str, text: str, value: Any, tmp_path: Path) -> None:
    """On the command line, and in a file."""
    written = text
    for name in reversed(key.split(".")):
        written = f"{{{name}: {written}}}"
    (tmp_path / "mine.yaml").write_text(written)
    for config in (resolve({}, [f"{key}={text}"]), resolve(read_preset(str(tmp_path / "mine.yaml")), [])):
        assert of(config, key) == value
        assert type(of(config, key)) is type(value)
        assert read_back(config) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        *(
            (f"train.max_steps={text}", "must be an integer in decimal")
            for text in ("1:30", "0x10", "0o10", "1.5", "1e30", "1e-1", "_1", "x")
        ),
        *((f"train.lr={text}", "must be a number in decimal") for text in ("1:30", "0x10", "1,5", "2012-09-30", "fast")),
        *((f"data.augment.mirror={text}", "must be true or false") for text in ("2", "-1", "maybe", "null")),
        ("data.path=???", "must be text, neither empty nor"),
        ("strategy.name=null", "unknown strategy 'null'"),
        ("train.seed=null", "must be an integer"),
        ("data.mean=[1,2,x]", r"data.mean\[2\]=x: must be a number"),
        ("data.path=", "data.path= is empty; type a value, or null for none"),
        ("launch.name=slurm", "unknown launcher 'slurm'; installed: local, ray"),
    ],
)
def test_what_fits_no_reading_is_refused_in_one_line(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        resolve({}, [override])
    assert "\n" not in str(error.value)


def test_options_are_read_by_the_types_of_their_strategy() -> None:
    typed = [
        "strategy.name=one_weird_trick",
        "strategy.options.fc_ranks=010",
        "strategy.options.bucket_mib=1e1",
        "strategy.options.scheme=b",
    ]
    config = resolve({}, typed)
    assert config.strategy.options == {"fc_ranks": 10, "bucket_mib": 10.0, "scheme": "b"}
    assert read_back(config) == config
    whole = resolve({}, ["strategy.name=ddp", "strategy.options={shard_optimizer: yes, bucket_mib: 007}"])
    assert whole.strategy.options == {"shard_optimizer": True, "bucket_mib": 7.0}
    with pytest.raises(UsageError, match="strategy.options.shard_optimizer=2: must be true or false"):
        resolve({}, ["strategy.name=ddp", "strategy.options.shard_optimizer=2"])


WRITTEN = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=30)
DIGITS = st.from_regex(r"[+-]?[0-9]{1,12}(_[0-9]{1,3})?(\.[0-9]{0,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
NUMBERS = (
    DIGITS
    | st.floats().map(str)
    | st.integers().map(str)
    | st.integers(0).map(hex)
    | st.from_regex(r"[0-9]{1,2}:[0-5][0-9]", fullmatch=True)
)
PATHS = WRITTEN | st.lists(st.sampled_from([*TEXTS, "~", "${x}", "???", "null", "img"]), min_size=1).map("/".join) | NUMBERS


def resolved(*typed: str) -> Config | None:
    """None: it is refused, in one line."""
    try:
        return resolve({}, typed)
    except UsageError as refused:
        if "\n" in str(refused):
            raise
        return None


@settings(max_examples=100, deadline=None)
@given(PATHS)
def test_any_text_arrives(text: str) -> None:
    config = resolved(f"data.path={text}", f"launch.address={text}")
    if text == "???":
        assert config is None
        return
    assert config is not None
    home = os.path.expanduser(text)
    assert (config.data.path, config.launch.address) == ((None, None) if text == "null" else (home, text))
    assert read_back(config) == config


@settings(max_examples=100, deadline=None)
@given(NUMBERS | WRITTEN, st.sampled_from(["train.max_steps", "launch.timeout_s", "train.lr", "model.classes"]))
def test_any_number_arrives_or_is_refused(text: str, key: str) -> None:
    if (config := resolved(f"{key}={text}")) is None:
        return
    value, meant = of(config, key), text.strip().replace("_", "")
    assert value == (None if text == "null" else int(Decimal(meant)) if isinstance(value, int) else float(meant))
    assert value is None or re.fullmatch(r"[0-9+.eE-]+", meant)
    assert read_back(config) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train:\n  lr: 1\nmodel: {}\ntrain:\n  seed: 1\n", "mine.yaml, line 4: 'train' is there a second time"),
        ("train: {lr: 1, lr: 2}", "line 1: 'lr' is there a second time"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{c}: &{c} [{','.join([f'*{b}'] * 10)}]\n" for b, c in zip("abcdef", "bcdefg", strict=True)),
            "more than",
        ),
        ("data: &a {synth: *a}", "more than 10,000 values|is not YAML"),
        ("train: !!python/name:os.system {}", "is a tag, which no setting needs"),
        ("? [a]\n: 1", "line 1: a name is needed before the colon"),
        ("data: {path: ''}", "data.path=: must be text, neither empty"),
        (f"# {'x' * MAX_BYTES}", "no configuration has more than 131,072"),
    ],
)
def test_a_file_that_says_two_things_or_has_no_end_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(UsageError, match=message) as error:
        resolve(read_preset(str(tmp_path / "mine.yaml")), [])
    assert "\n" not in str(error.value)


def test_a_pipe_or_a_device_is_no_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UsageError, match="it is a pipe or a device; name a YAML file"):
            read_preset(str(path))


def test_a_file_keeps_words_as_they_are_written(tmp_path: Path) -> None:
    for text in ("2012_09_30", "007", "1e3", "12:30", "0x1F", "on", "=", "2012-09-30"):
        (tmp_path / "mine.yaml").write_text(f"data: {{path: {text}}}")
        assert resolve(read_preset(str(tmp_path / "mine.yaml")), []).data.path == text
    for nothing in ("~", "null", "Null", ""):
        (tmp_path / "mine.yaml").write_text(f"data:\n  path: {nothing}\n")
        assert resolve(read_preset(str(tmp_path / "mine.yaml")), []).data.path is None


def test_an_alias_is_what_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("model: {widths: {conv1: &wide 32, conv2: *wide}}")
    widths = resolve(read_preset(str(tmp_path / "mine.yaml")), []).model.widths
    assert (widths.conv1, widths.conv2) == (32, 32)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["data.path=x", "data.synth.train=40"], "data.synth.train would do nothing: .* data.path=x; leave one of them out"),
        (["data.augment.color_std=0.2"], "data.augment.color_std would do nothing: .*type data.augment.color=paper"),
        (["data.augment.until_epoch=3"], "data.augment.until_epoch would do nothing"),
        (["data.augment.crop_chunk=2", "data.augment.crop=false", "data.augment.mirror=false"], "crop_chunk would do nothing"),
        (["data.mean=[1,2,3]", "data.subtract=channel"], "data.subtract would do nothing: data.mean=.*1.0, 2.0, 3.0"),
        (["data.mean=[1,2,3]", "data.statistics=authors"], "data.statistics would do nothing"),
        (["train.schedule.name=cosine", "train.schedule.factor=3"], "train.schedule.factor would do nothing: it is about plateau"),
        (["train.schedule.patience=3", "train.validate_every=0"], "train.schedule.patience would do nothing: plateau listens"),
        (["launch.name=local", "launch.address=10.0.0.1:6379"], "launch.address would do nothing: .*--launcher ray"),
    ],
)
def test_a_setting_that_was_typed_and_does_nothing_is_refused(typed: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve({}, typed)
    base: dict[str, Any] = yaml.safe_load("{data: {synth: {train: 40}, augment: {color_std: 0.2}}, train: {schedule: {factor: 3}}}")
    assert resolve(base, ["data.path=x", "train.schedule.name=constant"]).data.path == "x", "presets may hold what a run has no use for"
