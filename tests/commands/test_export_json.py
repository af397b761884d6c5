"""`vis export-json`: results into each of its formats."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.records.davis_factory import VAL, write_davis, write_picture
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.bundle import read_bundle
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.rle import encode_mask
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category

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


def test_what_a_killed_run_left_is_passed_over(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "a")
    (results / ".b.tmp-12.json").write_text('{"schema": 1, "vid')
    outcome = run_vis("export-json", results, "--split", split, "-o", tmp_path / "s.zip")
    assert outcome.code == 0
    assert outcome.err.endswith("1 instance in 1 video")


def test_no_input_is_overwritten_even_when_asked(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "a")
    for out in (split, results / "a.json"):
        before = out.read_text()
        outcome = run_vis("export-json", results, "--format", "davis", "--split", split, "-o", out, "--overwrite")
        assert (outcome.code, out.read_text()) == (2, before)
        assert outcome.err == f"error: cannot write {out}: it is an input. Use another output name."


def test_what_is_left_out_is_said(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "b", category_id=3)
    outcome = run_vis("export-json", results / "b.json", "--split", split, "-o", tmp_path / "s.zip", "--quiet")
    assert outcome.code == 0
    assert "warning: videos without a result, written without instances: a, c" in outcome.err
    assert f"warning: omitted categories that {split} does not contain: giant_panda" in outcome.err
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
    [
        ([], 2, "no results (*.json) in this folder"),
        (["z"], 1, "z: the video is not in"),
        (["a", "z"], 1, "the video is not in"),
    ],
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
    assert "written without instances: b, c, v0, v1, v2 and 2 more" in outcome.err


def test_a_synonym_that_is_taken_is_said(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    split.write_text(split.read_text().replace('"cat"', '"Vehical"'))
    categories = (Category(7, "truck"), Category(8, "bus"), Category(9, "cat"))
    instance = make_instance(1, [MASK], score=0.5, category_scores={7: 0.5, 8: 0.4, 9: 0.3})
    write_result(make_result([instance], name="a", categories=categories), tmp_path / "a.json")
    outcome = run_vis("export-json", tmp_path / "a.json", "--split", split, "-o", tmp_path / "s.zip")
    assert outcome.code == 0
    assert "categories matched by a synonym: bus as Vehical, truck as Vehical" in outcome.err
    assert f"omitted categories that {split} does not contain: cat" in outcome.err
    assert "1 instance in 1 video" in outcome.err


def test_what_is_taken_can_be_chosen(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    data = json.loads(split.read_text())
    data["categories"].append({"id": 2, "name": "giant_panda"})
    split.write_text(json.dumps(data))
    instances = [
        make_instance(i, [MASK], score=i / 10, category_scores={7: i / 10, 3: i / 20}) for i in (1, 2, 3)
    ]  # of cat and of half as much giant_panda
    write_result(make_result(instances, name="a"), tmp_path / "results" / "a.json")

    def scores(*options: object) -> list[float]:
        out = tmp_path / "s.zip"
        options = ("--split", split, "-o", out, "--overwrite", *options)
        outcome = run_vis("export-json", tmp_path / "results", *options)
        assert outcome.code == 0
        with zipfile.ZipFile(out) as archive:
            return [entry["score"] for entry in json.loads(archive.read("results.json"))]

    assert scores() == [0.1, 0.05, 0.2, 0.1, 0.3, 0.15]
    assert scores("--top", 2) == [0.2, 0.1, 0.3, 0.15]
    assert scores("--max-categories", 1) == [0.1, 0.2, 0.3]
    assert scores("--min-score", 0.15) == [0.2, 0.3, 0.15]
    assert scores("--top", 1, "--max-categories", 1) == [0.3]


def test_what_was_not_chosen_is_counted(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "results", "a", "b", "c")
    outcome = run_vis("export-json", results, "--split", split, "-o", tmp_path / "s.zip", "--min-score", 0.95)
    assert "omitted by --min-score, --top or a limit of the format: 3 instances" in outcome.err
    assert "warning: " + f"{tmp_path / 's.zip'} has no entries" in outcome.err
    assert outcome.code == 0


def test_davis_for_a_list(tmp_path: Path, run_vis: RunVis) -> None:
    root = write_davis(tmp_path / "DAVIS")
    write_result(make_result([make_instance(1, [MASK, None])], name="dog", num_frames=2), tmp_path / "dog.json")
    outcome = run_vis("export-json", tmp_path / "dog.json", "--split", root / VAL, "-o", tmp_path / "s.zip")
    assert outcome.code == 0
    assert "warning: videos without a result, written without instances: cat" in outcome.err
    with read_bundle(tmp_path / "s.zip") as bundle:
        assert bundle.names == ("dog/00000.png", "dog/00005.png", "cat/00000.png")
    again = run_vis("export-json", "--check", tmp_path / "s.zip", "--annotations", root / VAL)
    assert again.code == 0


class TestFrameNames:
    """PNGs are numbered as the frames of the result, whatever lies in the current folder."""

    @pytest.fixture
    def result(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a result of every fifth frame; a folder of the same relative name has other images."""
        for folder, step in (("day1", 5), ("day2", 7)):
            for number in range(2):
                write_picture(tmp_path / folder / "dog" / f"{number * step:05d}.jpg")
        made = make_result([make_instance(1, [MASK, MASK])], name="dog", num_frames=2, categories=(Category(7, "car"),))
        source = identify_source(tmp_path / "day1" / "dog")
        video = dataclasses.replace(made.video, path=Path("dog"), source=source, frame_names=("00000.jpg", "00005.jpg"))
        write_result(dataclasses.replace(made, video=video), tmp_path / "dog.json")
        monkeypatch.chdir(tmp_path / "day2")
        return tmp_path / "dog.json"

    def numbers(self, run_vis: RunVis, result: Path, *options: object) -> list[str]:
        """Return the names of the PNGs."""
        out = result.parent / "out"
        assert run_vis("export-json", result, "--format", "davis", "-o", out, *options).code == 0
        return sorted(path.name for path in out.rglob("*.png"))

    def test_come_from_the_result(self, result: Path, run_vis: RunVis) -> None:
        assert self.numbers(run_vis, result) == ["00000.png", "00005.png"]

    def test_start_at_0_without_names(self, result: Path, run_vis: RunVis) -> None:
        found = read_result(result)
        write_result(dataclasses.replace(found, video=dataclasses.replace(found.video, frame_names=None)), result)
        assert self.numbers(run_vis, result) == ["00000.png", "00001.png"]

    @pytest.mark.parametrize("named", [False, True])
    def test_of_schema_1_come_from_the_folder_that_is_named(self, named: bool, result: Path, run_vis: RunVis) -> None:
        found = read_result(result)
        old = dataclasses.replace(found.video, frame_names=None, source=None)  # what schema 1 has
        write_result(dataclasses.replace(found, video=old), result)
        options = ("--video", result.parent / "day1" / "dog") if named else ()
        expected = ["00000.png", "00005.png"] if named else ["00000.png", "00001.png"]
        assert self.numbers(run_vis, result, *options) == expected

    def test_another_folder_is_rejected(self, result: Path, run_vis: RunVis) -> None:
        options = ("--format", "davis", "-o", result.parent / "out")
        outcome = run_vis("export-json", result, "--video", result.parent / "day2" / "dog", *options)
        assert outcome.code == 1
        assert "it is not the video of" in outcome.err
        assert not list((result.parent / "out").rglob("*.png"))

    def test_a_folder_for_two_results_is_rejected(self, result: Path, run_vis: RunVis) -> None:
        second = shutil.copy(result, result.parent / "second.json")
        outcome = run_vis("export-json", result, second, "--video", "dog", "--format", "davis", "-o", "out")
        assert (outcome.code, "--video needs one result, but there are 2. Pass one RESULT.json." in outcome.err) == (
            2,
            True,
        )


def test_davis_without_a_split_into_a_folder(tmp_path: Path, run_vis: RunVis) -> None:
    results, out = make_results(tmp_path / "results", "a", "b"), tmp_path / "out"
    out.mkdir()  # an empty folder is none of anybody's
    command = ("export-json", results, "--format", "davis", "-o", out)
    assert run_vis(*command).code == 0
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == ["a/00000.png", "b/00000.png"]
    outcome = run_vis(*command)
    assert (outcome.code, "it exists. Use --overwrite to replace it." in outcome.err) == (2, True)
    assert run_vis(*command, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "s.zip"], "youtube-vis needs the ids of videos and categories. Add --split SPLIT.json."),
        ([], "RESULT.json or -o OUT is missing. Give results (RESULT.json or a folder) and -o OUT, or --check FILE."),
        (["-o", "s.json", "--split", "val.json"], "s.json: youtube-vis is one file. Use a name that ends in .zip."),
        (
            ["-o", "s.zip", "--format", "youtube-vis", "--split", "results"],
            "cannot write youtube-vis: results has no ids. Use --split",
        ),
        (
            ["-o", "out", "--format", "davis", "--top", "21"],
            "--top is 21. Use at most 20, the limit of DAVIS per video.",
        ),
        (["-o", "d.zip", "--split", "val.json"], "d.zip: it is a folder. Use another -o OUT."),
    ],
)
def test_what_cannot_be_meant(
    options: list[str], said: str, split: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.zip").mkdir()
    make_results(tmp_path / "results", "a")
    before = sorted(tmp_path.rglob("*"))
    outcome = run_vis("export-json", "results", *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert sorted(tmp_path.rglob("*")) == before


def test_no_results_at_all(run_vis: RunVis, tmp_path: Path) -> None:
    outcome = run_vis("export-json", "--format", "davis", "-o", tmp_path / "out")
    assert (outcome.code, "Give results" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": float("nan")}, "a.json: not a JSON file, or damaged (NaN is not JSON)"),
        (
            {"segmentations": []},
            "a.json: instances[0]: 'segmentations' has 0 entries, 'first_frame' is 0, 'last_frame' is 0",
        ),
        (
            {"segmentations": [None, None]},
            "a.json: instances[0]: 'segmentations' has 2 entries, 'first_frame' is 0, 'last_frame' is 0",
        ),
        (
            {"segmentations": [{"size": [6, 4], "counts": [24]}]},
            "a.json: instances[0].segmentations[0]: the size of the mask is [6, 4], the size of the video is [4, 6]",
        ),
        (
            {"segmentations": [{"size": [4, 6], "counts": [9]}]},
            "a.json: instances[0].segmentations[0]: the RLE counts of the mask do not fill 6x4 pixels",
        ),
        ({"category_id": 99}, "a.json: instances[0]: 'category_id' is 99. Use the id of a listed category"),
    ],
)
def test_a_damaged_result_leaves_no_file(
    change: dict[str, object], said: str, split: Path, tmp_path: Path, run_vis: RunVis
) -> None:
    path = make_results(tmp_path / "results", "a") / "a.json"
    data = json.loads(path.read_text())
    data["instances"][0].update(change)
    path.write_text(json.dumps(data))
    outcome = run_vis("export-json", path, "--split", split, "-o", tmp_path / "s.zip")
    assert outcome.code == 1
    assert said in outcome.err
    assert not (tmp_path / "s.zip").exists()


def test_a_result_with_lists_of_counts_is_written_as_texts(split: Path, tmp_path: Path, run_vis: RunVis) -> None:
    path = make_results(tmp_path / "results", "a") / "a.json"
    data = json.loads(path.read_text())
    data["instances"][0]["segmentations"] = [{"size": [4, 6], "counts": [0, 2, 2, 2, 18]}]
    path.write_text(json.dumps(data))
    out = tmp_path / "s.zip"
    assert run_vis("export-json", path, "--split", split, "-o", out).code == 0
    assert run_vis("export-json", "--check", out, "--annotations", split).code == 0
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("results.json"))[0]["segmentations"] == [encode_mask(MASK)]
