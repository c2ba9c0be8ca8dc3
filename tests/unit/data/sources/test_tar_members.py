"""Where members lie, compared with what tarfile unpacks, and every archive that is not to be trusted."""

import bz2
import contextlib
import gzip
import io
import lzma
import re
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.tar_members import BLOCK, tar_members
from tests.unit.data.sources.ilsvrc_archives import files_of, tar_of

FILES = {"a.JPEG": b"1" * 700, "b.JPEG": b"", "c.JPEG": b"3" * BLOCK}


def read(content, start=0, stop=None):
    """Name and content of each member, read from where it is said to lie."""
    found = tar_members(io.BytesIO(content), "x.tar", start, len(content) if stop is None else stop)
    return {member.name: content[member.start : member.start + member.size] for member in found}


def tar_with(**attributes):
    """A sound archive, but for one member with these attributes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("sound.JPEG"))
        archive.addfile(info := tarfile.TarInfo("odd.JPEG"))
        for key, value in attributes.items():
            setattr(info, key, value)
        archive.addfile(info)
    return content.getvalue()


@given(files=st.dictionaries(st.from_regex(r"\A[a-z]{1,120}\Z"), st.binary(max_size=1500), max_size=5), before=st.binary(max_size=600))
def test_members_lie_where_tarfile_finds_them(files, before):
    archive = tar_of(files)
    assert read(before + archive + b"behind", len(before), len(before) + len(archive)) == files == files_of(archive)


@given(data=st.data())
def test_no_archive_that_was_cut_short_is_taken_for_whole(data):
    archive = tar_of(FILES)
    content = 6 * BLOCK  # three headers, 700 bytes in two blocks, 512 in one
    cut = archive[: data.draw(st.integers(0, content + BLOCK - 1))]
    with pytest.raises(UsageError, match="^x.tar: (it ends within 'c?b?a?.JPEG'|no tar archive, or cut|cut short or damaged)"):
        read(cut)
    assert read(archive[: content + BLOCK]) == FILES


@given(at=st.integers(0, 5 * BLOCK), value=st.integers(1, 255))
def test_damage_is_noticed_or_leaves_all_members_in_place(at, value):
    """A header has a checksum; what is in the files is for the decoder to find out."""
    archive = bytearray(tar_of(FILES))
    archive[at] ^= value
    with contextlib.suppress(UsageError):
        assert [(name, len(content)) for name, content in read(bytes(archive)).items()] == [(n, len(c)) for n, c in FILES.items()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(tar_of(FILES)), "x.tar: it is compressed (gzip); decompress it, for images are read from where they lie"),
        (bz2.compress(tar_of(FILES)), "x.tar: it is compressed (bzip2)"),
        (lzma.compress(tar_of(FILES)), "x.tar: it is compressed (xz)"),
        (b"", "x.tar: no tar archive, or cut short or damaged after its beginning (empty file); download it again"),
        (b"<html>not found</html>" * 50, "x.tar: no tar archive, or cut short or damaged after its beginning"),
        (tar_with(name="/etc/passwd"), "x.tar: its member '/etc/passwd' points outside of it; download it again"),
        (tar_with(name="a/../../b"), "x.tar: its member 'a/../../b' points outside of it"),
        (tar_with(name="..", type=tarfile.DIRTYPE), "x.tar: its member '..' points outside of it"),
        (tar_with(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "x.tar: its member 'odd.JPEG' is a link, a device or the like"),
        (tar_with(type=tarfile.LNKTYPE, linkname="sound.JPEG"), "x.tar: its member 'odd.JPEG' is a link, a device or the like"),
        (tar_with(type=tarfile.CHRTYPE), "x.tar: its member 'odd.JPEG' is a link, a device or the like"),
        (tar_with(type=tarfile.FIFOTYPE), "x.tar: its member 'odd.JPEG' is a link, a device or the like"),
        (tar_with(name="two\nlines", type=tarfile.FIFOTYPE), r"x.tar: its member 'two\nlines' is a link"),
    ],
)
def test_refusals(content, message):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_a_nested_archive_ends_where_its_file_does():
    inner = tar_of({"a.JPEG": b"1" * 5000})
    outer = tar_of({"inner.tar": inner[: 6 * BLOCK], "next.tar": inner})
    with pytest.raises(UsageError, match=r"x\.tar: it ends within 'a\.JPEG', or is damaged there; download it again"):
        read(outer, BLOCK, 7 * BLOCK)
