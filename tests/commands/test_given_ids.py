"""Given masks from the command line to the exports: their ids, their depth and the names of their frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.network.factories import make_model
from tests.records.video_factory import make_video
from vis_cli.records.davis import read_label_png, write_label_png
from vis_cli.zoo.weights import save_model

from .conftest import Network, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")
OPTIONS = ("--no-render", "--short-side", "48", "--set", "long_side=64")


def write_three_objects(folder: Path) -> tuple[NDArray[np.uint8], tuple[object, ...]]:
    """Write a model and a mask with the objects 3, 30 and 254. Return the label map and the options that use both."""
    save_model(folder / "tiny", make_model(), {})
    labels = np.zeros((48, 64), np.uint8)
    labels[4:24, 4:30], labels[26:44, 30:60], labels[26:44, 2:20] = 30, 3, 254
    write_label_png(labels, folder / "first.png")
    return labels, ("--masks", folder / "first.png", "--model", folder / "tiny", *OPTIONS)


def test_ids_of_given_masks_reach_the_result_and_the_pngs(tmp_path: Path, run_vis: RunVis) -> None:
    labels, options = write_three_objects(tmp_path)
    clip, out = make_video(tmp_path, num_frames=2), tmp_path / "out"
    assert run_vis("segment", clip, "-o", out, *options).code == 0
    stored = json.loads((out / "clip.json").read_text())
    assert [instance["id"] for instance in stored["instances"]] == [3, 30, 254]
    assert {instance["category_id"] for instance in stored["instances"]} == {None}
    assert stored["categories"] == []
    assert run_vis("export-json", out, "--format", "davis", "-o", tmp_path / "davis").code == 0
    np.testing.assert_array_equal(read_label_png(tmp_path / "davis/clip/00000.png"), labels)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ((), (54, 96)),  # 1.5 times the input size of the model, 36x64
        (("--preset", "default"), (36, 64)),
        (("--set", "input_scale=2"), (72, 128)),
        (("--set", "short_side=20"), (20, 96)),
    ],
)
def test_given_masks_use_a_larger_input(
    options: tuple[str, ...], size: tuple[int, int], tmp_path: Path, run_vis: RunVis
) -> None:
    save_model(tmp_path / "tiny", make_model(short_side=36, long_side=64), {})
    write_label_png(np.ones((48, 64), np.uint8), tmp_path / "first.png")
    command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--model", tmp_path / "tiny")
    assert run_vis(*command, "--masks", tmp_path / "first.png", "--no-render", *options).code == 0
    config = json.loads((tmp_path / "out" / "clip.json").read_text())["config"]
    assert (config["short_side"], config["long_side"]) == size
    assert config["memory_previous"] == ("--preset" not in options)


def test_names_of_given_objects_reach_the_result_and_the_dataset(tmp_path: Path, run_vis: RunVis) -> None:
    _, options = write_three_objects(tmp_path)
    clip, out = make_video(tmp_path, num_frames=2), tmp_path / "out"
    assert run_vis("segment", clip, "-o", out, *options, "--names", "254=dog,3=rider").code == 0
    stored = json.loads((out / "clip.json").read_text())
    assert stored["categories"] == [{"id": 1, "name": "rider"}, {"id": 2, "name": "dog"}]
    assert [(item["id"], item["category_id"]) for item in stored["instances"]] == [(3, 1), (30, None), (254, 2)]
    assert run_vis("export", out, "--to", "coco-video", "-o", tmp_path / "data.json").code == 0
    data = json.loads((tmp_path / "data.json").read_text())
    names = {category["id"]: category["name"] for category in data["categories"]}
    assert [names[entry["category_id"]] for entry in data["annotations"]] == ["rider", "object", "dog"]


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        ("1=dog,9=cat", 1, "--names: {folder}/first.png contains no object 9. Use these ids: 1."),
        ("1", 2, "--names: '1' is not ID=NAME."),
        ("1=", 2, "--names: the name of object 1 is empty."),
        ("{folder}/missing.json", 2, "cannot read {folder}/missing.json: No such file or directory."),
        ("{folder}/list.json", 2, "{folder}/list.json: the file contains a list."),
    ],
)
def test_bad_names(names: str, code: int, message: str, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    write_label_png(np.ones((48, 64), np.uint8), tmp_path / "first.png")
    (tmp_path / "list.json").write_text("[]")
    command = ("segment", make_video(tmp_path), "-o", tmp_path / "out", "--masks", tmp_path / "first.png")
    outcome = run_vis(*command, "--names", names.format(folder=tmp_path))
    assert outcome.code == code
    assert message.format(folder=tmp_path) in outcome.err
    assert outcome.err.count("error:") == 1
    assert not network.segmented
    assert not (tmp_path / "out" / "clip.json").exists()


def test_names_without_masks(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--names", "1=dog")
    assert outcome.code == 2
    assert "--names needs --masks. Add --masks, or omit --names." in outcome.err


def test_a_mask_of_one_bit_is_given_to_the_network(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    mask = np.zeros((48, 64), np.bool_)
    mask[10:34, 10:34] = True
    Image.fromarray(mask).save(tmp_path / "first.png")
    outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--masks", tmp_path / "first.png")
    assert outcome.code == 0
    assert network.guidance is not None
    np.testing.assert_array_equal(network.guidance[0], mask)


def test_the_number_of_the_first_mask(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    write_label_png(np.ones((48, 64), np.uint8), tmp_path / "masks" / "00001.png")
    command = ("segment", make_video(tmp_path), "-o", tmp_path / "out", "--overwrite", "--masks", tmp_path / "masks")
    assert "--masks-from 1" in run_vis(*command).err
    assert list(network.guidance or {}) == [1]
    assert "--masks-from" not in run_vis(*command, "--masks-from", 1).err
    assert list(network.guidance or {}) == [0]


def test_a_first_number_without_masks(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--masks-from", 1)
    assert outcome.code == 2
    assert "--masks-from needs --masks" in outcome.err


def test_other_json_files_do_not_block_an_export(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    out = tmp_path / "out"
    assert run_vis("segment", make_video(tmp_path), "-o", out, "--no-render").code == 0
    assert run_vis("export", out, "--to", "coco-video", "-o", out / "dataset.json").code == 0
    outcome = run_vis("export-json", out, "--format", "davis", "-o", tmp_path / "a.zip")
    assert outcome.code == 0
    assert "dataset.json" in outcome.err
    assert (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("name", ["12:30", "%d%03d", "a [1] #x?", "naïve 東京 🎥", 'it\'s "so"'])
def test_odd_names_get_their_result_and_their_export(
    tmp_path: Path, name: str, run_vis: RunVis, network: Network
) -> None:
    clip = make_video(tmp_path).rename(tmp_path / f"{name}.mp4")
    assert run_vis("segment", clip, "-o", tmp_path / "out").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.json", f"{name}.mp4"]
    assert run_vis("export-json", tmp_path / "out", "--format", "davis", "-o", tmp_path / "davis").code == 0
    assert (tmp_path / "davis" / name / "00000.png").exists()
