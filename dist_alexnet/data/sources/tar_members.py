"""Where the files in a tar archive lie, so that each is read in place and nothing is unpacked."""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from dist_alexnet.config import UsageError

BLOCK = 512  # bytes; headers and contents begin at multiples of it, and one of zeros ends the archive
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    start: int  # bytes from the beginning of the file that was opened, not of an archive nested in it
    size: int  # bytes


def tar_members(file: BinaryIO, where: str, start: int, stop: int) -> Iterator[Member]:
    """The files of the uncompressed tar archive in bytes [start, stop) of a file; folders are passed over.

    Reads the headers only, one seek each.

    Args:
        file: seekable; its position is changed.
        where: what messages call the archive.

    Raises:
        UsageError: it is compressed, no tar archive, cut short or damaged, or a member points outside or is no plain file.
    """
    _refuse_compressed(file, where, start)
    file.seek(start)
    end, last = start, "its beginning"
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (info := archive.next()) is not None and info.offset < stop:  # what follows a nested archive is not part of it
                _check(info, where)
                if info.offset_data < end + BLOCK or info.size < 0 or info.offset_data + info.size > stop:
                    raise UsageError(f"{where}: it ends within {info.name!r}, or is damaged there; download it again")
                end, last = info.offset_data, repr(info.name)
                if info.isfile():
                    end += -(-info.size // BLOCK) * BLOCK
                    yield Member(info.name.removeprefix("./"), info.offset_data, info.size)
    except UsageError:
        raise
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise UsageError(f"{where}: no tar archive, or cut short or damaged after {last} ({error}); download it again") from error
    file.seek(end)  # tarfile takes a header that it cannot read for the end of the archive
    if end + BLOCK > stop or any(file.read(BLOCK)):
        raise UsageError(f"{where}: cut short or damaged after {last}; download it again")


def _refuse_compressed(file: BinaryIO, where: str, start: int) -> None:
    file.seek(start)
    head = file.read(8)
    for magic, kind in COMPRESSED.items():
        if head.startswith(magic):
            raise UsageError(f"{where}: it is compressed ({kind}); decompress it, for images are read from where they lie")


def _check(info: tarfile.TarInfo, where: str) -> None:
    """Nothing is ever unpacked, but an archive with such members is not what its name says."""
    if info.name.startswith("/") or ".." in info.name.split("/"):
        raise UsageError(f"{where}: its member {info.name!r} points outside of it; download it again from where ImageNet is published")
    if not (info.isdir() or (info.isfile() and not info.issparse())):
        raise UsageError(f"{where}: its member {info.name!r} is a link, a device or the like; download it again, plain files are needed")
