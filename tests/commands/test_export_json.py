"""`vis export-json`: results into a submission."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.result_json import write_result

from .conftest import RunVis

MASK = make_mask(["##....", "##....", "......", "......"])


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three videos of one frame and the category of the results' instances, under another id."""
    videos = [
        {"id": 10 + i, "width": 6, "height": 4, "length": 1, "file_names": [f"{name}/00000.jpg"]}
        for i, name in enumerate(("a", "b", "c"))
    ]
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"videos": videos, "categories": [{"id": 33, "name": "cat"}]}))
    return path


def make_results(folder: Path, *names: str, category_id: int = 7) -> Path:
    for name in names:
        instance = make_instance(1, [MASK], category_id=category_id)
        write_result(make_result([instance], name=name), folder / f"{name}.json")
    return folder


def test_a_folder_of_results(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "a", "b", "c")
    outcome = run_vis("export-json", results, "--split", split, "-o", tmp_path / "s.zip")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{tmp_path / 's.zip'}: 3 instances in 3 videos"
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["results.json"]
        entries = json.loads(archive.read("results.json"))
    assert [(entry["video_id"], entry["category_id"]) for entry in entries] == [(10, 33), (11, 33), (12, 33)]


def test_what_is_left_out_is_said(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "b", category_id=3)
    outcome = run_vis("export-json", results / "b.json", "--split", split, "-o", tmp_path / "s.zip", "--quiet")
    assert outcome.code == 0
    assert "warning: videos without a result, counted as empty: a, c" in outcome.err
    assert f"warning: categories that {split} does not know, left out: giant_panda" in outcome.err
    assert "instances in" not in outcome.err


def test_a_file_given_twice_counts_once(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "a")
    outcome = run_vis("export-json", results, results / "a.json", "--split", split, "-o", tmp_path / "s.zip")
    assert outcome.code == 0


def test_existing_files_are_kept(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results, out = make_results(tmp_path / "results", "a"), tmp_path / "s.zip"
    out.write_bytes(b"mine")
    outcome = run_vis("export-json", results, "--split", split, "-o", out)
    assert outcome.code == 2
    assert out.read_bytes() == b"mine"
    assert run_vis("export-json", results, "--split", split, "-o", out, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [([], 2, "no results (*.json) in this folder"), (["z"], 1, "z: is no video of"), (["a", "z"], 1, "is no video of")],
)
def test_results_that_do_not_fit(
    names: list[str], code: int, said: str, split: Path, tmp_path: Path, run_vis: RunVis
) -> None:
    results = make_results(tmp_path / "results", *names)
    results.mkdir(exist_ok=True)
    outcome = run_vis("export-json", results, "--split", split, "-o", tmp_path / "s.zip")
    assert outcome.code == code
    assert said in outcome.err
    assert not (tmp_path / "s.zip").exists()


def test_long_lists_are_cut(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    data = json.loads(split.read_text())
    data["videos"] += [{"id": 90 + i, "width": 6, "height": 4, "file_names": [f"v{i}/0.jpg"]} for i in range(5)]
    split.write_text(json.dumps(data))
    results = make_results(tmp_path / "results", "a")
    outcome = run_vis("export-json", results, "--split", split, "-o", tmp_path / "s.zip")
    assert "counted as empty: b, c, v0, v1, v2 and 2 more" in outcome.err
