"""One configuration out of defaults, preset and `key=value`."""

from pathlib import Path

import pytest
import yaml

from dist_alexnet.cli.options import as_overrides
from dist_alexnet.config import UsageError
from dist_alexnet.resolve import resolve, to_yaml
from dist_alexnet.settings.presets import preset_names, read_preset

NONSENSE = [
    ("train=5", "train=5: it is a section; set what is in it, as in train.global_batch="),
    ("train.schedule=3", "train.schedule=3: it is a section"),
    ("model.widths=[1]", r"model.widths=\[1\]: it is a section; set what is in it, as in model.widths.conv1="),
    ("strategy=ddp", "as in strategy.name="),
    ("strategy.options=5", "strategy.options=5: it is a section"),
    ("strategy.options=[1]", r"strategy.options=\[1\]: it is a section"),
    ("=5", "'=5' is no override; type key=value"),
    ("train..lr=5", "'train..lr=5' is no override"),
    ("a.b.c=1", "a: Key 'a' not in 'Config'"),
    ("strategy.options={", "strategy.options=.* is not YAML"),
    ("train.lr=[", r"train.lr=\[: must be a number"),
    ("train.lr='", "train.lr=': must be a number"),
    ("train.lr={}", "train.lr={}: must be a number"),
    ("train.lr=[1]", r"train.lr=\[1\]: must be a number"),
    ("train.lr.x=3", "train.lr={'x': '3'}: must be one value"),
    ("data.mean=&a [*a]", "data.mean=.* is not YAML"),
    ("train.lr=", "train.lr= is empty; type a value, or null for none"),
    ("data.mean=abc", r"data.mean=abc: must be a list, as in data.mean=\[1,2,3\], or null"),
    ("data.mean={a: 1}", "data.mean={a: 1}: must be a list"),
    ("data.mean=[a,b,c]", r"data.mean\[0\]=a: must be a number"),
    ("data.mean[0]=5", "Did you mean: 'mean'"),
]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name: str) -> None:
    assert resolve(read_preset(name), []).train.global_batch > 0


def test_the_paper_preset_is_the_paper() -> None:
    config = resolve(read_preset("alexnet_2012"), [])
    train = config.train
    assert (train.global_batch, train.lr, train.momentum, train.weight_decay, train.epochs) == (128, 0.01, 0.9, 0.0005, 90)
    assert (config.data.store_size, config.model.image_size, config.data.augment.color) == (256, 224, "paper")


def test_overrides_come_last() -> None:
    config = resolve({"train": {"lr": 0.5, "seed": 1}}, ["train.lr=0.25"])
    assert (config.train.lr, config.train.seed, config.train.momentum) == (0.25, 1, 0.9)


def test_another_strategy_does_not_inherit_options() -> None:
    base = {"strategy": {"name": "channel_split", "options": {"fc8": "first"}}}
    assert resolve(base, []).strategy.options == {"fc8": "first"}
    assert resolve(base, ["strategy.name=channel_split"]).strategy.options == {"fc8": "first"}
    assert resolve(base, ["strategy.name=ddp"]).strategy.options == {}
    assert resolve(base, ["strategy.name=ddp", "strategy.options.bucket_mib=2"]).strategy.options == {"bucket_mib": 2}


@pytest.mark.parametrize("name", preset_names())
def test_what_is_written_reads_back(name: str) -> None:
    config = resolve(read_preset(name), ["strategy.options.fc8=first", "data.mean=[1,2,3]"])
    assert resolve(yaml.safe_load(to_yaml(config)), []) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trian.lr=1", "trian: Key 'trian' not in 'Config'. Did you mean: 'train'"),
        ("train.lrr=1", "train.lrr: .* Did you mean: 'lr'"),
        ("train.lr=fast", "train.lr=fast: must be a number in decimal"),
        ("model.lrn=papier", "model.lrn=papier: must be paper, code or none"),
        ("train.lr=-1", "train.lr=-1.0: must be positive"),
        ("train.lr", "'train.lr' is no override; type key=value"),
        ("launch.workers=0", "needs at least 1"),
        ("train.lr=nan", "train.lr=nan: must be positive"),
        ("train.seed=4294967296", r"train.seed=4294967296: must be from 0 to 4,294,967,295"),
        *NONSENSE,
    ],
)
def test_a_typo_is_one_line_with_the_remedy(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        resolve({}, [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        *(f"train.schedule.factor={value}" for value in (1, 0, -2, ".nan", ".inf")),
        *(f"train.schedule.{key}" for key in ("patience=0", "min_lr=0", "min_lr=.inf", "min_lr=.nan", "warmup_epochs=-1")),
        *(f"data.augment.color_std={value}" for value in (-1, ".inf", ".nan")),
        *(f"data.synth.{key}" for key in ("classes=1", "classes=1001", "train=0", "val=0", "train=9", "seed=-1", "seed=4294967296")),
        *(f"data.{key}" for key in ("threads=100000", "threads=-1", "prefetch=100000", "prefetch=0", "std=.nan", "std=.inf", "std=0")),
        *(f"data.mean=[1,2,{value}]" for value in (".nan", ".inf")),
        *(f"launch.{key}" for key in ("timeout_s=100000000000000", "timeout_s=0", "threads=-1", "threads=1000000")),
        *(f"model.dropout={value}" for value in (".nan", 1)),
        *(f"train.{key}=.nan" for key in ("epochs", "momentum", "weight_decay", "validate_every", "bias_lr_factor")),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(override: str) -> None:
    with pytest.raises(UsageError, match=f"^{override.split('=')[0]}=.*(must be|needs) .") as error:
        resolve({}, [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("strategy", ["ddp", "hybrid"])
@pytest.mark.parametrize("value", ["0", "-1", ".nan", ".inf"])
def test_options_are_checked_too(strategy: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"^strategy.options.bucket_mib=.*: must be positive and finite$"):
        resolve({}, [f"strategy.name={strategy}", f"strategy.options.bucket_mib={value}"])


PATHS = ["a${b}c", "${", r"\${x}", r"a\\${b}" + "\\", "it's", "a\nb", "2012-09-30", "1e3", "null", "[x]", "a: b #c", " caf\u00e9", "\udcff"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_may_hold_anything(path: str, tmp_path: Path) -> None:
    config = resolve({}, as_overrides({"overrides": None, "data": Path(path)}))
    assert config.data.path == ("./null" if path == "null" else path)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert resolve(read_preset(str(tmp_path / "config.yaml")), []) == config


def test_dollars_are_taken_literally_in_files_overrides_and_options() -> None:
    assert resolve({"data": {"path": "${train.seed}"}}, []).data.path == "${train.seed}"
    assert resolve({}, ["data.path=${oc.env:HOME}"]).data.path == "${oc.env:HOME}"
    with pytest.raises(UsageError, match=r"strategy.options.fc8=\${x}: must be split or first"):
        resolve({}, ["strategy.name=channel_split", "strategy.options.fc8=${x}"])


@pytest.mark.parametrize("word", ["off", "none"])
def test_colour_noise_is_switched_off_by_that_word(word: str, tmp_path: Path) -> None:
    """YAML 1.1 takes a bare `off` for false. Checkpoints of earlier versions say none."""
    (tmp_path / "mine.yaml").write_text(f"data: {{augment: {{color: {word}}}}}")
    for config in (resolve({}, [f"data.augment.color={word}"]), resolve(read_preset(str(tmp_path / "mine.yaml")), [])):
        assert config.data.augment.color == word
        assert resolve(yaml.safe_load(to_yaml(config)), []) == config


@pytest.mark.parametrize(("word", "means"), [("on", True), ("yes", True), ("True", True), ("off", False), ("NO", False), ("false", False)])
def test_what_is_true_or_false_takes_any_word_for_it(word: str, means: bool) -> None:
    assert resolve({}, [f"data.augment.mirror={word}"]).data.augment.mirror is means


def test_an_unknown_preset_names_the_closest() -> None:
    with pytest.raises(UsageError, match="no preset and no file 'quikstart'; did you mean 'quickstart'"):
        read_preset("quikstart")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: [", "is not YAML"),
        (b"- a", "must hold sections"),
        (b"\x89PNG\xff\x00", "mine.yaml: it is no text; name a YAML file"),
        (b"train: 5", "train=5: it is a section; set what is in it, as in train.global_batch="),
        (b"train:", "train=null: it is a section"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        resolve(read_preset(str(file)), [])
    assert "\n" not in str(error.value)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory; name a YAML file that you can read, or a preset: alexnet_2012, quickstart"):
        read_preset(str(tmp_path))
