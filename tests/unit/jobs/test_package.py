"""The working tree as it is sent: the same for the same content, without what is large, private or made."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from cluster.jobs.package import MAX_FILE_MIB, MIB, look_at, pack
from dist_alexnet.config import UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    sent = ("a.py", "odd name \u00e9'.txt", "package/data/x.py", "package/runs/y.py")
    left = (".git/config", "data/x", "runs/a/model", ".venv/x", "package/__pycache__/x.pyc", "envs/mine/pyvenv.cfg", "envs/mine/lib/x.py")
    for name in (*sent, *left):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "nowhere").symlink_to("not/there")
    os.mkfifo(folder / "pipe")
    return folder


def test_what_is_sent_and_that_it_is_the_same_each_time(tree: Path, tmp_path: Path) -> None:
    (tree / "a.py").chmod(0o755)
    found = look_at(tree)
    assert list(found.files) == ["a.py", "odd name \u00e9'.txt", "package/data/x.py", "package/runs/y.py"]
    pack(found, tmp_path / "1.zip")
    os.utime(tree / "a.py", (1e9, 1e9))
    pack(look_at(tree), tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert archive.read("package/data/x.py") == b"package/data/x.py"
        assert archive.getinfo("a.py").external_attr >> 16 == 0o755
    assert list(look_at(tree, ["package", "*.txt"]).files) == ["a.py"]


def test_what_git_ignores_is_not_sent(tree: Path) -> None:
    subprocess.run(["rm", "-rf", tree / ".git"], check=True)
    subprocess.run(["git", "init", "-q", tree], check=True)
    (tree / ".gitignore").write_text("package/\nenvs\n")
    assert list(look_at(tree).files) == [".gitignore", "a.py", "odd name \u00e9'.txt"]
    assert list(look_at(tree / "package").files) == ["data/x.py", "runs/y.py"] or not look_at(tree / "package").files


def test_what_is_large_is_named(tree: Path) -> None:
    with (tree / "weights.bin").open("wb") as file:
        file.truncate(MAX_FILE_MIB * MIB + 1)
    assert look_at(tree).too_large == {"weights.bin": MAX_FILE_MIB * MIB + 1}
    (tree / "many").mkdir()
    for number in range(6):
        with (tree / "many" / str(number)).open("wb") as file:
            file.truncate(MAX_FILE_MIB * MIB)
    with pytest.raises(UsageError, match=r"120 MiB, and 100 MiB can be sent; the largest is many of 120 MiB; type --exclude many"):
        look_at(tree)
    assert len(look_at(tree, ["many"]).files) == 4
    with pytest.raises(UsageError, match="there is no such folder"):
        look_at(tree / "a.py")


def test_a_name_that_is_no_text_is_refused_in_a_line(tree: Path, tmp_path: Path) -> None:
    (tree / os.fsdecode(b"bad\xff")).write_text("x")
    with pytest.raises(UsageError, match=r"bad\\udcff.* a name that is no UTF-8 cannot be sent; rename it"):
        pack(look_at(tree), tmp_path / "x.zip")
    pack(look_at(tree, ["bad*"]), tmp_path / "x.zip")
