"""Names may be anything, and whoever asks may ask for anything: nothing outside of the folder is read."""

import os
from pathlib import Path

import pytest

from dist_alexnet.runs.browse.folder import RunsFolder, key_of, name_of, shown

NAMES = [
    "a",
    "<script>alert(1)",
    "100%",
    "a b",
    "q\"'",
    "\u00e9\u4e2d",
    os.fsdecode(b"\xff\xfe"),
    "a,b&c=d#e?f",
    "..x",
    "%2e%2e",
    "\u202egpj",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_found_by_its_key(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    key = key_of(name)
    assert key.isascii()
    assert not set(key) & set(",&=#?/\"'<> ")
    assert name_of(key) == name
    assert RunsFolder(tmp_path).names() == [name]
    assert RunsFolder(tmp_path).find(key) == tmp_path / name
    assert shown(name).isprintable()


@pytest.mark.parametrize("key", ["", ".", "..", "%2e%2e", "..%2f..", "%2Fetc", "/etc", "a%2F..%2F..", "a%00", "none", "%", "%zz", "file"])
def test_what_is_no_folder_in_it_is_not_found(key: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    (folder / "a").mkdir(parents=True)
    (folder / "file").touch()
    assert RunsFolder(folder).find(key) is None


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "runs", tmp_path / "secret"
    (folder / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").write_text("secret")
    (folder / "out").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "in").symlink_to(folder / "a")
    (folder / "a" / "config.yaml").symlink_to(outside / "file")
    (folder / "a" / "env.json").write_text("ours")
    os.mkfifo(folder / "a" / "pipe")
    runs = RunsFolder(folder)
    assert runs.names() == ["a", "in"]
    assert runs.find("out") is None
    assert runs.find("in") == folder / "in"
    assert [runs.text(folder / "a" / name) for name in ("config.yaml", "env.json", "pipe", "none")] == ["", "ours", "", ""]
    assert runs.tail(folder / "a" / "config.yaml", 100) == ""


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "there" / "a").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "there")
    assert RunsFolder(tmp_path / "runs").find("a") is not None


def test_of_a_long_log_the_last_whole_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first line\nsecond \xff\nthird\n")
    assert RunsFolder(tmp_path).tail(log, 10) == "third\n"
    assert RunsFolder(tmp_path).tail(log, 1000) == "first line\nsecond \ufffd\nthird\n"
