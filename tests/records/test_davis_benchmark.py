"""The masks, frames and sequences that each task is scored with, in each layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.davis_factory import write_davis, write_mask, write_picture
from vis_cli.errors import VisError
from vis_cli.records.davis_benchmark import find_davis_benchmark


def test_the_official_layout_keeps_the_tasks_apart(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    write_mask(root / "Annotations/480p/dog/00000.png")
    write_mask(root / "Annotations/480p/cat/00000.png")
    found = find_davis_benchmark(root, "unsupervised", split="val")
    assert found.masks == root / "Annotations_unsupervised/480p"
    assert found.frames == root / "JPEGImages/480p"
    assert found.sequences == ("dog", "cat")  # in the order of the list
    assert find_davis_benchmark(root, "semi-supervised", split="val").masks == root / "Annotations/480p"


def test_the_masks_of_the_other_task_do_not_stand_in(tmp_path: Path) -> None:
    root = write_davis(tmp_path, masks="Annotations/480p")
    with pytest.raises(VisError, match="neither Annotations_unsupervised/480p nor a plain Annotations folder exists"):
        find_davis_benchmark(root, "unsupervised", split="val")
    other = write_davis(tmp_path / "other")
    with pytest.raises(VisError, match="neither Annotations/480p nor"):
        find_davis_benchmark(other, "semi-supervised", split="val")


def test_the_plain_layout_serves_both_tasks(tmp_path: Path) -> None:
    write_mask(tmp_path / "Annotations/dog/00000.png")
    write_mask(tmp_path / "Annotations/cat/00000.png")
    found = find_davis_benchmark(tmp_path, "unsupervised", split="val")
    assert (found.masks, found.frames, found.sequences) == (tmp_path / "Annotations", None, ("cat", "dog"))
    write_picture(tmp_path / "JPEGImages/dog/00000.jpg")
    found = find_davis_benchmark(tmp_path, "semi-supervised", split="val")
    assert (found.masks, found.frames) == (tmp_path / "Annotations", tmp_path / "JPEGImages")


def test_a_json_names_the_sequences_of_a_plain_split(tmp_path: Path) -> None:
    for name in ("cat", "dog", "eel"):
        write_mask(tmp_path / "Annotations" / name / "00000.png")
    videos = [
        {"id": i, "width": 6, "height": 4, "file_names": [f"{name}/00000.jpg"]} for i, name in enumerate(("eel", "cat"))
    ]
    (tmp_path / "val.json").write_text(json.dumps({"videos": videos, "categories": []}))
    assert find_davis_benchmark(tmp_path, "unsupervised", split="val").sequences == ("eel", "cat")
    assert find_davis_benchmark(tmp_path, "unsupervised", split="train").sequences == ("cat", "dog", "eel")


def test_the_lists_of_2019_are_found(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    lists = root / "ImageSets/2019"
    lists.mkdir()
    (lists / "test-dev.txt").write_text("cat\n")
    assert find_davis_benchmark(root, "unsupervised", split="test-dev").sequences == ("cat",)
    with pytest.raises(VisError, match=r"ImageSets/2017/challenge.txt does not exist\. Use --davis-split"):
        find_davis_benchmark(root, "unsupervised", split="challenge")


def test_only_some_sequences(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    assert find_davis_benchmark(root, "unsupervised", split="val", sequences=["cat"]).sequences == ("cat",)
    with pytest.raises(VisError, match=r"eel: the sequence is not in val of .*\. Use one of: cat, dog"):
        find_davis_benchmark(root, "unsupervised", split="val", sequences=["cat", "eel"])


def test_a_listed_sequence_without_masks(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    (root / "ImageSets/2017/val.txt").write_text("dog\neel\n")
    with pytest.raises(VisError, match="480p/eel: the folder does not exist, but val lists the sequence"):
        find_davis_benchmark(root, "unsupervised", split="val")
