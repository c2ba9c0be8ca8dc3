"""What an evaluation says about classes: two CSV files, and the worst ones in a few lines."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dist_alexnet.cli.screen.shown import shown
from dist_alexnet.config import UsageError

CLASS_COLUMNS = ("class", "name", "images", "top1_error", "top5_error")
CONFUSION_COLUMNS = ("true", "predicted", "images", "true_name", "predicted_name")
WORST = 5

Row = Mapping[str, Any]


def check_files(files: Mapping[str, Path | None]) -> None:
    """Refuse files that could not be written later; one that is there will be overwritten, as any output.

    Args:
        files: by the option that names them.

    Raises:
        UsageError: one cannot be written, or two are the same.
    """
    seen: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        if (place := file.resolve()) in seen:
            raise UsageError(f"{seen[place]} and {option} both name {file}; type two files")
        seen[place] = option
        new = not file.exists()
        try:
            file.open("a").close()  # what counts is whether the system lets us
        except OSError as error:
            raise _refusal(option, file, error) from None
        if new:
            file.unlink()  # an evaluation that fails leaves nothing


def class_rows(classes: Sequence[str], by_class: Row, class_names: Mapping[str, str]) -> list[Row]:
    """A row for each class, in the order of the labels; errors are shares, or None where the class has no images.

    Args:
        classes: names of the folders, by label.
        by_class: images, top1_error and top5_error by label, as `Tally.by_class` gives them.
        class_names: what the classes are called in words, where a data set says so; else a class goes by its folder.
    """
    numbers = zip(*(by_class[column] for column in CLASS_COLUMNS[2:]), strict=True)
    named = [(one, class_names.get(one, one)) for one in classes]
    return [dict(zip(CLASS_COLUMNS, (*names, *values), strict=True)) for names, values in zip(named, numbers, strict=True)]


def confusion_rows(classes: Sequence[str], confusions: Sequence[tuple[int, int | None, int]], class_names: Mapping[str, str]) -> list[Row]:
    """A row for each pair that occurs, the most frequent first, then by name; `predicted` is None where the scores are no numbers."""
    cells = [(classes[true], None if taken is None else classes[taken], images) for true, taken, images in confusions]
    cells.sort(key=lambda cell: (-cell[2], cell[0], cell[1] or ""))
    named = [(*cell, class_names.get(cell[0], cell[0]), class_names.get(cell[1] or "", cell[1])) for cell in cells]
    return [dict(zip(CONFUSION_COLUMNS, cell, strict=True)) for cell in named]


def worst_classes(rows: Sequence[Row]) -> list[str]:
    """Lines on the classes of the highest top-1 errors, those with more images first where these are equal; none without rows."""
    counted = sorted((row for row in rows if row["images"]), key=lambda row: (-row["top1_error"], -row["images"], row["class"]))[:WORST]
    names = [shown(" ".join(filter(None, (row["class"], row["name"] if row["name"] != row["class"] else "")))) for row in counted]
    width = max(map(len, names), default=0)
    numbers = [f"top-1 error {row['top1_error']:7.2%}   top-5 error {row['top5_error']:7.2%}   {row['images']:,} images" for row in counted]
    lines = [f"  {name:{width}}   {line}" for name, line in zip(names, numbers, strict=True)]
    return ["worst classes:", *lines] if lines else []


def write(option: str, file: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a CSV file, None as nothing.

    Raises:
        UsageError: it cannot be written any more.
    """
    try:
        with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:  # names of folders as they are
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise _refusal(option, file, error) from None


def _refusal(option: str, file: Path, error: OSError) -> UsageError:
    return UsageError(f"{option} {file}: {error.strerror}; type the name of a file in a folder that exists and may be written to")
