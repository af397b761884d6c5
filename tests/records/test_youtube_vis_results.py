"""Predictions from a results.json, its zip and results of `segment`; what is damaged is named in one line."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.result_json import write_result
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo
from vis_cli.records.youtube_vis_results import Prediction, Predictions, match_results, read_predictions

MASK = make_mask(["##....", "##....", "......", "......"])
RLE = encode_mask(MASK)
SPLIT = YouTubeVis(
    path=Path("val.json"),
    videos=(
        YouTubeVisVideo(11, "a", 6, 4, ("a/0.jpg", "a/5.jpg")),
        YouTubeVisVideo(12, "b", 6, 4, ("b/0.jpg",)),
    ),
    categories=(Category(33, "Cat"), Category(34, "dog")),
    annotations=(),
)


def make_entry(**changes: Any) -> dict[str, Any]:
    return {"video_id": 11, "category_id": 33, "score": 0.5, "segmentations": [RLE, None]} | changes


def write(path: Path, entries: object) -> Path:
    text = json.dumps(entries)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("results.json", text)
    else:
        path.write_text(text)
    return path


def read_all(predictions: Predictions) -> dict[int, list[Prediction]]:
    return {video: read() for video, read in predictions.readers.items()}


@pytest.mark.parametrize("name", ["results.json", "submission.zip"])
def test_entries_come_by_video_in_the_order_of_the_file(name: str, tmp_path: Path) -> None:
    entries = [
        make_entry(score=0.1),
        make_entry(video_id=12, segmentations=[None], category_id=34),
        make_entry(score=1),
    ]
    predictions = read_predictions(write(tmp_path / name, entries), SPLIT)
    assert (predictions.num_predictions, predictions.unmapped_categories) == (3, ())
    assert read_all(predictions) == {
        11: [Prediction(33, 0.1, (RLE, None)), Prediction(33, 1.0, (RLE, None))],
        12: [Prediction(34, 0.5, (None,))],
    }


def test_an_empty_list_is_a_result(tmp_path: Path) -> None:
    predictions = read_predictions(write(tmp_path / "results.json", []), SPLIT)
    assert (predictions.num_predictions, dict(predictions.readers)) == (0, {})


DAMAGED: list[tuple[object, str]] = [
    (make_entry(video_id=99), "entry 1: 'video_id' is 99. Use the id of a video in val.json"),
    (make_entry(video_id="11"), "entry 1: 'video_id' is a string. Use an integer"),
    (make_entry(category_id=7), "entry 1: 'category_id' is 7. Use the id of a category in val.json"),
    (make_entry(score=float("nan")), "entry 1: 'score' is not finite. Use a finite number"),
    (make_entry(score="high"), "entry 1: 'score' is a string. Use a number"),
    (make_entry(segmentations=[RLE]), "entry 1: 'segmentations' has 1 entries, video a has 2 frames"),
    (make_entry(segmentations=[RLE] * 3), "entry 1: 'segmentations' has 3 entries, video a has 2 frames"),
    (make_entry(segmentations=None), "entry 1: 'segmentations' is null. Use a list"),
    ({"video_id": 11, "category_id": 33, "segmentations": []}, "entry 1: 'score' is missing"),
    ([], "entry 1: the entry is a list. Use an object"),
]
DAMAGED_MASKS: list[tuple[object, str]] = [
    (encode_mask(MASK.T), r"entry 1.segmentations[1]: the size of the mask is [6, 4], the size of the video is [4, 6]"),
    ({"size": [4, 6], "counts": [0, 2, 22]}, "entry 1.segmentations[1]: the mask is {'counts': [0, 2, 22]"),
    ([[0, 0, 3, 0, 3, 3]], "entry 1.segmentations[1]: the mask is [[0, 0, 3, 0, 3, 3]]. Use null, or an RLE"),
    ({"size": [4, 6]}, "entry 1.segmentations[1]: the mask is {'size': [4, 6]}. Use null, or an RLE"),
    (
        {"size": [4, 6], "counts": RLE["counts"][:-1]},
        "entry 1.segmentations[1]: the RLE counts of the mask do not fill",
    ),
]


@pytest.mark.parametrize(("entry", "message"), DAMAGED)
def test_damaged_entries_are_named(entry: object, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "results.json", [make_entry(), entry])
    with pytest.raises(VisError) as caught:
        read_predictions(path, SPLIT)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mask", "message"), DAMAGED_MASKS)
def test_damaged_masks_are_named_when_their_video_is_read(mask: object, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "results.zip", [make_entry(), make_entry(segmentations=[RLE, mask])])
    predictions = read_predictions(path, SPLIT)
    with pytest.raises(VisError) as caught:
        read_all(predictions)
    assert str(caught.value).startswith(f"{path}: results.json: {message}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*none.json: No such file"):
        read_predictions(tmp_path / "none.json", SPLIT)
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps([make_entry()])[:-5])
    with pytest.raises(VisError, match=r"cut.json: not a JSON file, or damaged \("):
        read_predictions(cut, SPLIT)


def test_zips_that_no_server_takes(tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mine/", "")
        archive.writestr("mine/results.json", "[]")
    with pytest.raises(VisError, match=r"submission.zip: mine/results.json is in a folder"):
        read_predictions(path, SPLIT)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("result.json", "[]")
    with pytest.raises(VisError, match=r"submission.zip: the zip has no results.json; it contains result.json"):
        read_predictions(path, SPLIT)


def test_a_damaged_zip(tmp_path: Path) -> None:
    path = write(tmp_path / "submission.zip", [make_entry(score=number / 1000) for number in range(1000)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(VisError, match=r"submission.zip: "):
        read_predictions(path, SPLIT)


@pytest.mark.parametrize("as_folder", [True, False])
def test_results_of_segment_are_matched_by_name(as_folder: bool, tmp_path: Path) -> None:
    instance = make_instance(1, [MASK, None], score=0.8, category_scores={7: 0.8, 3: 0.3})
    write_result(make_result([instance], name="a", num_frames=2), tmp_path / "a.json")
    predictions = read_predictions(tmp_path if as_folder else tmp_path / "a.json", SPLIT)
    assert predictions.unmapped_categories == ("giant_panda",)
    assert predictions.num_predictions == 1
    assert read_all(predictions) == {11: [Prediction(33, 0.8, (RLE, None))]}


def test_results_that_do_not_fit_the_split() -> None:
    with pytest.raises(VisError, match=r"^z: the video is not in val.json"):
        match_results([make_result(name="z")], SPLIT)
    with pytest.raises(
        VisError, match=r"^a: the result has 3 frames of 6x4 pixels, val.json lists 2 frames of 6x4 pixels"
    ):
        match_results([make_result(name="a", num_frames=3)], SPLIT)
    with pytest.raises(VisError, match=r"^b: two results have this video\. Keep"):
        match_results([make_result(name="b"), make_result(name="b")], SPLIT)
    assert match_results([], SPLIT) == Predictions({}, 0)
    assert match_results([make_result(name="b")], SPLIT) == Predictions({}, 0)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="no results"):
        read_predictions(tmp_path, SPLIT)


def test_readers_survive_a_process(tmp_path: Path) -> None:
    predictions = read_predictions(write(tmp_path / "results.json", [make_entry()]), SPLIT)
    again = pickle.loads(pickle.dumps(predictions.readers[11]))
    assert again() == [Prediction(33, 0.5, (RLE, None))]
