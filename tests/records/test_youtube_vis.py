"""Ground truth in every spelling, and its contradictions named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records.split_factory import MASK, SQUARE, write_split
from vis_cli.errors import VisError
from vis_cli.evaluation.benchmark_videos import youtube_vis_videos
from vis_cli.records.result_matching import read_split
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.records.youtube_vis_results import match_results, read_predictions


@pytest.fixture
def split(tmp_path: Path) -> YouTubeVis:
    return read_youtube_vis(write_split(tmp_path))


def test_ground_truth_is_read(split: YouTubeVis) -> None:
    clip, other = split.videos
    assert (clip.id, clip.name, clip.width, clip.height) == (7, "clip", 6, 4)
    assert clip.file_names == ("clip/00000.jpg", "clip/00005.jpg", "clip/00010.jpg")
    assert other.name == "other"
    assert split.categories == (Category(26, "Giant Panda"), Category(4, "person"))
    assert split.annotations is not None
    (annotation,) = split.annotations
    assert (annotation.id, annotation.video_id, annotation.category_id, annotation.is_crowd) == (1, 7, 4, True)
    assert annotation.segmentations == (encode_mask(MASK), None, encode_mask(SQUARE))
    assert annotation.areas == (3.0, None, 4.5)


def test_optional_keys_may_be_absent(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["videos"][0]["length"]
        for key in ("iscrowd", "width", "height", "length", "areas", "bboxes"):
            del data["annotations"][0][key]

    annotations = read_youtube_vis(write_split(tmp_path, change)).annotations
    assert annotations is not None
    assert annotations[0].areas == (3.0, None, 4.0)
    assert not annotations[0].is_crowd


@pytest.mark.parametrize("change", [lambda d: d.pop("annotations"), lambda d: d.update(annotations=None)])
def test_a_released_split_has_no_annotations(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    split = read_youtube_vis(write_split(tmp_path, change))
    assert split.annotations is None
    assert len(split.videos) == 2


def test_a_split_without_objects_is_not_one_without_annotations(tmp_path: Path) -> None:
    assert read_youtube_vis(write_split(tmp_path, lambda d: d.update(annotations=[]))).annotations == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("videos"), "'videos' is missing"),
        (lambda d: d.pop("categories"), "'categories' is missing"),
        (lambda d: d["videos"][1].pop("id"), r"videos\[1\]: 'id' is missing"),
        (lambda d: d["videos"][1].update(id=7), "videos: 7 is used 2 times"),
        (lambda d: d["videos"][0].update(length=4), r"videos\[0\]: 'length' is 4, 'file_names' has 3 entries"),
        (
            lambda d: d["videos"][0].update(file_names=[]),
            r"videos\[0\]: 'file_names' is .*\. Use a list of at least one string",
        ),
        (
            lambda d: d["videos"][1].update(file_names=[3]),
            r"videos\[1\]: 'file_names' is .*\. Use a list of at least one string",
        ),
        (lambda d: d["videos"][1].update(file_names=["0.jpg"]), r"videos\[1\]: '0\.jpg' has no folder"),
        (
            lambda d: d["videos"][0]["file_names"].__setitem__(2, "clip/00000.jpg"),
            r"videos\[0\]: file_names: 'clip/00000\.jpg' is used 2 times",
        ),
        (
            lambda d: d["videos"][0]["file_names"].__setitem__(2, "clap/00010.jpg"),
            r"videos\[0\]: 'clap/00010\.jpg' and 'clip/00000\.jpg' are in different folders",
        ),
        (lambda d: d["annotations"][0].update(iscrowd="0"), r"annotations\[0\]: 'iscrowd' is '0'\. Use 0 or 1"),
        (
            lambda d: d["annotations"][0]["segmentations"].__setitem__(2, [[1, 1, 3, 1]]),
            r"annotations\[0\]\.segmentations\[2\]: a polygon is .*\. Use a list",
        ),
        (
            lambda d: d["annotations"][0]["segmentations"][0].update(counts=[9, 1, 3]),
            r"annotations\[0\]\.segmentations\[0\]: the RLE counts of the mask do not fill 6x4 pixels",
        ),
        (lambda d: d["videos"][1].update(width=0), r"videos\[1\]: the size is 0x4"),
        (lambda d: d["videos"][1].update(height=-1), r"videos\[1\]: the size is 6x-1"),
        (lambda d: d["categories"][1].update(id=26), "categories: 26 is used 2 times"),
        (lambda d: d["annotations"].append(d["annotations"][0]), "annotations: 1 is used 2 times"),
        (
            lambda d: d["annotations"][0].update(video_id=8),
            r"annotations\[0\]: 'video_id' is 8\. Use the id of a listed video",
        ),
        (
            lambda d: d["annotations"][0].update(category_id=5),
            r"annotations\[0\]: 'category_id' is 5\. Use the id of a listed category",
        ),
        (lambda d: d["annotations"][0].pop("segmentations"), r"annotations\[0\]: 'segmentations' is missing"),
        (lambda d: d["annotations"][0]["segmentations"].pop(), "'segmentations' has 2 entries, video 7 has 3"),
        (lambda d: d["annotations"][0]["areas"].pop(), "'areas' has 2 entries, video 7 has 3 frames"),
        (lambda d: d["annotations"][0]["bboxes"].pop(), "'bboxes' has 2 entries, video 7 has 3 frames"),
        (
            lambda d: d["annotations"][0].update(areas=["3", None, 4]),
            r"annotations\[0\]: 'areas' is \['3', None, 4\]\. Use numbers or null",
        ),
        (lambda d: d["annotations"][0].update(width=4), r"annotations\[0\]: 'width' is 4, the entry of video 7 has 6"),
        (
            lambda d: d["annotations"][0].update(height=6),
            r"annotations\[0\]: 'height' is 6, the entry of video 7 has 4",
        ),
        (
            lambda d: d["annotations"][0].update(length=2),
            r"annotations\[0\]: 'length' is 2, the entry of video 7 has 3",
        ),
        (
            lambda d: d["annotations"][0]["segmentations"][0].update(size=[6, 4]),
            r"annotations\[0\]\.segmentations\[0\]: the size of the mask is \[6, 4\]",
        ),
    ],
)
def test_contradictions_are_named_by_file_and_entry(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(VisError, match=rf"val\.json: ([^ ]*: )?{message}|val\.json: .*{message}"):
        read_youtube_vis(write_split(tmp_path, change))


def share_a_name(data: dict[str, Any]) -> None:
    for video, folder in zip(data["videos"], "ab", strict=True):
        video["file_names"] = [f"{folder}/frames/{Path(name).name}" for name in video["file_names"]]


def test_videos_in_folders_of_one_name_are_rejected_where_names_find_results(tmp_path: Path) -> None:
    """Training and entries of results.json need no names."""
    path = write_split(tmp_path, share_a_name)
    split = read_youtube_vis(path)
    entry = {"video_id": 9, "category_id": 4, "score": 0.5, "segmentations": [None]}
    (tmp_path / "results.json").write_text(json.dumps([entry]))
    assert list(read_predictions(tmp_path / "results.json", split).readers) == [9]
    message = (
        rf"{path}: videos 7 and 9 have folders of the same name, 'a/frames' and 'b/frames'\. "
        r"Rename one of the folders\."
    )
    for use in (read_split, lambda path: match_results([], split), lambda path: youtube_vis_videos(split, tmp_path)):
        with pytest.raises(VisError, match=message):
            use(path)
