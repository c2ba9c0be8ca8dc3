"""metrics.jsonl is read while it is written, by pieces of any size, and each record once."""

import json
from pathlib import Path

import pytest

from dist_alexnet.runs import reader
from dist_alexnet.runs.reader import Reader


def line(step: int, **more: object) -> bytes:
    return json.dumps({"kind": "bad_image", "step": step, "image": "x", **more}).encode() + b"\n"


@pytest.mark.parametrize("chunk", [1, 7, 2**20])
def test_each_record_once_whatever_is_there_when_it_looks(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk)
    file = tmp_path / "metrics.jsonl"
    reads = Reader.from_now_on(file)
    assert list(reads.new()) == []
    written = b"".join([line(1), line(2, name="\u00e9" * 50), b"\n", b"[]\n", b"{\n", b"\xff\xfe\n", b'{"no": "kind"}\n', line(3), line(4)])
    found: list[int] = []
    for end in range(0, len(written) + 1, 5):
        file.write_bytes(written[:end])
        found += [record.step for record in reads.new()]
    file.write_bytes(written)
    found += [record.step for record in reads.new()]
    assert found == [1, 2, 3, 4]
    assert list(reads.new()) == []


def test_what_was_there_before_is_not_news(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(line(1))
    reads = Reader.from_now_on(file)
    file.write_bytes(line(1) + line(2))
    assert [record.step for record in reads.new()] == [2]


def test_a_last_line_without_its_end_counts_where_nobody_writes_any_more(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(line(1) + line(2)[:-1])
    assert [record.step for record in Reader(file).new()] == [1]
    assert [record.step for record in Reader(file).new(unfinished=True)] == [1, 2]
    file.unlink()
    assert list(Reader(file).new(unfinished=True)) == []
