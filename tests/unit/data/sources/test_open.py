"""What a folder is taken for."""

import re
import subprocess
import sys

import pytest

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources import ilsvrc
from dist_alexnet.data.sources.open import SOURCES, open_source
from tests.unit.data.sources.hub_files import build_hub

HUB = "Parquet or Arrow files of Hugging Face"
NAMED = f"a folder with train/<class>/ and val/<class>/, with the archives of ILSVRC 2012 (*.tar) or with {HUB}"


def test_the_three_are_recognised(photographs, built_archives, hub):
    assert [len(open_source(path).splits["train"]) for path in (photographs, built_archives, hub)] == [24, 60, 25]
    assert len(open_source(str(photographs)).splits["val"]) == 10


def test_somebody_is_told_how_many_are_found(photographs, built_archives, hub, monkeypatch):
    monkeypatch.setattr(ilsvrc, "TELL_EVERY", 30)
    told = {path: [] for path in (photographs, built_archives, hub)}
    for path, numbers in told.items():
        open_source(path, numbers.append)
    assert told[photographs] == [6, 12, 18, 24, 27, 29, 32, 34], "after each class, of training and then of validation"
    assert told[built_archives] == [30, 60, 90], "40 of validation first, then 60 of training"
    assert told[hub] == [9, 17, 25, 31, 36], "after each file"


def test_nothing_that_is_known(tmp_path):
    assert SOURCES == NAMED
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path}/no: there is no such folder; name {NAMED}")):
        open_source(tmp_path / "no")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path}: there are no photographs that can be read; name {NAMED}")):
        open_source(tmp_path)


def test_two_at_once(archives):
    (archives / "train").mkdir()
    two = "it holds train/<class>/ and val/<class>/ and the archives of ILSVRC 2012 (*.tar); move one of them elsewhere, for a source is"
    with pytest.raises(UsageError, match=re.escape(f"{archives}: {two} {NAMED}")):
        open_source(archives)
    (archives / "train").rmdir()
    build_hub(archives / "x")
    (archives / "x" / "data").rename(archives / "data")
    with pytest.raises(UsageError, match=r"the archives of ILSVRC 2012 \(\*\.tar\) and Parquet or Arrow files of Hugging Face; move one"):
        open_source(archives)


def test_prepared_shards_are_no_photographs(prepared):
    with pytest.raises(UsageError, match="it holds shards already; name the folder of the photographs"):
        open_source(prepared)


def test_one_split_is_not_enough(tmp_path):
    (tmp_path / "val").mkdir()
    with pytest.raises(UsageError, match=r"train: there is no such folder; the classes are read from it"):
        open_source(tmp_path)


def test_what_takes_long_to_import_is_left_for_later():
    code = "import sys, dist_alexnet.data.sources.open; print([m for m in ('scipy', 'pyarrow.parquet', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
