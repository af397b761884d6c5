"""`--start`, `--end` and `--every`: original frame numbers and timestamps from the result to every export."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.network.factories import make_model
from tests.records.video_factory import frame_times, make_images, make_video, number_in
from vis_cli.records.bundle import read_bundle
from vis_cli.records.davis import write_label_png
from vis_cli.records.exports.formats import FORMATS
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.video import open_video
from vis_cli.zoo.weights import save_model

from .conftest import Network, Outcome, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")
PART = ("--start", "3", "--end", "0.32s", "--every", 2)  # frames 3, 5 and 7 of 12 frames at 25 frames per second
NUMBERS = [3, 5, 7]
TIMES = [0.12, 0.2, 0.28]
NAMES = [f"img{number}.png" for number in range(12)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path, num_frames=12)


@pytest.fixture
def result(clip: Path, tmp_path: Path, run_vis: RunVis, network: Network) -> Path:
    """Return the result of the part."""
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", *PART)
    assert outcome.code == 0, outcome.err
    return tmp_path / "out" / "clip.json"


class TestResult:
    def test_has_the_original_numbers_and_timestamps(self, result: Path) -> None:
        video = read_result(result).video
        assert list(video.frame_numbers) == NUMBERS
        assert video.timestamps == pytest.approx(TIMES)
        assert (video.num_frames, video.fps) == (3, 25.0)
        assert json.loads(result.read_text())["video"]["part"] == {
            "start_frame": 3,
            "end_frame": 8,
            "every": 2,
            "ends_with_video": False,
            "start": "3",
            "end": "0.32s",
        }

    def test_is_written_as_it_was_read(self, result: Path, tmp_path: Path) -> None:
        write_result(read_result(result), tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == result.read_bytes()

    def test_of_a_folder_has_its_image_names(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        folder = make_images(tmp_path / "frames", NAMES)
        run_vis("segment", folder, "-o", tmp_path / "out", "--start", "10", "--no-render")
        video = read_result(tmp_path / "out" / "frames.json").video
        assert (list(video.frame_numbers), video.frame_names) == ([10, 11], ("img10.png", "img11.png"))
        assert video.timestamps == pytest.approx((10 / 24, 11 / 24), abs=1e-6)

    def test_of_several_videos(self, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        short = make_video(tmp_path, "short.mp4", num_frames=3)
        long = make_video(tmp_path, "long.mp4", num_frames=5)
        outcome = run_vis("segment", clip, short, long, "-o", tmp_path / "out", *PART)
        assert outcome.code == 1
        assert f"error: cannot read {short}: --start 3 is after the end of the video (3 frames, 0.12 s)" in outcome.err
        assert f"warning: {long}: the part ends with the video (5 frames, 0.20 s), before --end 0.32s" in outcome.err
        numbers = [
            list(read_result(tmp_path / "out" / name).video.frame_numbers) for name in ("clip.json", "long.json")
        ]
        assert numbers == [NUMBERS, [3]]

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"start_frame": 4}, "the part from frame 4 to before frame 8 does not fit to 3 frames"),
            ({"end_frame": 3}, "the part from frame 3 to before frame 3 does not fit to 3 frames"),
            ({"start_frame": -1}, "the part from frame -1 to before frame 8"),
            ({"end_frame": 10**12}, "does not fit to 3 frames"),
            ({"every": 0}, "every is 0"),
            ({"start": "1:99"}, "start is '1:99'"),
            ({"end": 7}, "'start' or 'end' is not a string"),
        ],
    )
    def test_a_damaged_part_is_rejected(
        self, change: dict[str, object], problem: str, result: Path, run_vis: RunVis
    ) -> None:
        data = json.loads(result.read_text())
        data["video"]["part"] |= change
        result.write_text(json.dumps(data))
        outcome = run_vis("render", result, "-o", result.with_name("x.mp4"))
        assert outcome.code == 1
        assert f"{result}: video.part: " in outcome.err
        assert problem in outcome.err


class TestOverlay:
    def test_shows_the_part_with_the_timing_of_the_source(self, result: Path) -> None:
        overlay = result.with_suffix(".mp4")
        assert [number_in(frame) for frame in open_video(overlay).iter_frames()] == NUMBERS
        assert [float(time) for time in frame_times(overlay)] == pytest.approx([0.0, 0.08, 0.16, 0.2], abs=1e-4)

    def test_render_draws_it_again(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        again = tmp_path / "again.mp4"
        assert run_vis("render", result, "-o", again).code == 0
        first, second = (list(open_video(path).iter_frames()) for path in (result.with_suffix(".mp4"), again))
        np.testing.assert_array_equal(first, second)
        assert frame_times(result.with_suffix(".mp4")) == frame_times(again)


class TestReuse:
    def test_the_same_part_is_skipped_in_any_notation(
        self, result: Path, clip: Path, run_vis: RunVis, network: Network
    ) -> None:
        again = ("--start", "3", "--end", "0:00.32", "--every", "2")
        outcome = run_vis("segment", clip, "-o", result.parent, *again, "--json")
        assert json.loads(outcome.out)["status"] == "skipped"
        assert network.segmented == ["clip"]

    @pytest.mark.parametrize(
        ("other", "difference"),
        [
            ((), "part --start 3 --end 0.32s --every 2 -> the complete video"),
            (("--start", "4"), "part --start 3 --end 0.32s --every 2 -> --start 4"),
            ((*PART[:4], "--every", 3), "--every 2 -> --start 3 --end 0.32s --every 3"),
        ],
    )
    def test_another_part_is_a_difference(
        self, other: tuple[object, ...], difference: str, result: Path, clip: Path, run_vis: RunVis
    ) -> None:
        before = result.read_bytes()
        outcome = run_vis("segment", clip, "-o", result.parent, *other)
        assert outcome.code == 1
        assert f"cannot reuse {result}: part" in outcome.err
        assert difference in outcome.err
        assert result.read_bytes() == before

    def test_a_missing_overlay_is_drawn_again(
        self, result: Path, clip: Path, run_vis: RunVis, network: Network
    ) -> None:
        overlay = result.with_suffix(".mp4")
        overlay.unlink()
        assert run_vis("segment", clip, "-o", result.parent, *PART).code == 0
        assert network.segmented == ["clip"]
        assert [number_in(frame) for frame in open_video(overlay).iter_frames()] == NUMBERS


class TestUsage:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--start", "1:99"), "--start is '1:99'. Use a frame number such as 120"),
            (("--start", "-1"), "--start is '-1'."),
            (("--start", ""), "--start is ''."),
            (("--end", "nan"), "--end is 'nan'."),
            (("--start", "5s", "--end", "4s"), "--end is 4s, which is not after the start of the part, 5s"),
            (("--end", "0"), "--end is 0, which is not after the start of the part, 0"),
            (("--every", 0), "--every"),
            (("--every", -2), "--every"),
        ],
    )
    def test_invalid_values(
        self, options: tuple[object, ...], message: str, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", *options)
        assert outcome.code == 2
        assert message in outcome.err
        assert network.loaded == []
        assert not (tmp_path / "out").exists()

    def test_the_help_has_the_notation(self, run_vis: RunVis) -> None:
        assert "--start" not in run_vis("segment", "--help").out.split("─ Options ─")[1]
        text = " ".join(run_vis("segment", "--help-all").out.replace("│", " ").split())
        assert "a frame number such as 120, seconds such as 5s or 5.5, or a timecode such as 1:20 or 0:01:20.5" in text


class TestGivenMasks:
    @pytest.fixture
    def masks(self, tmp_path: Path) -> Path:
        folder = tmp_path / "masks"
        folder.mkdir()
        for number in (3, 4, 7):
            labels = np.zeros((48, 64), np.uint8)
            labels[: 10 + number, :20] = 1
            write_label_png(labels, folder / f"{number:05d}.png")
        return folder

    def test_numbers_mean_the_complete_video(
        self, masks: Path, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", *PART, "--masks", masks)
        assert outcome.code == 0, outcome.err
        assert network.guidance is not None
        assert {index: int(labels.sum()) for index, labels in network.guidance.items()} == {0: 13 * 20, 2: 17 * 20}
        assert (
            "masks not used, because these frames are not in the part (frames 3 to 7, every 2 frames): 4" in outcome.err
        )

    def test_no_mask_in_the_part(
        self, masks: Path, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--start", 8, "--masks", masks)
        assert outcome.code == 1
        assert "--masks has no mask in the part of the video (frames 8 to 11), only for frames 3, 4, 7" in outcome.err

    def test_a_single_mask_is_for_the_first_frame_of_the_part(
        self, masks: Path, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        (masks / "00004.png").rename(tmp_path / "first.png")
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", *PART, "--masks", tmp_path / "first.png")
        assert outcome.code == 0, outcome.err
        assert network.guidance is not None
        assert list(network.guidance) == [0]

    def test_names_of_images(self, masks: Path, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        folder = make_images(tmp_path / "frames", NAMES)
        (masks / "00004.png").rename(tmp_path / "img5.png")
        outcome = run_vis("segment", folder, "-o", tmp_path / "out", "--start", 4, "--masks", tmp_path / "img5.png")
        assert outcome.code == 0, outcome.err
        assert network.guidance is not None
        assert list(network.guidance) == [1]


class TestDetections:
    def test_numbers_mean_the_complete_video(
        self, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        rows = [f"{number},-1,5,5,10,10,0.9,-1,-1,-1" for number in (1, 4, 6, 12)]  # counted from 1
        (tmp_path / "found.txt").write_text("\n".join(rows))
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", *PART, "--detections", tmp_path / "found.txt")
        assert outcome.code == 0, outcome.err
        assert "frame numbers start at 1" in outcome.err
        assert network.detections is not None
        assert sorted(network.detections.frames) == [0, 1]
        assert "not used, because they are not in the part: detections of 2 frames" in outcome.err

    def test_no_detection_in_the_part(self, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        (tmp_path / "found.txt").write_text("12,-1,5,5,10,10,0.9,-1,-1,-1")
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", *PART, "--detections", tmp_path / "found.txt")
        assert outcome.code == 1
        assert "no detection is in the part of the video: frames 3 to 7, every 2 frames" in outcome.err

    def test_a_result_of_a_part_has_its_original_numbers(
        self, result: Path, clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        outcome = run_vis("segment", clip, "-o", tmp_path / "all", "--detections", result)
        assert outcome.code == 0, outcome.err
        assert network.detections is not None
        assert sorted(network.detections.frames) == NUMBERS


def csv_numbers(path: Path) -> list[int]:
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    assert [float(row["time"]) for row in rows] == pytest.approx(TIMES)
    return [int(row["frame"]) for row in rows]


def cvat_numbers(path: Path) -> list[int]:
    root = ET.parse(path).getroot()
    assert root.findtext("meta/task/size") == "8"
    shapes = list(root.iter("polygon"))
    assert [int(shape.attrib["frame"]) for shape in shapes if shape.attrib["outside"] == "1"] == [8]
    return [int(shape.attrib["frame"]) for shape in shapes if shape.attrib["outside"] == "0"]


def label_studio_numbers(path: Path) -> list[int]:
    (task,) = json.loads(path.read_text())
    boxes = task["predictions"][0]["result"][0]["value"]["sequence"]
    assert [box["time"] for box in boxes] == pytest.approx(TIMES)
    return [box["frame"] - 1 for box in boxes]


def file_numbers(suffix: str) -> Callable[[Path], list[int]]:
    return lambda path: sorted(int(Path(name).stem[-6:]) for name in names_of(path) if name.endswith(suffix))


def names_of(path: Path) -> tuple[str, ...]:
    with read_bundle(path) as bundle:
        return bundle.names


def coco_numbers(path: Path) -> list[int]:
    data = json.loads(path.read_text())
    assert [image["file_name"] for image in data["images"]] == [f"clip_{number:06d}.jpg" for number in NUMBERS]
    return [image["frame_index"] for image in data["images"]]


def datumaro_numbers(path: Path) -> list[int]:
    items = json.loads(path.read_text())["items"]
    assert [item["id"] for item in items] == [f"clip_{number:06d}" for number in NUMBERS]
    return [item["attr"]["frame"] for item in items]


def coco_video_numbers(path: Path) -> list[int]:
    (video,) = json.loads(path.read_text())["videos"]
    assert video["length"] == 3
    return [int(Path(name).stem) for name in video["file_names"]]


EXPORTS: dict[str, tuple[str, Callable[[Path], list[int]]]] = {
    "csv": ("a.csv", csv_numbers),
    "cvat": ("a.xml", cvat_numbers),
    "label-studio": ("a.json", label_studio_numbers),
    "labelme": ("a.zip", file_numbers(".jpg")),
    "yolo-seg": ("a.zip", file_numbers(".txt")),
    "coco": ("a.json", coco_numbers),
    "datumaro": ("a.json", datumaro_numbers),
    "coco-video": ("a.json", coco_video_numbers),
    "mot": ("a.txt", lambda path: [int(line.split(",")[0]) - 1 for line in path.read_text().splitlines()]),
    "mots": ("a.txt", lambda path: [int(line.split()[0]) for line in path.read_text().splitlines()]),
}


class TestExports:
    def test_every_format_is_tested(self) -> None:
        assert EXPORTS.keys() == FORMATS.keys() - {"parquet"}  # the tables of csv

    @pytest.mark.parametrize("name", EXPORTS)
    def test_numbers_of_frames_are_the_original_ones(
        self, name: str, result: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        file, numbers = EXPORTS[name]
        rename = ("--rename", "cat=car") if name == "mots" else ()
        outcome = run_vis("export", result, "--to", name, "-o", tmp_path / file, *rename)
        assert outcome.code == 0, outcome.err
        assert numbers(tmp_path / file) == NUMBERS

    def test_every_second_frame_of_a_part(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        run_vis("export", result, "--to", "csv", "-o", tmp_path / "a.csv", "--every", 2)
        rows = csv.DictReader((tmp_path / "a.csv").read_text("utf-8-sig").splitlines())
        assert [(int(row["frame"]), float(row["time"])) for row in rows] == [(3, 0.12), (7, 0.28)]

    def test_images_are_the_frames_of_the_part(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        assert run_vis("export", result, "--to", "labelme", "-o", tmp_path / "labels").code == 0
        images = open_video(tmp_path / "labels")
        assert images.frame_names == tuple(f"clip_{number:06d}.jpg" for number in NUMBERS)
        assert [number_in(frame) for frame in images.iter_frames()] == NUMBERS

    def test_masks_of_cvat_end_with_the_part(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        run_vis("export", result, "--to", "cvat", "-o", tmp_path / "a.xml", "--masks")
        shapes = [(s.attrib["frame"], s.attrib["outside"]) for s in ET.parse(tmp_path / "a.xml").getroot().iter("mask")]
        assert shapes == [(str(number + more), str(more)) for number in NUMBERS for more in (0, 1)]

    def test_mots_of_images_without_numbers(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        folder = make_images(tmp_path / "frames", NAMES)
        run_vis("segment", folder, "-o", tmp_path / "out", "--start", 9, "--every", 2, "--no-render")
        results = tmp_path / "out" / "frames.json"
        run_vis("export", results, "--to", "mots", "-o", tmp_path / "a.txt", "--rename", "cat=car")
        assert [line.split()[0] for line in (tmp_path / "a.txt").read_text().splitlines()] == ["9", "11"]


class TestBenchmarks:
    @pytest.fixture
    def split(self, tmp_path: Path) -> Path:
        """Return a split with as many frames as the part."""
        video = {"id": 1, "width": 64, "height": 48, "length": 3, "file_names": [f"clip/{i:05d}.jpg" for i in range(3)]}
        annotation = {"id": 1, "video_id": 1, "category_id": 7, "iscrowd": 0, "segmentations": [None] * 3}
        annotation |= {"areas": [None] * 3, "bboxes": [None] * 3, "length": 3, "height": 48, "width": 64}
        data = {"videos": [video], "categories": [{"id": 7, "name": "cat"}], "annotations": [annotation]}
        (tmp_path / "val.json").write_text(json.dumps(data))
        return tmp_path / "val.json"

    def check(self, outcome: Outcome) -> None:
        assert outcome.code == 1
        assert "clip: the result covers only a part of the video: frames 3 to 7, every 2 frames. Segment" in outcome.err

    def test_youtube_vis(self, result: Path, split: Path, tmp_path: Path, run_vis: RunVis) -> None:
        self.check(run_vis("export-json", result, "--split", split, "-o", tmp_path / "a.zip"))
        assert not (tmp_path / "a.zip").exists()

    @pytest.mark.parametrize("to", ["coco-video", "mots"])
    def test_exports_for_a_split(self, to: str, result: Path, split: Path, tmp_path: Path, run_vis: RunVis) -> None:
        out = tmp_path / ("a.json" if to == "coco-video" else "a.zip")
        self.check(run_vis("export", result, "--to", to, "--split", split, "-o", out))

    def test_davis(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        self.check(run_vis("export-json", result, "--format", "davis", "-o", tmp_path / "a"))

    def test_eval(self, result: Path, split: Path, run_vis: RunVis) -> None:
        self.check(run_vis("eval", result, "--annotations", split))

    def test_eval_of_davis(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        for number in range(3):
            write_label_png(np.ones((48, 64), np.uint8), tmp_path / "gt" / "Annotations" / "clip" / f"{number:05d}.png")
        self.check(run_vis("eval", result.parent, "--davis", tmp_path / "gt"))

    def test_images_that_are_the_frames_of_the_split(
        self, split: Path, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        """YouTube-VIS annotates every fifth image: its frames can be a part of a folder."""
        data = json.loads(split.read_text())
        data["videos"][0]["file_names"] = [f"clip/{name}" for name in ("00000.jpg", "00005.jpg", "00010.jpg")]
        split.write_text(json.dumps(data))
        folder = make_images(tmp_path / "clip", [f"{number:05d}.png" for number in range(12)])
        run_vis("segment", folder, "-o", tmp_path / "out", "--every", 5, "--no-render")
        results = tmp_path / "out" / "clip.json"
        assert run_vis("export-json", results, "--split", split, "-o", tmp_path / "a.zip").code == 0
        assert run_vis("eval", results, "--annotations", split).code == 0
        run_vis("segment", folder, "-o", tmp_path / "other", "--every", 4, "--no-render")
        outcome = run_vis("export-json", tmp_path / "other", "--split", split, "-o", tmp_path / "b.zip")
        assert "the result covers only a part of the video: frames 0 to 8, every 4 frames" in outcome.err


def test_a_real_network(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    """The part and a video of the same frames give the same masks."""
    save_model(tmp_path / "tiny", make_model(), {})
    folder = make_images(tmp_path / "frames", NAMES)
    easy = ("--model", tmp_path / "tiny", "--no-render", "--num-key-frames", 2, "--score-threshold", 0)
    easy = (*easy, "--set", "detection_score_threshold=0")
    assert run_vis("segment", folder, "-o", tmp_path / "part", *easy, "--start", 2, "--end", 9, "--every", 3).code == 0
    alone = make_images(tmp_path / "alone", NAMES)
    for number in {*range(12)} - {2, 5, 8}:
        (alone / NAMES[number]).unlink()
    assert run_vis("segment", alone, "-o", tmp_path / "alone-out", *easy).code == 0
    part, expected = read_result(tmp_path / "part" / "frames.json"), read_result(tmp_path / "alone-out" / "alone.json")
    assert part.instances == expected.instances
    assert len(part.instances) > 0
