"""`vis report`: pages and index, missing videos, existing output, and what it rejects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.exports.factory import two_objects
from tests.records.report.factory import read_page, save_with_video
from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.video_factory import damage, make_video
from vis_cli.commands import report_page
from vis_cli.records.result_json import write_result

from .conftest import RunVis

MASK = make_mask(["##....", "##....", "......", "......"])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return the result of a video that is next to it: 4 frames of 64x48."""
    return save_with_video(tmp_path, two_objects())


def annotations_of(result_path: Path, path: Path, name: str = "clip", num_frames: int = 4) -> Path:
    """Write the first instance of a result as ground truth."""
    entry = json.loads(result_path.read_text())["instances"][0]
    video = {"id": 1, "width": 64, "height": 48, "file_names": [f"{name}/{i:05d}.jpg" for i in range(num_frames)]}
    truth = {"id": 9, "video_id": 1, "category_id": 33, "iscrowd": 0, "segmentations": entry["segmentations"]}
    split = {"videos": [video], "categories": [{"id": 33, "name": "cat"}], "annotations": [truth]}
    path.write_text(json.dumps(split))
    return path


def test_one_page(clip: Path, tmp_path: Path, run_vis: RunVis, untouched: Callable[[Path], Path]) -> None:
    untouched(clip)
    untouched(clip.with_suffix(".mp4"))
    out = tmp_path / "folder" / "page.html"
    outcome = run_vis("report", clip, "-o", out)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"{out}: 0.1 MB")
    page = read_page(out)
    assert len(page.data["media"]["times"]) == 4
    assert page.data["media"]["file"] is None
    assert [attributes for attributes, _ in page.scripts if "data-video" in attributes]
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    assert sum(tag == "img" for tag, _ in page.tags) == 2
    again = run_vis("report", clip, "-o", out)
    assert (again.code, again.err) == (2, f"error: cannot write {out}: it exists. Use --overwrite to replace it.")
    assert run_vis("report", clip, "-o", out, "--overwrite", "--quiet").err == ""


def test_a_large_video_is_next_to_the_page(
    clip: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_page, "MAX_EMBEDDED_BYTES", 0)
    out = tmp_path / "folder" / "page.html"
    outcome = run_vis("report", clip, "-o", out)
    assert f"{out.with_name('page_preview.mp4')}: the video has 0 MB, so it is not in the page." in outcome.err
    assert read_page(out).data["media"]["file"] == "page_preview.mp4"
    assert sorted(path.name for path in out.parent.iterdir()) == ["page.html", "page_preview.mp4"]
    out.unlink()
    assert "page_preview.mp4: it exists" in run_vis("report", clip, "-o", out).err
    assert not out.exists()


def test_a_folder_gets_an_index_with_failures(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "other").mkdir()
    write_result(two_objects("other"), tmp_path / "other" / "clip.json")
    (tmp_path / "bad.json").write_text('{"schema": 3, "video": ')
    (tmp_path / "notes.json").write_text('{"a": 1}')
    out = tmp_path / "report"
    outcome = run_vis("report", tmp_path, tmp_path / "other", "-o", out)
    assert outcome.code == 1
    assert outcome.err.count("error: ") == 1
    assert "ignored files that are not results of `vis segment`" in outcome.err
    assert outcome.err.endswith(f"{out / 'index.html'}: 2 pages, 1 failed")
    assert sorted(path.name for path in out.iterdir()) == ["clip.html", "clip_2.html", "index.html"]
    index = read_page(out / "index.html")
    assert [attributes["href"] for tag, attributes in index.tags if tag == "a"] == [
        *["clip.html"] * 2,
        "clip_2.html",
    ]
    assert "bad.json" in index.words
    assert "2 videos" in index.words
    assert run_vis("report", clip, "-o", out).code == 2
    assert "also contains 1 file that" in run_vis("report", clip, "-o", out, "--overwrite").err


def test_a_result_called_index_is_not_lost(tmp_path: Path, run_vis: RunVis) -> None:
    write_result(two_objects(), tmp_path / "index.json")
    out = tmp_path / "report"
    assert run_vis("report", tmp_path / "index.json", "-o", out, "--no-video").code == 0
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "index_2.html"]


@pytest.mark.parametrize("kind", ["missing", "damaged", "other"])
def test_without_its_video_a_page_says_what_is_missing(clip: Path, tmp_path: Path, run_vis: RunVis, kind: str) -> None:
    video = clip.with_suffix(".mp4")
    if kind == "damaged":
        damage(video, 0.0, 1.0)
    elif kind == "other":
        make_video(tmp_path, num_frames=3, size=(32, 24))
    else:
        video.unlink()
    out = tmp_path / "page.html"
    outcome = run_vis("report", clip, "-o", out)
    assert outcome.code == 0
    assert "warning: cannot find" in outcome.err
    assert "the page shows the masks without the video" in outcome.err
    page = read_page(out)
    assert page.data["media"] is None
    assert "No video: cannot find" in page.words
    assert "Run vis report again with --video FILE." in page.words
    images = [attributes["alt"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 2
    assert all("the video is missing" in text for text in images)


def test_damaged_frames_leave_a_page_without_video(tmp_path: Path, run_vis: RunVis) -> None:
    video = make_video(tmp_path, num_frames=4)
    damage(video, 0.0, 1.0)
    result = save_with_video(tmp_path, two_objects(), "good")
    data = json.loads(result.read_text())
    data["video"] |= {"path": str(video), "fingerprint": None}  # a result of an early version
    result.write_text(json.dumps(data))
    outcome = run_vis("report", result, "-o", tmp_path / "page.html")
    assert outcome.code == 0
    assert "the page shows the masks without the video" in outcome.err
    assert "No video: " in read_page(tmp_path / "page.html").words


def test_another_video_that_the_user_gives_is_an_error(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    other = make_video(tmp_path, "other.mp4", num_frames=3)
    outcome = run_vis("report", clip, "-o", tmp_path / "page.html", "--video", other)
    assert outcome.code == 1
    assert "it is not the video of" in outcome.err
    assert not (tmp_path / "page.html").exists()


def test_no_video_and_min_score(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    clip.with_suffix(".mp4").unlink()
    outcome = run_vis("report", clip, "-o", tmp_path / "page.html", "--no-video", "--min-score", 0.6)
    assert (outcome.code, outcome.err) == (0, f"{tmp_path / 'page.html'}: 0.1 MB")
    page = read_page(tmp_path / "page.html")
    assert [item["id"] for item in page.data["instances"]] == [1]
    assert "the video is missing" not in str(page.tags)


def test_annotations(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    truth = annotations_of(clip, tmp_path / "valid.json")
    outcome = run_vis("report", clip, "-o", tmp_path / "page.html", "--annotations", truth)
    assert outcome.code == 0
    page = read_page(tmp_path / "page.html")
    (target,) = page.data["comparison"]["objects"]
    assert (target["id"], target["instance"], target["mean"]) == (9, 1, 1.0)
    assert target["region"] == [1.0, None, 1.0, 1.0]
    assert [item["kind"] for item in page.data["instances"]] == ["correct", "background"]
    assert "Worst frames" in page.words
    folder = run_vis("report", clip, "-o", tmp_path / "report", "--annotations", truth)
    assert folder.code == 0
    assert "Mean J" in read_page(tmp_path / "report" / "index.html").words


@pytest.mark.parametrize(("name", "num_frames", "cause"), [("no", 4, "is not in"), ("clip", 3, "lists 3 frames")])
def test_annotations_of_another_video(
    clip: Path, tmp_path: Path, run_vis: RunVis, name: str, num_frames: int, cause: str
) -> None:
    truth = annotations_of(clip, tmp_path / "valid.json", name, num_frames)
    data = json.loads(truth.read_text())
    data["annotations"] = []
    truth.write_text(json.dumps(data))
    outcome = run_vis("report", clip, "-o", tmp_path / "page.html", "--annotations", truth)
    assert outcome.code == 1
    assert cause in outcome.err


def test_a_split_without_annotations(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    truth = annotations_of(clip, tmp_path / "valid.json")
    data = json.loads(truth.read_text())
    del data["annotations"]
    truth.write_text(json.dumps(data))
    outcome = run_vis("report", clip, "-o", tmp_path / "page.html", "--annotations", truth)
    assert outcome.err == f"error: {truth}: the file has no annotations. Pass a split with ground truth."


def test_no_instances(tmp_path: Path, run_vis: RunVis) -> None:
    result = save_with_video(tmp_path, make_result(size=(48, 64), num_frames=2))
    assert run_vis("report", result, "-o", tmp_path / "page.html").code == 0
    assert "The result has no instances." in read_page(tmp_path / "page.html").words
    assert run_vis("report", result, "-o", tmp_path / "report").code == 0


def test_wrong_usage(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    write_result(make_result([make_instance(1, [MASK])], name="b"), tmp_path / "b.json")
    (tmp_path / "page.html").mkdir()
    (tmp_path / "file").write_text("")
    video = clip.with_suffix(".mp4")
    for arguments, cause in (
        ([tmp_path, "-o", tmp_path / "a.html"], "there are 2 results, and each has its own page. Use a folder"),
        ([clip, "-o", tmp_path / "page.html"], "it is a folder"),
        ([clip, "-o", tmp_path / "file"], "it is a file. Use a folder, or a name that ends in .html."),
        ([clip, "-o", tmp_path], "the folder contains the input"),
        ([tmp_path, "-o", tmp_path / "out", "--video", video], "--video needs one result, but there are 2"),
        ([clip, "-o", tmp_path / "a.html", "--video", video, "--no-video"], "--video cannot be combined with"),
        ([tmp_path / "gone.json", "-o", tmp_path / "a.html"], "no such file or folder"),
        ([tmp_path / "page.html", "-o", tmp_path / "a.html"], "no results (*.json) in this folder"),
    ):
        outcome = run_vis("report", *arguments)
        assert (outcome.code, outcome.out) == (2, ""), arguments
        assert cause in outcome.err


def test_foreign_json(tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "notes.json").write_text('{"a": 1}')
    outcome = run_vis("report", tmp_path / "notes.json", "-o", tmp_path / "a.html")
    assert outcome.code == 1
    assert "notes.json" in outcome.err
    assert not (tmp_path / "a.html").exists()
