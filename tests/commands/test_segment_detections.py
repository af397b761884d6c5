"""`--detections`, with a real, small network: every format, several videos, reruns, and options that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.network.factories import make_model
from tests.records.video_factory import make_images, make_video
from vis_cli.records.result_json import read_result
from vis_cli.records.rle import decode_rle
from vis_cli.records.types import VideoResult
from vis_cli.zoo.weights import save_model

from .conftest import Network, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")
NAMES = ("0.png", "1.png", "2.png")
WIDTH, HEIGHT = 96, 64
BOXES = {0: (8.0, 16.0, 40.0, 48.0), 2: (12.0, 16.0, 44.0, 48.0)}  # xyxy in pixels, by frame
EASY = ("--no-render", "--num-key-frames", 1, "--set", "mask_threshold=0.4")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    make_images(tmp_path / "frames", NAMES, (WIDTH, HEIGHT))
    return tmp_path / "frames"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", make_model(), {})
    return tmp_path / "tiny"


def write_coco(path: Path) -> Path:
    results = [
        {"image_id": index, "category_id": 18, "score": 0.9, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for index, (x0, y0, x1, y1) in BOXES.items()
    ]
    path.write_text(json.dumps(results))
    return path


def write_mot(path: Path) -> Path:
    rows = (
        f"{index + 1},-1,{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},0.9,-1,-1,-1"
        for index, (x0, y0, x1, y1) in BOXES.items()
    )
    path.write_text("\n".join(rows))
    return path


def write_yolo(path: Path) -> Path:
    path.mkdir()
    for index, (x0, y0, x1, y1) in BOXES.items():
        values = ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT, 0.9)
        (path / f"{index}.txt").write_text(" ".join(map(repr, (0, *values))))
    (path / "data.yaml").write_text("names: [dog]\n")
    return path


Write = Callable[[Path], Path]
FORMATS: dict[str, tuple[Write, str]] = {
    "frames.json": (write_coco, "dog"),
    "frames.txt": (write_mot, "object"),
    "frames": (write_yolo, "dog"),
}


def run(frames: Path, model: Path, detections: Path, run_vis: RunVis, out: str, *more: object) -> VideoResult:
    folder = frames.parent / out
    outcome = run_vis("segment", frames, "-o", folder, "--model", model, "--detections", detections, *EASY, *more)
    assert outcome.code == 0, outcome.err
    return read_result(folder / "frames.json")


def test_equal_boxes_give_equal_masks_in_every_format(frames: Path, model: Path, run_vis: RunVis) -> None:
    results = {}
    for name, (write, category) in FORMATS.items():
        folder = frames.parent / f"found_{len(results)}"
        folder.mkdir()
        result = run(frames, model, write(folder / name), run_vis, f"out_{len(results)}")
        assert result.given_detections is not None
        assert result.model.name == "tiny"
        assert result.config["score_source"] == "support"
        (instance,) = result.instances
        assert {item.id: item.name for item in result.categories}[instance.category_id or 0] == category
        assert instance.score > 0
        results[name] = instance
    first = results["frames.json"]
    assert any(mask is not None for mask in first.segmentations)
    for instance in results.values():
        assert instance.segmentations == first.segmentations


def test_a_score_source_that_cannot_be_used_is_reported(frames: Path, model: Path, run_vis: RunVis) -> None:
    command = ("segment", frames, "--model", model, "--detections", write_coco(frames.parent / "found.json"), *EASY)
    for index, (more, is_reported) in enumerate([((), False), (("eq2",), True), (("detection",), False)]):
        setting = [part for value in more for part in ("--set", f"score_source={value}")]
        outcome = run_vis(*command, "-o", frames.parent / f"out_{index}", *setting)
        assert outcome.code == 0, outcome.err
        assert ("score_source is support instead of eq2" in outcome.err) == is_reported


def test_masks_of_an_earlier_result_are_used_exactly(frames: Path, model: Path, run_vis: RunVis) -> None:
    (frames.parent / "found").mkdir()
    first = run(frames, model, write_coco(frames.parent / "found" / "frames.json"), run_vis, "first")
    again = run(frames, model, frames.parent / "first" / "frames.json", run_vis, "again")
    (before,), (after,) = first.instances, again.instances
    key_frame = after.key_frame
    assert before.segmentations[key_frame] is not None
    assert after.segmentations[key_frame] == before.segmentations[key_frame]
    assert decode_rle(after.segmentations[key_frame]).any()  # type: ignore[arg-type]


def test_a_folder_is_paired_by_name_and_the_rest_is_reported(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_video(videos, name, num_frames=3)
    found = tmp_path / "found"
    found.mkdir()
    for name in ("a.json", "b.json", "d.json"):
        write_coco(found / name)
    outcome = run_vis("segment", videos, "-o", tmp_path / "out", "--detections", found, "--no-render")
    assert outcome.code == 1
    assert network.segmented == ["a", "b"]
    assert f"{found}: not used, because no video has this name: d.json" in outcome.err
    assert f"{videos / 'c.mp4'}: --detections has no file for this video" in outcome.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "b.json"]


def test_a_rerun_is_skipped_until_the_detections_change(frames: Path, run_vis: RunVis, network: Network) -> None:
    found = frames.parent / "found.json"
    write_coco(found)
    command = ("segment", frames, "-o", frames.parent / "out", "--detections", found, "--no-render")
    assert run_vis(*command).code == 0
    again = run_vis(*command)
    assert (again.code, len(network.segmented)) == (0, 1)
    found.write_text(found.read_text().replace("0.9", "0.8"))
    changed = run_vis(*command)
    assert changed.code == 1
    assert "detections differ" in changed.err
    without = run_vis(*command[:4], "--no-render")
    assert without.code == 1
    assert "no detections are given now" in without.err


def test_a_note_states_the_assumption_and_what_is_not_used(frames: Path, run_vis: RunVis, network: Network) -> None:
    found = write_coco(frames.parent / "found.json")
    data = json.loads(found.read_text())
    found.write_text(json.dumps([*data, {**data[0], "score": 0.2}]))
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", "--detections", found, "--no-render")
    assert outcome.code == 0
    assert network.detections is not None
    assert sorted(network.detections.frames) == [0, 2]
    assert f"{found}: 1 of 3 detections not used, because their score is at most 0.3" in outcome.err
    crowd = [{**data[0], "bbox": [index, 1, 9, 9]} for index in range(12)]
    found.write_text(json.dumps(crowd))
    outcome = run_vis("segment", frames, "-o", frames.parent / "more", "--detections", found, "--no-render")
    assert "a frame has up to 12 detections, but only the best 10 start sequences" in outcome.err
    assert "--set max_instances=12" in outcome.err


def test_only_unlikely_detections_are_a_warning(frames: Path, run_vis: RunVis, network: Network) -> None:
    found = write_coco(frames.parent / "found.json")
    found.write_text(found.read_text().replace("0.9", "0.1"))
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", "--detections", found, "--no-render")
    assert outcome.code == 0
    assert "warning: " in outcome.err
    assert "2 of 2 detections not used" in outcome.err


def test_the_first_frame_can_be_stated(frames: Path, run_vis: RunVis, network: Network) -> None:
    clip = make_video(frames.parent, "clip.mp4", num_frames=5)
    found = write_coco(frames.parent / "found.json")
    found.write_text(found.read_text().replace('"image_id": 0', '"image_id": 1'))
    command = ("segment", clip, "--detections", found, "--no-render")
    assert run_vis(*command, "-o", frames.parent / "one", "--detections-from", 1).code == 0
    assert network.detections is not None
    assert sorted(network.detections.frames) == [0, 1]
    assert run_vis(*command, "-o", frames.parent / "zero", "--detections-from", 0).code == 0
    assert sorted(network.detections.frames) == [1, 2]


def test_a_rerun_with_another_first_frame_is_not_skipped(frames: Path, run_vis: RunVis, network: Network) -> None:
    clip = make_video(frames.parent, "clip.mp4", num_frames=5)
    found = write_coco(frames.parent / "found.json")
    found.write_text(found.read_text().replace('"image_id": 0', '"image_id": 1'))
    command = ("segment", clip, "--detections", found, "--no-render", "-o", frames.parent / "out", "--detections-from")
    assert run_vis(*command, 1).code == 0
    assert run_vis(*command, 1).code == 0
    changed = run_vis(*command, 0)
    assert changed.code == 1
    assert "detections differ" in changed.err
    assert len(network.segmented) == 1


def test_a_missing_video_is_the_only_error(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    found = write_coco(tmp_path / "found.json")
    outcome = run_vis("segment", tmp_path / "clip.mp4", "-o", tmp_path / "out", "--detections", found)
    assert outcome.code == 1
    assert outcome.err.count("error: ") == 1
    assert "no such file" in outcome.err


def test_a_frame_beyond_the_end_fails_this_video(frames: Path, run_vis: RunVis, network: Network) -> None:
    clip = make_video(frames.parent, "clip.mp4", num_frames=2)
    found = write_coco(frames.parent / "found.json")
    found.write_text(found.read_text().replace('"image_id": 2', '"image_id": 77'))
    outcome = run_vis("segment", clip, "-o", frames.parent / "out", "--detections", found)
    assert outcome.code == 1
    assert "77" in outcome.err
    assert outcome.err.count("error: ") == 1
    assert list((frames.parent / "out").iterdir()) == []


@pytest.mark.parametrize(
    "more",
    [
        ("--detections", "found.json", "--masks", "m.png"),
        ("--detections", "found.json", "--detector", "coco-r50"),
        ("--masks", "m.png", "--detector", "coco-r50"),
    ],
)
def test_sources_of_objects_exclude_each_other(
    more: tuple[str, ...], frames: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(frames.parent)
    write_coco(Path("found.json"))
    Path("m.png").write_bytes(b"")
    outcome = run_vis("segment", frames, "-o", "out", *more)
    assert outcome.code == 2
    options = [word for word in more if word.startswith("--")]
    assert "are both given. Omit one of them." in outcome.err
    assert all(option in outcome.err for option in options)
    assert not Path("out").exists()


@pytest.mark.parametrize("model", ["coco-r50-v2", "yolox.onnx", "torchvision:fcos_resnet50_fpn"])
def test_a_model_that_only_detects_is_not_used_with_detections(
    model: str, frames: Path, run_vis: RunVis, network: Network
) -> None:
    found = write_coco(frames.parent / "found.json")
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", "--detections", found, "--model", model)
    assert outcome.code == 2
    assert f"--model {model} only detects, but --detections replaces the detector. Omit --model" in outcome.err


@pytest.mark.parametrize("option", ["--detections-from", "--detection-names"])
def test_options_of_detections_need_detections(option: str, frames: Path, run_vis: RunVis, network: Network) -> None:
    value = 1 if option.endswith("from") else write_coco(frames.parent / "names.json")
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", option, value)
    assert outcome.code == 2
    assert f"{option} needs --detections" in outcome.err


def test_a_file_is_for_one_video(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    clips = [make_video(tmp_path, name) for name in ("a.mp4", "b.mp4")]
    outcome = run_vis("segment", *clips, "-o", tmp_path / "out", "--detections", write_coco(tmp_path / "found.json"))
    assert outcome.code == 2
    assert "is for one video, but there are 2 videos" in outcome.err


def test_a_detection_file_is_never_overwritten(frames: Path, run_vis: RunVis, network: Network) -> None:
    out = frames.parent / "out"
    out.mkdir()
    found = write_coco(out / "frames.json")
    before = found.read_bytes()
    outcome = run_vis("segment", frames, "-o", out, "--detections", found, "--overwrite", "--no-render")
    assert outcome.code == 2
    assert f"cannot write {found}: it is an input" in outcome.err
    assert found.read_bytes() == before


def test_a_file_of_names_is_never_overwritten(frames: Path, run_vis: RunVis, network: Network) -> None:
    out, found = frames.parent / "out", write_coco(frames.parent / "found.json")
    out.mkdir()
    names = out / "frames.json"
    names.write_text('{"categories": [{"id": 18, "name": "dog"}]}')
    before = names.read_bytes()
    command = ("segment", frames, "-o", out, "--detections", found, "--detection-names", names, "--no-render")
    outcome = run_vis(*command, "--overwrite")
    assert outcome.code == 2
    assert f"cannot write {names}: it is an input" in outcome.err
    assert names.read_bytes() == before


def test_results_are_not_written_next_to_the_detections(frames: Path, run_vis: RunVis, network: Network) -> None:
    found = write_yolo(frames.parent / "found")
    outcome = run_vis("segment", frames, "-o", found, "--detections", found, "--no-render")
    assert outcome.code == 2
    assert f"cannot write to {found}: it contains the detections" in outcome.err
    assert not (found / "frames.json").exists()


def test_a_result_without_detections_stores_none(frames: Path, run_vis: RunVis, network: Network) -> None:
    assert run_vis("segment", frames, "-o", frames.parent / "out", "--no-render").code == 0
    assert read_result(frames.parent / "out" / "frames.json").given_detections is None
    assert network.detections is None
