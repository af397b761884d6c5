"""The mutators: the same number gives the same damage, and each format's structure is understood."""

from __future__ import annotations

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save

from tests.records.video_factory import make_video, picture
from tests.robustness.archives import BLANKS, bomb, mutate_zip, write_members
from tests.robustness.containers import mutate_boxes, mutate_video
from tests.robustness.octets import mutate_bytes
from tests.robustness.paths import SWAPS, disturb_folder, swap_type
from tests.robustness.pictures import MIB, join_png, mutate_image, split_png, zeros_deflated
from tests.robustness.snapshot import take_snapshot
from tests.robustness.tensors import in_order, mutate_pickle, mutate_safetensors
from tests.robustness.trees import dump_toml, mutate_json, mutate_tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = {"videos": [{"id": 1, "name": "a", "size": [4, 6]}], "fps": 25.0, "on": True}
PNG = cv2.imencode(".png", picture(0))[1].tobytes()
ZIP = write_members([("results.json", b"[1]"), ("other.json", b"{}")])
METADATA = {"schema": "1", "config": json.dumps(TREE)}
TENSORS = {"a": torch.ones(2, 3), "b": torch.zeros(4)}
WEIGHTS = in_order(save(TENSORS, METADATA))


@pytest.mark.parametrize(
    "mutate",
    [
        lambda rng: mutate_bytes(rng, PNG),
        lambda rng: mutate_json(rng, json.dumps(TREE).encode()),
        lambda rng: mutate_image(rng, "x.png", PNG),
        lambda rng: mutate_zip(rng, ZIP, lambda rng, name, data: mutate_json(rng, data)),
        lambda rng: mutate_safetensors(rng, WEIGHTS),
        lambda rng: mutate_pickle(rng, {"step": 1, "model": TENSORS}, "model"),
    ],
    ids=["bytes", "json", "png", "zip", "safetensors", "pth"],
)
def test_a_number_decides_the_damage(mutate: Callable[[Random], bytes]) -> None:
    first, again = ([mutate(Random(number)) for number in range(40)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 20


def test_a_tree_is_changed_and_the_original_is_not() -> None:
    before = json.dumps(TREE)
    changed = [json.dumps(mutate_tree(Random(number), TREE)) for number in range(50)]
    assert json.dumps(TREE) == before
    assert len(set(changed) - {before}) > 40


def test_toml_is_written_as_it_is_read() -> None:
    tree = {**TREE, "text": 'a "b"\n', "inf": float("-inf")}
    assert tomllib.loads(dump_toml(tree).decode()) == tree


def test_a_png_is_split_and_joined() -> None:
    assert join_png(split_png(PNG)) == PNG
    assert [kind for kind, _ in split_png(PNG)][::2] == [b"IHDR", b"IEND"]


def test_a_bomb_is_small_and_unpacks_to_what_it_says() -> None:
    assert zlib.decompressobj(-15).decompress(zeros_deflated(3 * MIB, raw=True)) == bytes(3 * MIB)
    data = bomb("results.json")
    assert len(data) < 4 * MIB
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("results.json") as member:
        assert archive.getinfo("results.json").file_size == BLANKS + 1
        assert member.read(9) == b"[        "


def test_boxes_of_an_mp4_are_found(tmp_path: Path) -> None:
    data = make_video(tmp_path, num_frames=2).read_bytes()
    changed = [mutate_boxes(Random(number), data) for number in range(30)]
    assert len({len(other) for other in changed}) > 3  # boxes were removed and repeated
    assert all(b"ftyp" in other or b"moov" in other for other in changed)
    assert mutate_video(Random(1), "clip.mp4", data) == mutate_video(Random(1), "clip.mp4", data)


@pytest.mark.parametrize("kind", sorted(SWAPS))
def test_every_type_of_file_can_be_put_in_the_place_of_another(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    SWAPS[kind](path)
    before = take_snapshot(tmp_path)  # without opening a pipe
    swap_type(Random(0), path)
    assert set(take_snapshot(tmp_path)) == set(before) == {"'x.png'"}


def test_a_disturbed_folder_differs(tmp_path: Path) -> None:
    kinds = set()
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("0.png", "1.png"):
            cv2.imwrite(str(folder / name), np.zeros((4, 4), np.uint8))
        before = take_snapshot(folder)
        kinds.add(disturb_folder(Random(number), folder))
        assert take_snapshot(folder) != before
    assert len(kinds) > 4
