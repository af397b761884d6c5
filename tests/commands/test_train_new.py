"""`vis train --new`: the config that it writes is valid, and a folder that it does not know is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.datasets.factory import WRITERS, write_dataset, write_image
from tests.records.exports.factory import HARD_NAMES, hard_names, two_objects, write
from vis_cli.records.exports.coco import write_coco
from vis_cli.training.config_file import read_train_config
from vis_cli.training.sources import open_data

from .conftest import RunVis


def write_any(name: str, folder: Path) -> Path:
    if name == "coco":
        write(write_coco, folder, two_objects(), images=True)
    else:
        write_dataset(name, folder, two_objects())
    return folder


@pytest.mark.parametrize("name", [*WRITERS, "coco"])
def test_the_config_reads_the_data(name: str, tmp_path: Path, run_vis: RunVis) -> None:
    folder = write_any(name, tmp_path / "data")
    outcome = run_vis("train", "--new", folder, "-o", tmp_path / "my.toml")
    assert outcome.code == 0, outcome.err
    assert f"4 images ({name}) of 2 categories" in outcome.err
    assert f"vis train {tmp_path / 'my.toml'} --check" in outcome.err
    text = (tmp_path / "my.toml").read_text()
    assert f"# Finetune lite on 4 images ({name}), 0 images without an object:" in text
    assert "#   cat: 3 objects in 3 images" in text
    config = read_train_config(tmp_path / "my.toml")
    assert {category.name for category in config.model.categories} == {"cat", "giant_panda"}
    assert (config.init, config.train_only, config.model.detector_fpn) == ("lite", ("detector",), True)
    (source,) = config.data
    assert (source.kind, source.format) == ("images", name)
    assert list(open_data(config).num_items.values()) == [4]


def test_names_of_every_kind(tmp_path: Path, run_vis: RunVis) -> None:
    write_dataset("yolo-seg", tmp_path / "data", hard_names())
    assert run_vis("train", "--new", tmp_path / "data", "-o", tmp_path / "my.toml").code == 0
    config = read_train_config(tmp_path / "my.toml")
    assert [category.name for category in config.model.categories][:-1] == list(HARD_NAMES[:-1])
    assert open_data(config).num_items


def test_boxes_and_names_that_differ_in_case(tmp_path: Path, run_vis: RunVis) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "data/images" / name)
    (tmp_path / "data/labels").mkdir()
    (tmp_path / "data/labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data/data.yaml").write_text("train: images\nnames: [Cat, cat, unused]\n")
    assert run_vis("train", "--new", tmp_path / "data", "-o", tmp_path / "my.toml").code == 0
    text = (tmp_path / "my.toml").read_text()
    assert 'kind = "boxes"' in text
    assert "2 images (yolo-seg), 1 image without an object" in text
    assert "#   Cat: 2 objects" in text
    assert "# The model does not get these categories without an object: unused\n" in text
    assert [category.name for category in read_train_config(tmp_path / "my.toml").model.categories] == ["Cat"]


def test_existing_files_stay(tmp_path: Path, run_vis: RunVis) -> None:
    folder, config = write_any("labelme", tmp_path / "data"), tmp_path / "my.toml"
    config.write_text("mine")
    outcome = run_vis("train", "--new", folder, "-o", config)
    assert (outcome.code, config.read_text()) == (2, "mine")
    assert f"{config} exists. Use another name, or --overwrite to replace it." in outcome.err
    assert run_vis("train", "--new", folder, "-o", config, "--overwrite").code == 0
    assert config.read_text() != "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--new", "data"], "--new needs the config to write. Use -o with a name that ends in .toml."),
        (["--new", "data", "-o", "my.json"], "Use -o with a name that ends in .toml."),
        (["--new", "data", "-o", "my.toml", "--check"], "--new and --check are both given. Omit one of them."),
        ([], "no config. Pass CONFIG.toml, or write it with --new FOLDER -o my.toml."),
        (["run.toml", "--overwrite"], "--overwrite needs --new"),
        (["run.toml", "-o", "run.toml"], "run.toml is a file. Use a folder for -o."),
    ],
)
def test_wrong_options(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_vis: RunVis
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("run.toml").write_text("")
    outcome = run_vis("train", *words)
    assert (outcome.code, said in outcome.err) == (2, True), outcome.err


def test_folders_that_are_no_dataset(tmp_path: Path, run_vis: RunVis) -> None:
    def refused(path: Path) -> str:
        outcome = run_vis("train", "--new", path, "-o", tmp_path / "my.toml")
        assert outcome.code == 1
        assert len(outcome.err.splitlines()) == 1
        assert not (tmp_path / "my.toml").exists()
        return outcome.err

    folder = tmp_path / "data"
    folder.mkdir()
    assert "no annotations of a known format. Looked for data.yaml (YOLO), JSON files" in refused(folder)
    (folder / "a.json").write_text(json.dumps({"videos": [], "annotations": []}))
    assert "the file describes videos, not images" in refused(folder)
    (folder / "b.xml").write_text("<annotations/>")
    assert "2 files of annotations: a.json, b.xml. Pass one of these files." in refused(folder)
    assert "the dataset has no images" in refused(folder / "b.xml")
    image = {"id": 1, "file_name": "c.png", "width": 64, "height": 48}
    data = {"images": [image], "annotations": [], "categories": []}
    (folder / "a.json").write_text(json.dumps(data))
    assert "the image c.png is not in" in refused(folder / "a.json")
    write_image(folder / "images/train/c.png")
    assert "no object is annotated" in refused(folder / "a.json")
