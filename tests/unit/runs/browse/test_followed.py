"""A file of records that grows is read once, however often it is looked at."""

import os
from pathlib import Path

import pytest

from dist_alexnet.runs.browse import followed, sample
from dist_alexnet.runs.browse.followed import Followed, uncommon
from dist_alexnet.runs.records import RunStarted, Steps, Validated
from tests.made_runs import line, make_long, make_run, started, steps, validated


def test_each_look_adds_what_is_new(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    follows = Followed(file)
    assert follows.look().records == ()
    whole = line(started()) + line(steps(2)) + line(steps(4))
    for end in range(0, len(whole) + 1, 97):
        file.write_bytes(whole[:end])
        follows.look()
    file.write_bytes(whole)
    look = follows.look()
    assert look.records == (started(), steps(2), steps(4))
    assert (look.about, look.note) == (3, "")


def test_a_file_that_is_another_one_is_read_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    follows = Followed(file)
    file.write_bytes(line(steps(2)) + line(steps(4)))
    follows.look()
    (tmp_path / "new").write_bytes(line(steps(6)))
    (tmp_path / "new").replace(file)
    assert follows.look().records == (steps(6),)
    file.unlink()
    assert follows.look().records == (steps(6),), "what was read stays readable"


@pytest.fixture(name="long")
def fixture_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, small in (("WHOLE_BYTES", 10_000), ("END_BYTES", 3000)):
        monkeypatch.setattr(sample, name, small)
    make_long(tmp_path / "a", 3000)
    return tmp_path / "a" / "metrics.jsonl"


def test_of_a_long_file_the_rare_is_found_and_what_is_missing_is_said(long: Path) -> None:
    follows = Followed(long)
    follows.look()
    follows.wait()
    look = follows.look()
    assert [record.step for record in look.records if isinstance(record, Validated)] == [2000]
    assert sum(isinstance(record, RunStarted) for record in look.records) == 1
    seen = [record.step for record in look.records if isinstance(record, Steps)]
    assert seen == sorted(set(seen))
    assert look.note == f"{len(look.records):,} of 3,002 records are shown"


def test_a_closer_look_at_a_long_file_shows_every_record(long: Path) -> None:
    follows = Followed(long)
    before = follows.look()
    closer = follows.look(closer=(2500, 2510))
    assert {record.step for record in closer.records if isinstance(record, Steps)} >= set(range(2500, 2511))
    assert set(map(id, before.records)) <= set(map(id, closer.records))


def test_a_run_that_goes_on_for_long_keeps_its_first_its_last_and_what_is_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "MOST_STEPS", 10)
    file = tmp_path / "metrics.jsonl"
    follows = Followed(file)
    content = b""
    for step in range(2, 202, 2):
        content += line(steps(step)) + (line(validated(step)) if step % 50 == 0 else b"")
        file.write_bytes(content)
        look = follows.look()
    assert [record.step for record in look.records if isinstance(record, Validated)] == [50, 100, 150, 200]
    seen = [record.step for record in look.records if isinstance(record, Steps)]
    assert (seen[0], seen[-1], len(seen) <= 10) == (2, 200, True)
    assert look.note == f"{len(look.records)} of 104 records are shown"


@pytest.mark.parametrize("chunk", [100, 2**23])
def test_what_says_no_steps_is_found_with_its_place(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "CHUNK_BYTES", chunk)
    file = make_run(tmp_path, "a") / "metrics.jsonl"
    content = file.read_bytes()
    pieces = list(uncommon(file, 0, len(content)))
    assert sum(lines for lines, _ in pieces) == 13
    found = [each for _, rare in pieces for each in rare]
    assert [content[place : place + len(text)] for place, text in found] == [text for _, text in found]
    assert [text[:15] for _, text in found] == [b'{"kind": "start', b'{"kind": "val",', b'{"kind": "end",']


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_file_of_sixteen_gigabytes_without_a_line_costs_no_more_than_a_look(end: bytes, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(line(steps(2)))
    with file.open("r+b") as stream:
        stream.truncate(2**34)
        stream.seek(0, 2)
        stream.write(end)
    assert [record.step for record in Followed(file).look().records if isinstance(record, Steps)] in ([2], [])
    os.truncate(file, 0)  # whoever still looks for what is rare finds its end
