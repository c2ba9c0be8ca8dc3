"""The presets that are installed, and YAML files of one's own."""

import difflib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dist_alexnet
from dist_alexnet.config import UsageError

QUICKSTART, PAPER = "quickstart", "alexnet_2012"
FOLDER = Path(dist_alexnet.__file__).parents[1] / "configs"  # not `import configs`: a folder of that name may be where we are started
MAX_BYTES = 2**17  # a file with every setting and a comment on each has a tenth of it


def preset_names() -> list[str]:
    """Presets that are installed."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_preset(name_or_path: str) -> Mapping[str, Any]:
    """The differences that a preset, or a YAML file of one's own, holds.

    Raises:
        UsageError: there is none of that name, or the file is not YAML of sections.
    """
    from dist_alexnet.settings.yaml_text import read_yaml  # here, for --help lists presets, and PyYAML takes a while to import

    content = read_yaml(name_or_path, _read(name_or_path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{name_or_path} must hold sections (model:, data:, train:, ...), not a {'list' if content else 'word'}")
    return content


def _read(name_or_path: str) -> str:
    presets = preset_names()
    if name_or_path in presets:
        return (FOLDER / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    remedy = f"name a YAML file that you can read, or a preset: {', '.join(presets)}"
    try:
        return _read_file(Path(name_or_path).expanduser(), remedy)
    except FileNotFoundError:
        close = difflib.get_close_matches(name_or_path, presets, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"no preset and no file {name_or_path!r}; {hint}presets: {', '.join(presets)}") from None
    except OSError as error:
        raise UsageError(f"-c {name_or_path}: {error.strerror}; {remedy}") from None
    except UnicodeDecodeError:
        raise UsageError(f"-c {name_or_path}: it is no text; name a YAML file, as `config show` prints it") from None


def _read_file(path: Path, remedy: str) -> str:
    """Text of a file that has an end: a pipe or a device may have none."""
    if path.is_dir():
        raise UsageError(f"-c {path}: Is a directory; {remedy}")
    if not stat.S_ISREG((status := path.stat()).st_mode):
        raise UsageError(f"-c {path}: it is a pipe or a device; {remedy}")
    if status.st_size > MAX_BYTES:
        raise UsageError(f"-c {path}: it has {status.st_size:,} bytes, and no configuration has more than {MAX_BYTES:,}; {remedy}")
    return path.read_text(encoding="utf-8")
