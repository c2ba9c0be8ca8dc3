"""What is refused of Hugging Face's files."""

import contextlib
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dist_alexnet.config import UsageError
from dist_alexnet.data.sources.open import open_source
from tests.unit.data.sources.hub_files import CLASSES, NAMES, SCHEMA, build_hub, edit, nameless, place


def schema_with(**metadata):
    return SCHEMA.with_metadata(metadata)


def twice(path):
    return path.with_name(path.name.replace("00003", "00004"))


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def relabel(label):
    return lambda rows: rows[1].update(label=label)


OTHER_NAMES = {"info": {"features": {"label": {"names": [*NAMES[1:], "else"]}}}}
TWINS = {"info": {"features": {"label": {"names": ["twin", "twin", *NAMES[2:]]}}}}


def with_twins(root):
    for split, number in (("train", 0), ("train", 1), ("train", 2), ("validation", 0), ("validation", 1)):
        edit(root, split, number, nameless, schema_with(huggingface=json.dumps(TWINS)))


def swap_labels(rows):
    rows[0]["label"] = (rows[0]["label"] + 1) % CLASSES


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda root: [place(root, "validation", n).unlink() for n in (0, 1)],
            r": it has no validation-00000-of-\.\.\.\.\w+; download its",
        ),
        (lambda root: [place(root, "train", n).unlink() for n in (0, 1, 2)], r": it has no train-00000-of-\.\.\.\.\w+; download its files"),
        (lambda root: place(root, "train", 1).unlink(), r": train-00001-of-00003\.\w+ is missing, one of 1; download it"),
        (lambda root: place(root, "train", 2).unlink(), r": train-00002-of-00003\.\w+ is missing, one of 1; download it"),
        (
            lambda root: (p := place(root, "train", 2)).rename(twice(p)),
            r": its train files are of two versions, such as .*; keep those of one",
        ),
        (lambda root: (p := place(root, "train", 2)).with_name(f"x-{p.name}").write_bytes(b""), r": its train files are of two versions"),
        (lambda root: (p := place(root, "train", 2)).with_name(p.name.replace("2-", "3-")).write_bytes(b""), r"train file 3 of 3, counted"),
        (lambda root: cut(place(root, "train", 1), 5000), r"train-00001.*: not a complete (parquet|arrow) file \(.*\); download it again"),
        (lambda root: cut(place(root, "train", 1), -9), r"train-00001.*: not a complete (parquet|arrow) file \(.*\); download it again"),
        (lambda root: cut(place(root, "validation", 0), 0), r"validation-00000.*: not a complete (parquet|arrow) file \(.*\); download it"),
        (lambda root: place(root, "train", 0).write_bytes(b"<html>" * 99), r"train-00000.*: not a complete (parquet|arrow) file"),
        (
            lambda root: edit(root, "train", 1, relabel(CLASSES)),
            r"train-00001.*: row 1 has label 5, but labels must be from 0 to 4; download",
        ),
        (lambda root: edit(root, "validation", 1, relabel(-1)), r"validation-00001.*: row 1 has label -1, but labels must be from 0 to 4"),
        (lambda root: edit(root, "validation", 1, relabel(None)), r"validation-00001.*: row 1 has label None, but labels must be from 0"),
        (
            lambda root: edit(root, "train", 1, nameless, schema_with(other="x")),
            r"train-00001.*: its metadata \(`huggingface`\) hold no names",
        ),
        (
            lambda root: edit(root, "train", 1, nameless, schema_with(huggingface="{")),
            r"train-00001.*: its metadata .* hold no names of classes",
        ),
        (
            lambda root: edit(root, "train", 1, nameless, schema_with(huggingface='{"info": 1}')),
            r"its metadata .* hold no names of classes",
        ),
        (
            lambda root: edit(root, "train", 1, nameless, schema_with(huggingface=json.dumps(OTHER_NAMES))),
            r"train-00001.*: its classes differ from those of .*train-00000.*; download all files of one version",
        ),
        (
            lambda root: [edit(root, "validation", n, nameless, schema_with(huggingface=json.dumps(OTHER_NAMES))) for n in (0, 1)],
            r"validation-00000.*: its classes differ from those of .*train-00000.*; download all files of one version",
        ),
        (
            lambda root: edit(root, "validation", 1, swap_labels),
            r": the label of ILSVRC2012_val_\d{8}_n\d{8}.JPEG says n\d{8}; download all",
        ),
        (
            lambda root: edit(root, "train", 1, list.clear, SCHEMA.remove(1)),
            r"columns are image: struct<.*>; needed are image: struct<bytes",
        ),
        (
            lambda root: edit(root, "train", 1, list.clear, SCHEMA.remove(0)),
            r"train-00001.*: its columns are label: int64; needed are image",
        ),
        (
            lambda root: edit(root, "train", 1, list.clear, SCHEMA.set(0, pa.field("image", pa.binary()))),
            r"train-00001.*: its columns are image: binary, label: int64; needed are image: struct<bytes: binary, path: string> and label",
        ),
        (lambda root: [edit(root, "validation", n, list.clear) for n in (0, 1)], r"validation-00000.*: it has no rows, and no other file"),
        (
            lambda root: [edit(root, "train", n, lambda rows: [r.update(label=r["label"] % 4) for r in rows]) for n in (0, 1, 2)],
            r": no training image is of class 'thing 1, of a kind'; download all files of one version",
        ),
        (with_twins, r"train-00000.*: two classes have one name, and no synset ids tell them apart; use another source"),
        (
            lambda root: [(root / f"train-00000-of-00001.{kind}").write_bytes(b"") for kind in ("parquet", "arrow")],
            r": it holds both .*\.(arrow and .*\.parquet|parquet and .*\.arrow); move those of one format elsewhere",
        ),
    ],
)
def test_refusals(hub_copy, broken, message):
    broken(hub_copy)
    with pytest.raises(UsageError, match=message) as caught:
        open_source(hub_copy)
    assert "\n" not in str(caught.value)


def test_a_stream_that_was_cut_between_two_batches_is_not_taken_for_whole(tmp_path):
    build_hub(tmp_path / "set", "stream")
    path = place(tmp_path / "set", "train", 1)
    cut(path, -8)
    assert sum(len(batch) for batch in pa.ipc.open_stream(path.read_bytes())) == 8  # which is why it is checked
    with pytest.raises(UsageError, match=r"train-00001.*: not a complete arrow file \(the end of the Arrow stream is missing\)"):
        open_source(tmp_path / "set")


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(-1500, 1500), value=st.integers(1, 255))
def test_damaged_metadata_are_refused_or_harmless(hub_copy, at, value):
    """Arrow aborts the process over some damage unless it is looked for."""
    path = place(hub_copy, "train", 1)
    original = path.read_bytes()
    damaged = bytearray(original)
    damaged[at] ^= value
    path.write_bytes(damaged)
    with contextlib.suppress(UsageError):
        assert len(list(open_source(hub_copy).splits["train"].part(0, 25).read())) == 25
    path.write_bytes(original)


def test_a_file_that_may_not_be_read_is_not_called_damaged(hub_copy, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Failed to open local file")

    monkeypatch.setattr("dist_alexnet.data.sources.hub_table.open_rows", refuse)  # root, who may run this, reads everything
    with pytest.raises(UsageError, match=r"train-00000.*: Permission denied; a data set must be readable"):
        open_source(hub_copy)
