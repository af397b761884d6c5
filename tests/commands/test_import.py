"""`vis import`: corrected annotations become results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.video_factory import make_images, make_video
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category

from .conftest import Network, RunVis

OUTPUTS = {"cvat": "a.xml", "coco-video": "a.json", "mots": "a.txt"}
LEFT = make_mask(["#" * 8 + "." * 24] * 24)
RIGHT = make_mask(["." * 24 + "#" * 8] * 24)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return the result of a video of 3 frames that is next to it."""
    video = make_video(tmp_path, num_frames=3, size=(32, 24))
    instances = [make_instance(1, [LEFT, None, LEFT], score=0.4), make_instance(2, [None, RIGHT, RIGHT], category_id=8)]
    categories = (Category(7, "car"), Category(8, "pedestrian"))
    result = make_result(instances, size=(24, 32), num_frames=3, categories=categories)
    write_result(
        dataclasses.replace(result, video=dataclasses.replace(result.video, path=video)), tmp_path / "clip.json"
    )
    return tmp_path / "clip.json"


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_export_comes_back(
    name: str, clip: Path, tmp_path: Path, run_vis: RunVis, untouched: Callable[[Path], Path]
) -> None:
    annotations, video, out = tmp_path / OUTPUTS[name], clip.with_suffix(".mp4"), tmp_path / "new.json"
    assert run_vis("export", clip, "--to", name, "--tolerance", 0, "-o", annotations).code == 0
    untouched(annotations)
    outcome = run_vis("import", annotations, "--from", name, "--video", video, "-o", out)
    assert (outcome.code, outcome.err) == (0, f"{out}: 2 instances in 3 frames")
    result = read_result(out)
    names = {category.id: category.name for category in result.categories}
    found = [(names[item.category_id or 0], item.score, item.key_frame) for item in result.instances]
    assert found == [("car", 1.0, 0), ("pedestrian", 1.0, 1)]
    assert [item.segmentations for item in result.instances] == [
        item.segmentations for item in read_result(clip).instances
    ]
    assert (result.video.name, result.video.source) == ("clip", identify_source(video))
    assert len(result.video.timestamps or ()) == 3
    assert result.model.name == f"{name} annotations"
    assert run_vis("render", out, "-o", tmp_path / "drawn.mp4").code == 0


def test_vis_segment_keeps_an_imported_result_and_names_it(
    clip: Path, tmp_path: Path, run_vis: RunVis, network: Network
) -> None:
    annotations, video, out = tmp_path / OUTPUTS["cvat"], clip.with_suffix(".mp4"), tmp_path / "out"
    run_vis("export", clip, "--to", "cvat", "-o", annotations)
    out.mkdir()
    run_vis("import", annotations, "--from", "cvat", "--video", video, "-o", out / "clip.json")
    stored = (out / "clip.json").read_bytes()
    outcome = run_vis("segment", video, "-o", out, "--no-render")
    assert (outcome.code, network.segmented) == (1, [])
    hint = "Use another -o DIR to keep it, or --overwrite to replace it."
    problem = f"cannot reuse {out / 'clip.json'}: it was imported (cvat annotations)"
    assert outcome.err == f"error: {video}: {problem}. {hint}"
    assert (out / "clip.json").read_bytes() == stored
    assert run_vis("segment", video, "-o", out, "--no-render", "--overwrite").code == 0
    assert network.segmented == ["clip"]


def test_the_masks_continue_as_given_masks_and_as_ground_truth(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    annotations, out = tmp_path / "a.xml", tmp_path / "new" / "clip.json"
    run_vis("export", clip, "--to", "cvat", "--tolerance", 0, "-o", annotations)
    run_vis("import", annotations, "--from", "cvat", "--video", clip.with_suffix(".mp4"), "-o", out)
    truth = tmp_path / "truth.json"
    assert run_vis("export", out, "--to", "coco-video", "-o", truth).code == 0
    outcome = run_vis("eval", out.parent, "--annotations", truth, "--json", tmp_path / "scores.json")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "scores.json").read_text())["summary"]["ap"] == pytest.approx(1.0)
    assert run_vis("export-json", out, "--format", "davis", "-o", tmp_path / "masks").code == 0
    assert len(list((tmp_path / "masks" / "clip").glob("*.png"))) == 3


def test_a_folder_of_images(tmp_path: Path, run_vis: RunVis) -> None:
    make_images(tmp_path / "frames", ("00005.jpg", "00010.jpg"), (32, 24))
    instances = [make_instance(1, [None, LEFT])]
    categories = (Category(7, "car"),)
    made = make_result(
        instances, name="frames", size=(24, 32), num_frames=2, categories=categories,
        frame_names=("00005.jpg", "00010.jpg"),
    )  # fmt: skip
    write_result(made, tmp_path / "r.json")
    run_vis("export", tmp_path / "r.json", "--to", "mots", "-o", tmp_path / "a.txt")
    command = (
        "import",
        tmp_path / "a.txt",
        "--from",
        "mots",
        "--video",
        tmp_path / "frames",
        "-o",
        tmp_path / "n.json",
    )
    assert run_vis(*command).code == 0
    result = read_result(tmp_path / "n.json")
    assert result.video.frame_names == ("00005.jpg", "00010.jpg")
    assert result.instances[0].segmentations == made.instances[0].segmentations


class TestRejected:
    """Formats, outputs and files that do not fit the video."""

    @pytest.fixture
    def command(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> list[object]:
        run_vis("export", clip, "--to", "coco-video", "-o", tmp_path / "a.json")
        return ["import", tmp_path / "a.json", "--from", "coco-video", "--video", clip.with_suffix(".mp4"), "-o"]

    def test_an_unknown_format(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        video = clip.with_suffix(".mp4")
        outcome = run_vis("import", clip, "--from", "cvta", "--video", video, "-o", tmp_path / "n.json")
        assert (outcome.code, outcome.err) == (2, "error: --from: no format 'cvta'. Did you mean cvat?")

    @pytest.mark.parametrize(
        ("out", "said"),
        [
            ("n.xml", "a result is a JSON file. Use a name that ends in .json."),
            ("folder.json", "it is a folder. Use another -o NAME.json."),
            ("a.json", "it is an input. Use another output name."),
            ("clip.json", "it exists. Use --overwrite to replace it."),
        ],
    )
    def test_outputs(self, out: str, said: str, command: list[object], tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "folder.json").mkdir()
        outcome = run_vis(*command, tmp_path / out)
        assert (outcome.code, outcome.err.endswith(said)) == (2, True)
        if out == "clip.json":
            assert run_vis(*command, tmp_path / out, "--overwrite").code == 0

    def test_another_video(self, command: list[object], tmp_path: Path, run_vis: RunVis) -> None:
        other = make_video(tmp_path, "other.mp4", num_frames=3, size=(32, 24))
        (tmp_path / "x").mkdir()
        longer = make_video(tmp_path / "x", "clip.mp4", num_frames=4, size=(32, 24))
        for video, said in (
            (other, "the file has 0 videos called other. Its first videos are: clip. Rename the video"),
            (longer, "clip has 3 frames of 32x24 in the file, but the video has 4 frames of 32x24"),
        ):
            outcome = run_vis(*command[:5], video, "-o", tmp_path / "n.json")
            assert (outcome.code, said in outcome.err) == (1, True), outcome.err
            assert not (tmp_path / "n.json").exists()

    @pytest.mark.parametrize("name", OUTPUTS)
    def test_a_foreign_file(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "foreign.json").write_text('{"images": []}')
        options = ("--from", name, "--video", clip.with_suffix(".mp4"), "-o", tmp_path / "n.json")
        assert run_vis("import", tmp_path / "foreign.json", *options).code == 1
        assert not (tmp_path / "n.json").exists()

    def test_objects_without_a_pixel_are_reported(self, command: list[object], tmp_path: Path, run_vis: RunVis) -> None:
        data = json.loads((tmp_path / "a.json").read_text())
        data["annotations"][0].update(segmentations=[None] * 3, areas=[None] * 3, bboxes=[None] * 3)
        data["annotations"][1]["iscrowd"] = 1
        (tmp_path / "a.json").write_text(json.dumps(data))
        outcome = run_vis(*command, tmp_path / "n.json")
        assert "warning: omitted without a pixel: 1 object" in outcome.err
        assert "omitted 1 crowd" in outcome.err
        assert read_result(tmp_path / "n.json").instances == ()
