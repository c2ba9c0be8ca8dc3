"""Records of a file of any length: all of a short one, evenly spaced ones of a long one, and whatever else lies in it costs nothing."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from dist_alexnet.runs.browse import sample as sampling
from dist_alexnet.runs.browse.sample import sample
from dist_alexnet.runs.reader import Reader
from dist_alexnet.runs.records import RunStarted, Steps
from tests.made_runs import line, make_long, make_run, steps

GARBAGE = [b"", b"[]", b"{", b"\xff\xfe", b'{"no": "kind"}', b"a\rb", b"[" * 100_000, b'{"kind": "train", "version": "x"}']


def test_of_a_short_file_all_is_read(tmp_path: Path) -> None:
    file = make_run(tmp_path, "a") / "metrics.jsonl"
    found = sample(file)
    assert found.records == list(Reader(file).new())
    assert (found.whole, found.about, found.size) == (True, 13, file.stat().st_size)
    content = file.read_bytes()
    assert [content[place : place + 10] for place in found.places] == [b'{"kind": "'] * 13


def test_of_a_long_file_evenly_spaced_records_the_first_and_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in (("WHOLE_BYTES", 10_000), ("END_BYTES", 3000), ("PIECE_BYTES", 100)):
        monkeypatch.setattr(sampling, name, small)
    make_long(tmp_path / "a", 3000)
    file = tmp_path / "a" / "metrics.jsonl"
    found = sample(file, points=50)
    seen = [record.step for record in found.records if isinstance(record, Steps)]
    assert isinstance(found.records[0], RunStarted)
    assert seen == sorted(set(seen))
    assert seen[0] == 1000
    assert seen[-1] == 3999
    assert 50 <= len(seen) <= 60
    assert max(after - before for before, after in pairwise(seen)) < 100
    assert not found.whole
    assert abs(found.about - 3002) < 100


def test_what_lies_between_two_places_is_read_closer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE_BYTES", 10_000)
    file = make_run(tmp_path, "a", upto=80) / "metrics.jsonl"
    whole = sample(file, points=10**6)
    closer = sample(file, start=whole.places[3], end=whole.places[6])
    assert closer.records == whole.records[3:6]


@pytest.mark.parametrize("content", [b"", b"\n", b'{"kind": "tr', b"\n\n\n"])
def test_a_file_without_a_whole_record_has_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(content)
    assert sample(file).records == []
    assert sample(tmp_path / "none").records == []


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(line(steps(2)) + line(steps(4))[:-1])
    found = sample(file)
    assert [found.records, found.size] == [[steps(2)], len(line(steps(2)))]
    file.write_bytes(line(steps(2)) + line(steps(4)))
    assert sample(file, start=found.size).records == [steps(4)]


def test_garbage_costs_no_record(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"\n".join([*GARBAGE, line(steps(2)), *GARBAGE, line(steps(4))]))
    assert sample(file).records == [steps(2), steps(4)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "x"},
        {"step": 10**400},
        {"loss": 10**400},
        {"phase_seconds": [1]},
        {"phase_seconds": {"a": "b"}},
        {"loss": {}},
        {"time": None},
    ],
)
def test_a_record_with_words_for_numbers_is_none(wrong: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(json.dumps(steps(2).as_dict() | wrong).encode() + b"\n" + line(steps(4)))
    assert sample(file).records == [steps(4)]


def test_lines_of_a_later_version_are_told_of_and_the_others_are_read(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    later = json.dumps(steps(2).as_dict() | {"version": 99}).encode() + b"\n"
    file.write_bytes(later * 3 + line(steps(4)))
    found = sample(file)
    assert found.records == [steps(4)]
    assert found.later == "a record has version 99, and this dist-alexnet knows up to 2; install the one that wrote it"
