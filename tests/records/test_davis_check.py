"""Damaged DAVIS submissions, of any tool: each damage is found, named, and is all that is found."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.records.davis_factory import VAL, write_davis, write_mask, write_picture
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.davis import write_label_png
from vis_cli.records.davis_check import iter_davis_problems
from vis_cli.records.davis_submission import write_davis_submission
from vis_cli.records.result_matching import SplitSequences, read_split
from vis_cli.records.selection import Selection

MASK = make_mask(["####..", "####..", "......", "......"])


@pytest.fixture
def split(tmp_path: Path) -> SplitSequences:
    return read_split(write_davis(tmp_path / "DAVIS") / VAL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a good submission."""
    for name in ("dog/00000.png", "dog/00005.png", "cat/00000.png"):
        write_mask(tmp_path / "sent" / name)
    return tmp_path / "sent"


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def find(path: Path, split: SplitSequences) -> list[tuple[str, str]]:
    return [(problem.kind, str(problem)) for problem in iter_davis_problems(path, split)]


def test_nothing_is_wrong_with_a_good_one(folder: Path, split: SplitSequences) -> None:
    assert find(folder, split) == []
    assert find(zipped(folder), split) == []


def test_nothing_is_wrong_with_our_own(tmp_path: Path, split: SplitSequences) -> None:
    instances = [make_instance(i, [MASK, MASK], score=i / 30) for i in range(30)]
    result = make_result(instances, name="dog", num_frames=2)
    write_davis_submission([result], split, tmp_path / "ours.zip", selection=Selection())
    assert find(tmp_path / "ours.zip", split) == []


def test_single_channel_pngs_are_good_too(folder: Path, split: SplitSequences) -> None:
    Image.fromarray(np.full((4, 6), 20, np.uint8)).save(folder / "dog/00000.png")
    assert find(folder, split) == []


def paint(name: str, *values: int) -> Callable[[Path], object]:
    """Return a change that writes a PNG with these values and 0."""

    def change(folder: Path) -> None:
        labels = np.zeros((4, 6), np.uint8)
        labels.flat[: len(values)] = values
        write_label_png(labels, folder / name)

    return change


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            lambda folder: write_picture(folder / "dog/00005.png"),
            "unreadable PNG",
            "dog/00005.png: cannot read dog/00005.png: the PNG has colours (RGB) instead of labels",
        ),
        (
            lambda folder: (folder / "dog/00005.png").write_bytes(b"no picture"),
            "unreadable PNG",
            "dog/00005.png: cannot read dog/00005.png: ",
        ),
        (
            lambda folder: (folder / "dog/00005.png").unlink(),
            "missing PNG",
            "dog/00005.png: the file is missing. Add a black PNG",
        ),
        (
            lambda folder: (folder / "cat/00000.png").unlink(),
            "missing sequence",
            "cat: all 1 PNGs are missing. Add black PNGs",
        ),
        (
            lambda folder: write_mask(folder / "dog/00000.png", size=(4, 6)),
            "size",
            "dog/00000.png: the size is 4x6, the sequence is 6x4",
        ),
        (paint("dog/00000.png", 255), "void", "dog/00000.png: pixels have label 255"),
        (
            paint("dog/00000.png", 1, 21),
            "too many proposals",
            "dog: the highest label is 21. Use labels from 0 to 20",
        ),
        (paint("dog/00000.png", *range(1, 24)), "too many proposals", "dog: the highest label is 23"),
        (
            lambda folder: write_mask(folder / "dog/00001.png"),
            "extra file",
            "dog/00001.png: the file is not a frame of",
        ),
        (
            lambda folder: write_mask(folder / "bear/00000.png"),
            "extra file",
            "bear/00000.png: the file is not a frame of",
        ),
        (
            lambda folder: (folder / "global_results-val.csv").write_text("J&F-Mean"),
            "extra file",
            "global_results-val.csv: the file is not a frame of",
        ),
    ],
)
def test_each_damage_is_found(
    folder: Path, split: SplitSequences, change: Callable[[Path], object], kind: str, message: str
) -> None:
    change(folder)
    for path in (folder, zipped(folder)):
        ((found, line),) = find(path, split)
        assert found == kind
        assert line.startswith(message if kind != "extra file" else f"{path}: {message}")


def test_an_enclosing_folder_is_found_and_looked_into(tmp_path: Path, folder: Path, split: SplitSequences) -> None:
    paint("dog/00000.png", 255)(folder)
    (tmp_path / "outer" / "results").mkdir(parents=True)
    folder.rename(tmp_path / "outer" / "results" / "480p")
    expected = [
        ("enclosing folder", "results/480p/: the sequences are inside this folder. Move them to the root"),
        ("void", "dog/00000.png: "),
    ]
    for path in (tmp_path / "outer", zipped(tmp_path / "outer")):
        found = find(path, split)
        assert [kind for kind, _ in found] == [kind for kind, _ in expected]
        assert all(message in line for (_, line), (_, message) in zip(found, expected, strict=True))


def test_an_empty_folder_and_what_is_no_zip(tmp_path: Path, split: SplitSequences) -> None:
    (tmp_path / "empty").mkdir()
    assert [kind for kind, _ in find(tmp_path / "empty", split)] == ["missing sequence"] * 2
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(VisError, match=r"cannot read .*a\.zip: not a zip"):
        find(tmp_path / "a.zip", split)


def test_a_damaged_file_in_the_zip_is_one_problem(folder: Path, split: SplitSequences) -> None:
    path = zipped(folder)
    data = (folder / "dog/00000.png").read_bytes()
    path.write_bytes(path.read_bytes().replace(data, data[:-1] + b"?", 1))
    ((kind, line),) = find(path, split)
    assert kind == "unreadable PNG"
    assert "damaged (Bad CRC" in line
