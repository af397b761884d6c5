"""The shipped sample clips and their ground truth fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli import segment_video
from vis_cli.records.rle import decode_rle, rle_area, rle_box, sequence_iou
from vis_cli.records.video import open_video

FOLDER = Path(__file__).parents[1] / "sample_videos"
TRUTH: dict[str, Any] = json.loads((FOLDER / "annotations.json").read_text(encoding="utf-8"))
CLIPS = {video["file_names"][0].split("/")[0]: video for video in TRUTH["videos"]}


def annotations_of(video: dict[str, Any]) -> list[dict[str, Any]]:
    return [a for a in TRUTH["annotations"] if a["video_id"] == video["id"]]


def union_mask(video: dict[str, Any], frame: int) -> NDArray[np.bool_]:
    masks = np.zeros((video["height"], video["width"]), dtype=np.bool_)
    for annotation in annotations_of(video):
        if annotation["segmentations"][frame] is not None:
            masks |= decode_rle(annotation["segmentations"][frame])
    return masks


def test_every_clip_is_annotated_and_every_annotation_has_its_clip() -> None:
    assert {path.stem for path in FOLDER.glob("*.mp4")} == set(CLIPS)
    assert len(CLIPS) >= 2


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_decodes_to_the_frames_that_are_annotated(name: str) -> None:
    video, clip = CLIPS[name], open_video(FOLDER / f"{name}.mp4")
    frames = list(clip.iter_frames())

    assert video["file_names"] == [f"{name}/{frame:05d}.jpg" for frame in range(len(frames))]
    assert video["length"] == len(frames)
    assert {frame.shape for frame in frames} == {(video["height"], video["width"], 3)}
    assert clip.warnings == []
    assert 2.0 <= len(frames) / clip.fps <= 3.0


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_plays_everywhere_and_is_small(name: str) -> None:
    path = FOLDER / f"{name}.mp4"
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("name", CLIPS)
def test_masks_fill_the_annotations_and_agree_with_areas_and_boxes(name: str) -> None:
    video = CLIPS[name]
    for annotation in annotations_of(video):
        masks = annotation["segmentations"]
        assert len(masks) == len(annotation["areas"]) == len(annotation["bboxes"]) == video["length"]
        for rle, area, box in zip(masks, annotation["areas"], annotation["bboxes"], strict=True):
            if rle is None:
                assert area is box is None
            else:
                assert rle["size"] == [video["height"], video["width"]]
                assert area == rle_area(rle) > 0
                assert tuple(box) == rle_box(rle)


def test_who_is_seen_when() -> None:
    names = {category["id"]: category["name"] for category in TRUTH["categories"]}
    seen = {
        (clip, names[a["category_id"]]): [frame for frame, rle in enumerate(a["segmentations"]) if rle is not None]
        for clip, video in CLIPS.items()
        for a in annotations_of(video)
    }

    whole = list(range(60))
    assert seen == {("cat", "cat"): whole, ("launchpad", "person"): whole, ("launchpad", "cat"): whole[11:]}


def test_masks_of_the_crossing_exclude_each_other() -> None:
    person, cat = (annotation["segmentations"] for annotation in annotations_of(CLIPS["launchpad"]))

    shared = [(decode_rle(a) & decode_rle(b)).sum() for a, b in zip(person[11:], cat[11:], strict=True)]

    assert max(shared) == 0
    assert rle_area(person[35]) < 0.5 * rle_area(person[0])  # the cat hides most of her


def test_masks_of_the_launchpad_lie_on_the_pictures() -> None:
    clip = CLIPS["launchpad"]
    for index, frame in enumerate(open_video(FOLDER / "launchpad.mp4").iter_frames()):
        red, green, blue = (frame[:, :, channel].astype(np.int16) for channel in range(3))
        suit, sky = (red > 200) & (green < 130) & (blue < 100), (blue > red + 30) & (blue > 70)
        inside = union_mask(clip, index)
        assert inside[suit].mean() > 0.99
        assert inside[sky].mean() < 0.01


def test_the_mask_of_the_print_lies_on_the_cat() -> None:
    clip = CLIPS["cat"]
    for index, frame in enumerate(open_video(FOLDER / "cat.mp4").iter_frames()):
        red, blue = (frame[:, :, channel].astype(np.int16) for channel in (0, 2))
        fur, wall, mat = red > blue + 50, blue > red + 5, frame.min(axis=2) > 215
        inside = union_mask(clip, index)
        assert inside[fur].mean() > 0.96
        assert fur[inside].mean() > 0.8
        assert inside[wall | mat].mean() < 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_each_object_has_one_confident_instance_and_nothing_else_is_shown(name: str) -> None:
    """The check of an honest demonstration: the right category, an IoU of at least 0.8, no further instance."""
    truth = annotations_of(CLIPS[name])
    wanted = {category["id"]: category["name"] for category in TRUTH["categories"]}

    result = segment_video(FOLDER / f"{name}.mp4")

    names = {category.id: category.name for category in result.categories}
    shown = [instance for instance in result.instances if instance.confident]
    found = {names[instance.category_id or 0]: instance.segmentations for instance in shown}
    assert sorted(found) == sorted(wanted[annotation["category_id"]] for annotation in truth)
    assert len(found) == len(shown)
    for annotation in truth:
        masks = found[wanted[annotation["category_id"]]]
        assert sequence_iou([masks], [annotation["segmentations"]])[0, 0] >= 0.8
