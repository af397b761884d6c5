"""Frames of detection files: names and numbers of images, and numbers from 0 or 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.detection_factory import Heard, entry, error_of, locate, write_json, write_text

MOT = ",-1,9,7,16,12,0.5"


def frames(tmp_path: Path, *image_ids: object, heard: Heard | None = None, **options: object) -> list[int]:
    path = write_json(tmp_path / "clip.json", [entry(image_id) for image_id in image_ids])
    return list(locate(path, heard=heard, **options).frames)  # type: ignore[arg-type]


def mot_frames(tmp_path: Path, *numbers: int, heard: Heard | None = None, **options: object) -> list[int]:
    path = write_text(tmp_path / "clip.txt", *(f"{number}{MOT}" for number in numbers))
    return list(locate(path, heard=heard, **options).frames)  # type: ignore[arg-type]


def test_frame_0_and_the_number_of_frames_decide(tmp_path: Path) -> None:
    heard = Heard()
    assert mot_frames(tmp_path, 0, 4, heard=heard) == [0, 4]
    assert "frame numbers start at 0: frame 0 occurs. For another start, use --detections-from N" in heard.notes[-1]
    assert frames(tmp_path, 5, 1, heard=heard) == [0, 4]
    assert "start at 1: frame 5 occurs, and the video has 5 frames" in heard.notes[-1]


def test_otherwise_the_format_decides(tmp_path: Path) -> None:
    heard = Heard()
    assert mot_frames(tmp_path, 1, 4) == [0, 3]
    assert frames(tmp_path, 1, 4, heard=heard) == [1, 4]
    assert "start at 0: an image_id is a frame index if nothing else is known" in heard.notes[-1]


def test_empty_files_of_frames_decide(tmp_path: Path) -> None:
    heard, line = Heard(), "0 0.25 0.25 0.25 0.25 0.9"
    for number, lines in enumerate([[], [line], [line], [], []]):
        write_text(tmp_path / "zero" / f"clip_{number}.txt", *lines)
        write_text(tmp_path / "one" / f"clip_{number + 1}.txt", *lines)
        write_text(tmp_path / "other" / f"clip_{number + 1}.txt", *lines)
    (tmp_path / "other" / "clip_5.txt").rename(tmp_path / "other" / "clip2_5.txt")
    assert list(locate(tmp_path / "zero", heard=heard).frames) == [1, 2]
    assert "start at 0: frame 0 is listed, without detections" in heard.notes[-1]
    assert list(locate(tmp_path / "one", heard=heard).frames) == [1, 2]
    assert "start at 1: frame 5 is listed, without detections, and the video has 5 frames" in heard.notes[-1]
    locate(tmp_path / "other", heard=heard)
    assert "start at 1: Ultralytics" in heard.notes[-1]


@pytest.mark.parametrize(("start", "reason"), [(0, "frame 0 is listed"), (1, "frame 5 is listed")])
def test_images_without_detections_decide(tmp_path: Path, start: int, reason: str) -> None:
    heard, path = Heard(), write_json(tmp_path / "clip.json", [entry(12), entry(13)])
    images = [{"id": 10 + number, "file_name": f"clip/{number + start:04d}.jpg"} for number in range(5)]
    names = write_json(tmp_path / "names.json", {"images": images})
    assert list(locate(path, images=names, heard=heard).frames) == [2, 3]
    assert f"start at {start}: {reason}" in heard.notes[-1]


def test_the_user_decides(tmp_path: Path) -> None:
    heard = Heard()
    assert frames(tmp_path, 100, 104, first=100, heard=heard) == [0, 4]
    assert mot_frames(tmp_path, 1, 4, first=0) == [1, 4]
    assert not any("start" in note for note in heard.notes)
    names = tuple(f"{number}.jpg" for number in range(5))
    assert frames(tmp_path, 1, first=1, frame_names=names) == [0]


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ([0, 5], "entry 1: the frame numbers 0 and 5 occur, but the video has 5 frames"),
        ([0, 6], "entry 1: frame 6 is beyond the end: the video has 5 frames. Use the detections of this video"),
        ([1, 6], "entry 1: frame 6 is beyond the end: the video has 5 frames"),
        ([3, 100], "entry 1: frame 100 is beyond the end: the video has 5 frames. Use the detections of this video"),
        ([104, 100], "If 100 is the number of the first frame, use --detections-from 100"),
        ([2**60], "frame 1152921504606846976 is beyond the end"),
    ],
)
def test_a_file_that_does_not_fit_is_rejected(tmp_path: Path, numbers: list[int], problem: str) -> None:
    path = write_json(tmp_path / "clip.json", [entry(number) for number in numbers])
    assert problem in error_of(path)


def test_frames_around_the_given_first_frame_are_rejected(tmp_path: Path) -> None:
    path = write_json(tmp_path / "clip.json", [entry(2)])
    assert "frame 2 is before the first frame, --detections-from 3" in error_of(path, first=3)
    path = write_json(tmp_path / "clip.json", [entry(8)])
    assert "frame 8 is beyond the end: the video has 5 frames. Check --detections-from 3" in error_of(path, first=3)


def test_the_names_of_images_decide_first(tmp_path: Path) -> None:
    names = ("b.jpg", "a.jpg", "c.jpg")
    assert frames(tmp_path, "c.jpg", "frames/a.jpg", "b", frame_names=names, num_frames=3) == [0, 1, 2]
    path = write_json(tmp_path / "clip.json", [entry("a.jpg"), entry("d.jpg")])
    line = error_of(path, frame_names=names, num_frames=3)
    assert "entry 1: the video has no image with the name 'd'" in line


def test_then_the_numbers_of_images_decide(tmp_path: Path) -> None:
    heard = Heard()
    names = ("0010.jpg", "0020.jpg", "0030.jpg")
    assert frames(tmp_path, 30, 10, frame_names=names, num_frames=3, heard=heard) == [0, 2]
    assert "the frame numbers are numbers of images" in heard.notes[-1]
    assert frames(tmp_path, "30", frame_names=names, num_frames=3) == [2]
    assert frames(tmp_path, 1, 2, frame_names=names, num_frames=3) == [1, 2]  # indices: no number of an image
    path = write_json(tmp_path / "clip.json", [entry(10), entry(2)])
    line = error_of(path, frame_names=names, num_frames=3)
    assert "entry 1: number 2 is not the number of an image (10, 20, 30)" in line


def test_numbers_of_images_with_gaps_can_be_frame_indices(tmp_path: Path) -> None:
    """The images are 0, 4, ..., 28. Numbers that are not all of images are read as for a video."""
    heard = Heard()
    options: dict[str, Any] = {"frame_names": tuple(f"{number:05}.jpg" for number in range(0, 32, 4)), "num_frames": 8}
    assert mot_frames(tmp_path, 4, 28, **options) == [1, 7]
    assert mot_frames(tmp_path, 1, 4, 8, heard=heard, **options) == [0, 3, 7]
    assert "frame numbers start at 1, so frame 1 is image 00000: frame 8 occurs" in heard.notes[-1]
    assert frames(tmp_path, 0, 4, 5, heard=heard, **options) == [0, 4, 5]
    assert "frame numbers start at 0, so frame 0 is image 00000: frame 0 occurs" in heard.notes[-1]
    assert mot_frames(tmp_path, 1, 4, **options) == [0, 3]
    line = error_of(write_json(tmp_path / "clip.json", [entry(0), entry(1), entry(28)]), **options)
    assert (
        "entry 1: number 1 is not the number of an image (0, 4, 8, …, 28), and for frames counted from 0 or 1, frame "
        "28 is beyond the end: the video has 8 frames. Use numbers of images, or frame indices with --detections-from "
        "N, the number of the first frame."
    ) in line
    line = error_of(write_json(tmp_path / "clip.json", [entry(24), entry(26)]), **options)
    assert "number 26 is not the number of an image" in line
    assert "If 24 is the number of the first frame, use --detections-from 24." in line
    line = error_of(write_json(tmp_path / "clip.json", [entry(0), entry(1), entry(8)]), **options)
    assert "number 1 is not the number of an image (0, 4, 8, …, 28), and for frames counted from 0 or 1, the" in line


def test_images_from_0_or_1_leave_the_decision_to_the_numbers(tmp_path: Path) -> None:
    from_0, from_1 = (tuple(f"{number:05}.jpg" for number in range(start, start + 3)) for start in (0, 1))
    assert frames(tmp_path, 1, 2, frame_names=from_0, num_frames=3) == [1, 2]
    assert mot_frames(tmp_path, 1, 2, frame_names=from_1, num_frames=3) == [0, 1]
    assert mot_frames(tmp_path, 1, 2, 3, frame_names=from_0, num_frames=3) == [0, 1, 2]
    assert frames(tmp_path, 1, 2, 3, frame_names=from_1, num_frames=3) == [0, 1, 2]
    assert frames(tmp_path, 0, 2, frame_names=from_1, num_frames=3) == [0, 2]


def test_a_format_that_counts_from_1_counts_images_from_1(tmp_path: Path) -> None:
    """Frame 3 of 3 without a box: all numbers are also numbers of the images 0, 1, 2."""
    heard = Heard()
    options: dict[str, Any] = {"frame_names": tuple(f"{number:05}.jpg" for number in range(3)), "num_frames": 3}
    assert mot_frames(tmp_path, 1, 2, heard=heard, **options) == [0, 1]
    assert heard.notes[-1] == (
        f"{tmp_path / 'clip.txt'}: frame numbers start at 1, so frame 1 is image 00000: MOTChallenge files count "
        "frames from 1. If the numbers are numbers of images, use --detections-from 0"
    )
    assert not heard.warnings
    assert mot_frames(tmp_path, 1, 2, first=0, **options) == [1, 2]
    assert mot_frames(tmp_path, 0, 1, heard=heard, **options) == [0, 1]
    assert "the frame numbers are numbers of images" in heard.notes[-1]
    for number in (1, 2):
        write_text(tmp_path / "clip" / f"clip_{number}.txt", "0 0.25 0.25 0.25 0.25")
    assert list(locate(tmp_path / "clip", **options).frames) == [0, 1]
    write_text(tmp_path / "clip" / "clip_0.txt")
    assert list(locate(tmp_path / "clip", heard=heard, **options).frames) == [1, 2]
    assert "the frame numbers are numbers of images" in heard.notes[-1]


@pytest.mark.parametrize("start", [0, 1])
def test_a_frame_beyond_consecutive_images_is_rejected(tmp_path: Path, start: int) -> None:
    path = write_text(tmp_path / "clip.txt", f"1{MOT}", f"4{MOT}")
    names = tuple(f"{number:05}.jpg" for number in range(start, start + 3))
    line = error_of(path, frame_names=names, num_frames=3)
    assert "line 2: frame 4 is beyond the end: the video has 3 frames. Use the detections of this video." in line
    line = error_of(path, frame_names=("4.jpg", "5.jpg", "6.jpg"), num_frames=3)
    assert (
        "line 1: number 1 is not the number of an image (4, 5, 6), and for frames counted from 0 or 1, frame 4" in line
    )


def test_numbers_follow_the_same_text_in_all_names(tmp_path: Path) -> None:
    assert frames(tmp_path, "clip_1.jpg", "clip_5.jpg") == [0, 4]
    path = write_json(tmp_path / "clip.json", [entry("clip_1.jpg"), entry("other_2.jpg")])
    assert "entry 1: the names 'clip_1' and 'other_2' can be of two videos" in error_of(path)


@pytest.mark.parametrize("name", ["walk", "clip_" + "9" * 5000, "\u0663"])
def test_a_name_without_number_is_rejected(tmp_path: Path, name: str) -> None:
    path = write_json(tmp_path / "clip.json", [entry(name)])
    assert "is not a frame number, and no image of the video has this name" in error_of(path)


def test_two_names_of_a_frame_are_rejected(tmp_path: Path) -> None:
    path = write_json(tmp_path / "clip.json", [entry("1"), entry("2"), entry("01")])
    assert "entry 2: '1' and '01' are the same frame" in error_of(path)
