"""Prompts of `vis segment`: categories, boxes and points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.network.factories import make_model
from tests.records.video_factory import make_video
from vis_cli.records.davis import write_label_png
from vis_cli.records.prompts import BoxPrompt, PointPrompt
from vis_cli.records.result_json import read_result
from vis_cli.zoo.weights import save_model

from .conftest import Network, Outcome, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")


def make_labels(size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    labels = np.zeros(size, np.uint8)
    labels[4:24, 4:30], labels[26:44, 30:60] = 1, 2
    return labels


class TestOnly:
    def test_names_reach_the_segmenter_and_the_result(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--no-render")
        assert run_vis(*command, "--only", "Pandas,cats").code == 0
        assert network.only == ("cats", "pandas")
        assert read_result(tmp_path / "out/clip.json").given_prompts == "--only cats,pandas"

    def test_other_names_are_another_production(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--no-render")
        assert run_vis(*command, "--only", "cat").code == 0
        assert "skipped" in run_vis(*command, "--only", "Cat").err
        outcome = run_vis(*command, "--only", "panda")
        assert outcome.code == 1
        assert "cannot reuse" in outcome.err
        assert "prompts differ. Use --overwrite" in outcome.err
        assert "no prompts are given now" in run_vis(*command).err
        assert run_vis(*command, "--overwrite").code == 0
        assert "prompts are given now" in run_vis(*command, "--only", "panda").err

    def test_an_unknown_name_stops_the_batch_before_a_network_runs(
        self, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        outcome = run_vis("segment", *clips, "-o", tmp_path / "out", "--only", "kat,giant_panda")
        assert outcome.code == 2
        assert outcome.err.count("the detector has no category 'kat'. Did you mean cat") == 1
        assert network.segmented == []

    @pytest.mark.parametrize("value", ["", "cat,", ","])
    def test_an_empty_name(self, value: str, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        outcome = run_vis("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--only", value)
        assert outcome.code == 2
        assert "--only: a name is empty. Use names such as person,car." in outcome.err

    def test_given_masks_detect_nothing(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        write_label_png(make_labels(), tmp_path / "first.png")
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--only", "cat")
        outcome = run_vis(*command, "--masks", tmp_path / "first.png")
        assert outcome.code == 2
        assert "--masks and --only are both given. Omit one of them. To detect other objects, too, add" in outcome.err

    def test_a_file_of_detections_without_the_category(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        found = tmp_path / "clip.json"
        found.write_text(json.dumps([{"image_id": 0, "category_id": 18, "score": 0.9, "bbox": [1, 2, 9, 9]}]))
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--detections", found)
        outcome = run_vis(*command, "--only", "persn")
        assert outcome.code == 1
        assert "the detector has no category 'persn'. Did you mean person" in outcome.err
        assert network.segmented == []
        assert run_vis(*command, "--only", "dogs", "--no-render").code == 0
        assert network.only == ("dogs",)

    def test_a_real_network(self, tmp_path: Path, run_vis: RunVis) -> None:
        save_model(tmp_path / "tiny", make_model(), {})
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--no-render")
        options = ("--model", tmp_path / "tiny", "--set", "detection_score_threshold=0", "--num-key-frames", 1)
        assert run_vis(*command, *options, "--only", "cats").code == 0
        assert [category.name for category in read_result(tmp_path / "out/clip.json").categories] == ["cat"]
        outcome = run_vis(*command, *options, "--only", "persn")
        assert outcome.code == 1
        assert run_vis(*command, *options, "--only", "persn", "--overwrite").code == 2


class TestReach:
    @pytest.mark.parametrize(
        ("words", "late", "reach"),
        [
            (("--point", "9:5,6", "--set", "cuts=false"), 9, 4),
            (("--point", "9:5,6"), 9, 2),  # a cut before frame 2 makes the frames 2 to 9 two windows
            (("--point", "9:5,6#1", "--point", "3:5,6#1"), None, None),  # frame 9 corrects the object
            (("--point", "9:5,6#1", "--point", "3:5,6#2"), 9, 2),
            (("--point", "7:5,6"), None, None),
            (("--point", "8:5,6", "--start", 2, "--every", 2), None, None),
            (("--point", "18:5,6", "--every", 2, "--set", "cuts=false"), 18, 8),
            (("--point", "18:5,6", "--every", 2), 18, 4),
            (("--masks", "MASKS"), 9, 4),
            (("--masks", "MASKS", "--set", "window=none"), None, None),
        ],
    )
    def test_an_object_that_is_given_late_is_reported(
        self,
        words: tuple[str | int, ...],
        late: int | None,
        reach: int | None,
        tmp_path: Path,
        run_vis: RunVis,
        network: Network,
    ) -> None:
        masks = tmp_path / "masks"
        masks.mkdir()
        write_label_png(make_labels(), masks / "9.png")
        clip = make_video(tmp_path, num_frames=20)
        options = [masks if word == "MASKS" else word for word in words]
        window = () if "window=none" in words else ("--set", "window=4")
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--no-render", *window, *options)
        assert outcome.code == 0, outcome.err
        message = f"given in frame {late}, and windows of 4 frames track it backward to frame {reach} at most"
        detects_cuts = words[0] == "--point" and "cuts=false" not in words
        remedy = f". To track it to {'the start of its shot' if detects_cuts else 'the first frame'}, use"
        assert (message + remedy in " ".join(outcome.err.split())) == (late is not None)
        assert ("window=none" in outcome.err) == (late is not None)

    def test_windows_of_one_frame(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        command = ("segment", make_video(tmp_path, num_frames=6), "-o", tmp_path / "out", "--no-render")
        outcome = run_vis(*command, "--set", "window=1", "--set", "cuts=false", "--point", "5:5,6")
        assert "in frame 5, and windows of 1 frame track it backward to frame 4 at most." in outcome.err

    def test_objects_of_a_result_are_not_reported(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip = make_video(tmp_path, num_frames=12)
        command = ("segment", clip, "--no-render", "--set", "window=2")
        assert run_vis(*command, "-o", tmp_path / "out").code == 0
        outcome = run_vis(*command, "-o", tmp_path / "again", "--masks", tmp_path / "out/clip.json", "--masks-at", "9")
        assert outcome.code == 0, outcome.err
        assert "window=none" not in outcome.err


class TestMasksOfAnotherVideo:
    def test_other_content_is_reported(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clips = [make_video(tmp_path, f"{name}.mp4", num_frames=num) for name, num in (("a", 2), ("b", 3))]
        assert run_vis("segment", clips[0], "-o", tmp_path / "out", "--no-render").code == 0
        command = ("segment", "--masks", tmp_path / "out/a.json", "--no-render", "-o", tmp_path / "again")
        other = run_vis(*command, clips[1])
        assert other.code == 0
        assert "b.mp4: the masks are of another video, or of another version of it: a." in " ".join(other.err.split())
        assert "warning" not in run_vis(*command, clips[0]).err


class TestBoxesAndPoints:
    def test_they_reach_the_segmenter_and_the_result(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--no-render")
        words = ("--point", "1:5,6#3", "--box", "0:1,2,30,40", "--point", "-1:9,9.5")
        assert run_vis(*command, *words).code == 0
        expected = (
            BoxPrompt(0, (1.0, 2.0, 30.0, 40.0)),
            PointPrompt(1, (5.0, 6.0), 3),
            PointPrompt(1, (9.0, 9.5), positive=False),
        )
        assert (network.prompts, network.also_detect) == (expected, False)
        stored = read_result(tmp_path / "out/clip.json")
        assert stored.given_prompts == "--box 0:1,2,30,40 --point 1:5,6#3 --point -1:9,9.5"
        assert "skipped" in run_vis(*command, *words).err
        assert "prompts differ" in run_vis(*command, *words[:4]).err
        assert "prompts differ" in run_vis(*command, *words, "--also-detect").err

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--box", "0:1,2,3"], "--box: '0:1,2,3' is not FRAME:x1,y1,x2,y2. Use a frame index and pixels"),
            (["--box", "0:1,2,nan,4"], "--box: '0:1,2,nan,4' is not FRAME:x1,y1,x2,y2"),
            (["--point", "-x"], "--point: '-x' is not FRAME:x,y. Use a frame index and pixels, such as 30:120,90"),
            (["--box", "0:5,2,4,8"], "--box 0:5,2,4,8: the box is empty. Use x1 < x2 and y1 < y2."),
            (["--point", "-0:1,1"], "--point -0:1,1: no object has a box or a positive point in this frame"),
            (["--box", "0:1,1,9,9", "--masks", "first.png"], "--masks and --box are both given. Omit one of them."),
            (["--point", "0:1,1", "--masks", "first.png"], "--masks and --point are both given. Omit one of them."),
            (["--also-detect"], "--also-detect needs --masks, --box or --point. Add one of them, or omit"),
            (["--box", "0:1,1,9,9", "other.mp4"], "--box needs one video, but there are 2. Run the command once per"),
            (["--point", "0:1,1", "other.mp4"], "--point needs one video, but there are 2"),
        ],
    )
    def test_wrong_usage(
        self, words: list[str], message: str, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        write_label_png(make_labels(), tmp_path / "first.png")
        make_video(tmp_path, "other.mp4", num_frames=2)
        words = [str(tmp_path / word) if word.endswith(("png", "mp4")) else word for word in words]
        outcome = run_vis("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", *words)
        assert outcome.code == 2
        assert message in outcome.err
        assert network.segmented == []

    def test_a_real_network(self, tmp_path: Path, run_vis: RunVis) -> None:
        save_model(tmp_path / "tiny", make_model(), {})
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--no-render")
        options = ("--model", tmp_path / "tiny", "--set", "mask_threshold=0.4")
        assert run_vis(*command, *options, "--box", "1:8,8,40,40").code == 0
        (instance,) = read_result(tmp_path / "out/clip.json").instances
        assert (instance.id, instance.key_frame, instance.score) == (1, 1, 1.0)
        mask = instance.mask(1)
        assert mask is not None
        assert mask[12:36, 12:36].mean() > 0.9
        assert mask.sum() < 36 * 36
        for box, message in (
            ("1:8,8,70,40", "--box 1:8,8,70,40: the box is not inside of the image. Use x from 0 to 64"),
            ("2:8,8,40,40", "--box 2:8,8,40,40: the video has no such frame. Use a frame from 0 to 1."),
        ):
            outcome = run_vis(*command, *options, "--box", box, "--overwrite")
            assert outcome.code == 1
            assert message in outcome.err


class TestMasksOfAResult:
    def correct(self, tmp_path: Path, run_vis: RunVis, *words: object) -> Outcome:
        """Segment a clip with the masks of an earlier result."""
        clip = make_video(tmp_path, num_frames=3)
        if not (tmp_path / "first").exists():
            assert run_vis("segment", clip, "-o", tmp_path / "first", "--no-render").code == 0
        masks = ("--masks", tmp_path / "first/clip.json")
        return run_vis("segment", clip, "-o", tmp_path / "out", "--no-render", *masks, *words)

    def test_objects_keep_ids_and_categories(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        network.num_instances, network.num_unlikely = 1, 1
        assert self.correct(tmp_path, run_vis).code == 0
        assert network.guidance is not None
        assert {frame: set(labels.ravel().tolist()) for frame, labels in network.guidance.items()} == {0: {0, 1}}
        first, second = (read_result(tmp_path / folder / "clip.json") for folder in ("first", "out"))
        assert second.instances[0].category_id == first.instances[0].category_id
        assert second.given_masks is not None
        assert second.given_names is not None
        assert "skipped" in self.correct(tmp_path, run_vis).err
        assert "masks differ" in self.correct(tmp_path, run_vis, "--masks-at", "0,2").err
        assert network.loaded[-1][1].input_scale == 1.5

    def test_names_override_the_categories(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        assert self.correct(tmp_path, run_vis, "--names", "1=dog", "--masks-at", "1,2").code == 0
        assert network.guidance is not None
        assert list(network.guidance) == [1, 2]
        result = read_result(tmp_path / "out/clip.json")
        names = {category.id: category.name for category in result.categories}
        assert names[result.instances[0].category_id or 0] == "dog"

    @pytest.mark.parametrize(
        ("words", "code", "message"),
        [
            (["--masks-at", "x"], 2, "--masks-at: 'x' is not a frame number. Use frame numbers counted from 0"),
            (["--masks-at", "3"], 1, "clip.json has no frame 3. Use frames from 0 to 2."),
            (["--masks-from", "1"], 2, "--masks-from is for PNGs, but --masks is a result. Omit --masks-from."),
            (["--overwrite", "-o", "first"], 2, "it is an input. Use another -o DIR."),
        ],
    )
    def test_wrong_usage(
        self, words: list[str], code: int, message: str, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        words = [str(tmp_path / word) if word == "first" else word for word in words]
        outcome = self.correct(tmp_path, run_vis, *words)
        assert outcome.code == code
        assert message in outcome.err

    def test_a_result_of_another_size(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        (tmp_path / "other").mkdir()
        large = make_video(tmp_path / "other", size=(96, 64), num_frames=3)
        assert run_vis("segment", large, "-o", tmp_path / "first", "--no-render").code == 0
        outcome = self.correct(tmp_path, run_vis)
        assert outcome.code == 1
        assert "the result is for a video of 96x64, but the video is 64x48" in outcome.err

    def test_frames_need_a_result(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        write_label_png(make_labels(), tmp_path / "first.png")
        command = ("segment", make_video(tmp_path, num_frames=2), "-o", tmp_path / "out", "--masks-at", "0")
        assert "--masks-at needs --masks. Add --masks, or omit --masks-at." in run_vis(*command).err
        assert "--masks-at needs --masks NAME.json" in run_vis(*command, "--masks", tmp_path / "first.png").err
