"""Which result belongs to which input: finished inputs keep their results, and nothing else is ever reused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.files.test_locks import other_process
from tests.network.factories import make_model
from tests.records.video_factory import make_images, make_video
from vis_cli.engine.production import expected_production
from vis_cli.engine.segmenter import Segmenter
from vis_cli.records.davis import write_label_png
from vis_cli.records.result_json import list_results, read_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import ModelInfo, VideoResult
from vis_cli.settings import BEFORE_SETTING, OLD_NAMES, SegmentSettings
from vis_cli.zoo.weights import save_model

from .conftest import Network, Outcome, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")


def make_clip(path: Path, num_frames: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path.parent, path.name, num_frames=num_frames)


def statuses(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """Return status and name by the name of the source's file."""
    reports = [json.loads(line) for line in outcome.out.splitlines()]
    return {Path(report["source"]).name: (report["status"], report["video"]) for report in reports}


class Runner:
    """Run `vis segment` into one folder."""

    def __init__(self, out: Path, run_vis: RunVis) -> None:
        self.out = out
        self._run_vis = run_vis

    def __call__(self, *args: object) -> Outcome:
        return self._run_vis("segment", *args, "-o", self.out, "--no-render", "--json")

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


@pytest.fixture
def segment(tmp_path: Path, run_vis: RunVis, network: Network) -> Runner:
    return Runner(tmp_path / "out", run_vis)


def reason_of_failure(outcome: Outcome) -> str:
    assert outcome.code == 1
    assert outcome.err.count("error:") == 1
    assert "--overwrite" in outcome.err
    return outcome.err


class TestStored:
    def test_of_a_file(self, segment: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clip = make_clip(tmp_path / "day1" / "clip.mp4", num_frames=3)
        monkeypatch.chdir(clip.parent)
        segment("clip.mp4")
        video = json.loads((segment.out / "clip.json").read_text())["video"]
        assert (video["path"], video["absolute_path"], video["kind"]) == ("clip.mp4", str(clip), "file")
        assert video["size"] == clip.stat().st_size
        assert video["fingerprint"] == identify_source(clip).fingerprint
        assert video["frame_names"] is None
        assert video["timestamps"] == pytest.approx([0.0, 0.04, 0.08])

    def test_of_a_folder(self, segment: Runner, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "frames", ["9.png", "10.png"])
        segment(folder)
        video = read_result(segment.out / "frames.json").video
        assert video.frame_names == ("9.png", "10.png")
        assert video.timestamps == pytest.approx((0.0, 1 / 24), abs=1e-6)
        assert video.source == identify_source(folder)


class TestSameSource:
    @pytest.mark.parametrize("how", ["absolute", "relative", "symlink", "symlinked folder", "parent", "hard link"])
    def test_however_it_is_named(
        self, how: str, segment: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = make_clip(tmp_path / "day1" / "clip.mp4")
        (tmp_path / "sub").mkdir()
        (tmp_path / "link.mp4").symlink_to(clip)
        (tmp_path / "days").symlink_to(clip.parent)
        names = {
            "absolute": clip,
            "relative": "day1/clip.mp4",
            "symlink": "link.mp4",
            "symlinked folder": "days/clip.mp4",
            "parent": "sub/../day1/clip.mp4",
        }
        monkeypatch.chdir(tmp_path)
        segment("day1/clip.mp4")
        before = segment.contents()
        if how == "hard link":  # a file of its own: both names exist
            os.link(clip, tmp_path / "other.mp4")
            assert statuses(segment("other.mp4")) == {"other.mp4": ("done", "other")}
            return
        assert list(statuses(segment(names[how])).values()) == [("skipped", "clip")]
        assert segment.contents() == before

    @pytest.mark.parametrize("moved", ["day2/clip.mp4", "day1/renamed.mp4"])
    def test_after_a_move(self, moved: str, segment: Runner, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "day1" / "clip.mp4")
        segment(clip)
        (tmp_path / "day2").mkdir()
        clip.rename(tmp_path / moved)
        assert list(statuses(segment(tmp_path / moved)).values()) == [("skipped", "clip")]

    def test_after_folders_have_changed_places(self, segment: Runner, tmp_path: Path) -> None:
        for number in (1, 2):
            segment(
                make_clip(tmp_path / f"day{number}" / f"clip{number}.mp4", number).rename(tmp_path / f"{number}.mp4")
            )
        before = segment.contents()
        (tmp_path / "1.mp4").rename(tmp_path / "0.mp4")
        (tmp_path / "2.mp4").rename(tmp_path / "1.mp4")
        again = statuses(segment(tmp_path / "0.mp4", tmp_path / "1.mp4"))
        assert again == {"0.mp4": ("skipped", "1"), "1.mp4": ("skipped", "2")}
        assert segment.contents() == before

    def test_a_moved_video_and_a_new_one_in_its_place(self, segment: Runner, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "latest.mp4")
        segment(clip)
        moved = clip.rename(tmp_path / "day1.mp4")
        make_clip(clip, 3)
        both = statuses(segment(clip, moved))
        assert both == {"latest.mp4": ("done", "latest_mp4"), "day1.mp4": ("skipped", "latest")}

    def test_a_moved_folder(self, segment: Runner, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "frames", ["1.png", "2.png"])
        segment(folder)
        moved = folder.rename(tmp_path / "elsewhere")
        assert statuses(segment(moved)) == {"elsewhere": ("skipped", "frames")}

    def test_results_in_another_folder(self, segment: Runner, tmp_path: Path, run_vis: RunVis) -> None:
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        segment.out = shutil.copytree(segment.out, tmp_path / "copy")
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}


class TestOtherContent:
    def test_a_file_that_was_recorded_again(self, segment: Runner, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        before = segment.contents()
        make_clip(clip, num_frames=4)
        assert "the file has changed since" in reason_of_failure(segment(clip))
        assert segment.contents() == before
        assert segment(clip, "--overwrite").code == 0
        assert read_result(segment.out / "clip.json").video.num_frames == 4
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}

    def test_a_folder_with_an_added_frame(self, segment: Runner, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "frames", ["1.png", "2.png"])
        segment(folder)
        make_images(folder, ["3.png"])
        assert "the folder has changed since" in reason_of_failure(segment(folder))

    def test_a_folder_recorded_again_with_equal_names_and_sizes(self, segment: Runner, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "frames", ["1.bmp", "2.bmp"])
        segment(folder)
        make_images(folder, ["2.bmp", "1.bmp"])
        assert "equal size, other content" in reason_of_failure(segment(folder))


class TestOtherProduction:
    @pytest.fixture
    def clip(self, segment: Runner, tmp_path: Path) -> Path:
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        return clip

    def test_settings(self, clip: Path, segment: Runner) -> None:
        message = reason_of_failure(segment(clip, "--num-key-frames", "6", "--set", "memory_frames=none"))
        assert "num_key_frames 4 -> 6, memory_frames 6 -> none" in message
        assert segment(clip, "--num-key-frames", "6", "--overwrite").code == 0
        assert "num_key_frames 6 -> 4" in reason_of_failure(segment(clip))

    def test_old_names_of_settings_are_the_same_settings(self, clip: Path, segment: Runner) -> None:
        path = segment.out / "clip.json"
        new = path.read_text()
        old = new
        for before, after in OLD_NAMES.items():
            assert old.count(f'"{after}"') == 1
            old = old.replace(f'"{after}"', f'"{before}"')
        path.write_text(old)
        assert read_result(path).config == json.loads(new)["config"]
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}
        message = reason_of_failure(segment(clip, "--set", "sequence_nms_iou=0.6", "--score-threshold", "0.1"))
        assert "sequence_nms_iou 0.5 -> 0.6, score_threshold 0.05 -> 0.1" in message

    def test_a_result_from_before_a_setting_has_the_value_without_it(self, clip: Path, segment: Runner) -> None:
        path = segment.out / "clip.json"
        content = json.loads(path.read_text())
        for name, value in BEFORE_SETTING.items():
            assert content["config"].pop(name) == value
        path.write_text(json.dumps(content))
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}
        assert "mask_quality False -> True" in reason_of_failure(segment(clip, "--set", "mask_quality=true"))

    def test_a_few_settings_of_many_are_named(self, clip: Path, segment: Runner) -> None:
        assert "more settings" in reason_of_failure(segment(clip, "--preset", "released-davis"))

    def test_the_model(self, clip: Path, segment: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        def other(model: str, config: SegmentSettings, **_: object) -> tuple[ModelInfo, SegmentSettings]:
            return ModelInfo("coco", "cd" * 32), config

        monkeypatch.setattr("vis_cli.engine.production.expected_production", other)
        assert "model fake abababab -> coco cdcdcdcd" in reason_of_failure(segment(clip))

    def test_a_renamed_model_is_the_same(self, clip: Path, segment: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        def renamed(model: str, config: SegmentSettings, **_: object) -> tuple[ModelInfo, SegmentSettings]:
            return ModelInfo("renamed", "ab" * 32), config

        monkeypatch.setattr("vis_cli.engine.production.expected_production", renamed)
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}

    def test_given_masks(self, clip: Path, segment: Runner, tmp_path: Path) -> None:
        masks = tmp_path / "masks"
        write_label_png(np.full((48, 64), 1, np.uint8), masks / "0.png")
        assert "masks are given now" in reason_of_failure(segment(clip, "--masks", masks))
        segment(clip, "--masks", masks, "--overwrite")
        shutil.copytree(masks, tmp_path / "copy")
        assert statuses(segment(clip, "--masks", tmp_path / "copy")) == {"clip.mp4": ("skipped", "clip")}
        write_label_png(np.full((48, 64), 2, np.uint8), masks / "1.png")
        assert "masks differ" in reason_of_failure(segment(clip, "--masks", masks))
        assert "no masks are given now" in reason_of_failure(segment(clip))

    def test_names_of_given_objects(self, clip: Path, segment: Runner, tmp_path: Path) -> None:
        write_label_png(np.array([[1, 2] * 32] * 48, np.uint8), tmp_path / "first.png")
        masks = ("--masks", tmp_path / "first.png")
        segment(clip, *masks, "--overwrite")
        assert reason_of_failure(segment(clip, *masks, "--names", "1=dog")).count("names are given now") == 1
        segment(clip, *masks, "--names", "1=dog,2=cat", "--overwrite")
        (tmp_path / "names.json").write_text('{"2": "cat", "1": "dog"}')
        again = segment(clip, *masks, "--names", tmp_path / "names.json")
        assert statuses(again) == {"clip.mp4": ("skipped", "clip")}
        assert "names differ" in reason_of_failure(segment(clip, *masks, "--names", "1=dog,2=dog"))
        assert "names differ" in reason_of_failure(segment(clip, *masks, "--names", "1=dog"))
        assert "no names are given now" in reason_of_failure(segment(clip, *masks))

    def test_where_and_how_fast_it_runs_does_not_count(self, clip: Path, segment: Runner) -> None:
        options = ["--device", "cpu", "--precision", "float32", "--feature-budget-mb", "1", "--frame-budget-mb", "1"]
        assert statuses(segment(clip, *options)) == {"clip.mp4": ("skipped", "clip")}

    def test_source_and_settings_are_named_together(self, clip: Path, segment: Runner) -> None:
        make_clip(clip, num_frames=4)
        message = reason_of_failure(segment(clip, "--num-key-frames", "6"))
        assert "the file has changed since" in message
        assert "num_key_frames 4 -> 6" in message

    @pytest.mark.parametrize("path", ["clip.mp4", "/somewhere/else/clip.mp4"])
    def test_a_result_without_a_fingerprint(
        self, path: str, clip: Path, segment: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(clip.parent)
        data = json.loads((segment.out / "clip.json").read_text())
        video = {key: data["video"][key] for key in ("name", "width", "height", "fps", "num_frames")} | {"path": path}
        data |= {"schema": 1, "video": video}
        (segment.out / "clip.json").write_text(json.dumps(data))
        assert "stores no fingerprint" in reason_of_failure(segment(clip))
        assert segment(clip, "--overwrite").code == 0
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}


class TestOtherSource:
    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("is_there", [True, False])
    def test_of_the_same_name_gets_a_free_name(
        self, overwrite: bool, is_there: bool, segment: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = make_clip(tmp_path / "day1" / "clip.mp4"), make_clip(tmp_path / "day2" / "clip.mp4", 3)
        monkeypatch.chdir(first.parent)
        segment("clip.mp4")
        before = segment.contents()["clip.json"]
        if not is_there:
            first.unlink()
        monkeypatch.chdir(second.parent)
        options = ["--overwrite"] if overwrite else []
        assert statuses(segment("clip.mp4", *options)) == {"clip.mp4": ("done", "clip_mp4")}
        assert segment.contents()["clip.json"] == before
        assert read_result(segment.out / "clip_mp4.json").video.num_frames == 3
        assert statuses(segment("clip.mp4")) == {"clip.mp4": ("skipped", "clip_mp4")}

    def test_added_to_a_finished_folder(self, segment: Runner, tmp_path: Path) -> None:
        videos = make_clip(tmp_path / "videos" / "clip.mov").parent
        segment(videos)
        before = segment.contents()["clip.json"]
        make_clip(videos / "clip.avi", 3)  # comes before clip.mov
        for outcome in ("done", "skipped"):
            assert statuses(segment(videos)) == {"clip.avi": (outcome, "clip_avi"), "clip.mov": ("skipped", "clip")}
        assert segment.contents()["clip.json"] == before

    def test_copies_in_one_batch_both_get_a_result(self, segment: Runner, tmp_path: Path) -> None:
        first = make_clip(tmp_path / "a.mp4")
        second, third = Path(shutil.copy(first, tmp_path / "b.mp4")), tmp_path / "c.mp4"
        os.link(first, third)
        expected = {"a.mp4": ("done", "a"), "b.mp4": ("done", "b"), "c.mp4": ("done", "c")}
        assert statuses(segment(first, second, third)) == expected
        before = segment.contents()
        again = statuses(segment(third, second, first))
        assert again == {"a.mp4": ("skipped", "a"), "b.mp4": ("skipped", "b"), "c.mp4": ("skipped", "c")}
        assert segment.contents() == before

    def test_copies_of_a_moved_video(self, segment: Runner, tmp_path: Path) -> None:
        """One of them is the moved video; the other gets a result of its own, and that stays so."""
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        moved = clip.rename(tmp_path / "x.mp4")
        copy = Path(shutil.copy(moved, tmp_path / "y.mp4"))
        assert statuses(segment(moved, copy)) == {"x.mp4": ("skipped", "clip"), "y.mp4": ("done", "y")}
        assert statuses(segment(copy, moved)) == {"x.mp4": ("skipped", "clip"), "y.mp4": ("skipped", "y")}

    def test_a_name_that_only_differs_in_case(self, segment: Runner, tmp_path: Path) -> None:
        segment(make_clip(tmp_path / "a" / "Clip.mp4"))
        assert statuses(segment(make_clip(tmp_path / "b" / "clip.mp4", 3))) == {"clip.mp4": ("done", "clip_mp4")}


class TestBatch:
    def test_an_interrupted_one_goes_on(self, segment: Runner, tmp_path: Path, network: Network) -> None:
        clips = [make_clip(tmp_path / day / "clip.mp4", number) for number, day in enumerate("abc", start=1)]
        network.raises["clip"] = KeyboardInterrupt()
        assert segment(*clips).code == 130
        network.raises.clear()
        segment(clips[1])
        names = [report[1] for report in statuses(segment(*clips)).values()]
        assert len(names) == 1  # all sources have one name here
        frames = {path.stem: read_result(path).video.num_frames for path in segment.out.iterdir()}
        assert frames == {"clip": 2, "clip_mp4": 1, "c_clip": 3}

    def test_existing_results_are_parsed_only_for_missing_overlays(
        self, segment: Runner, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clips = [make_clip(tmp_path / f"{number}.mp4", 1) for number in range(4)]
        segment(*clips)
        parsed: list[Path] = []

        def count(path: Path) -> object:
            parsed.append(path)
            return read_result(path)

        monkeypatch.setattr("vis_cli.commands.batch.read_result", count)
        segment(*clips)
        assert parsed == []
        run_vis("segment", clips[2], "-o", segment.out)
        assert parsed == [segment.out / "2.json"]

    def test_a_result_that_another_process_wrote_meanwhile_is_reported(
        self, segment: Runner, tmp_path: Path, network: Network, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vis_cli.engine import segmenter

        a, b = make_clip(tmp_path / "a.mp4"), make_clip(tmp_path / "b.mp4")
        segment(b)
        finished = segment.contents()["b.json"]
        (segment.out / "b.json").unlink()
        original = segmenter.Segmenter.segment

        def with_rival(self: Segmenter, *args: Any, **kwargs: Any) -> VideoResult:
            (segment.out / "b.json").write_bytes(finished)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(segmenter.Segmenter, "segment", with_rival)
        assert statuses(segment(a, b)) == {"a.mp4": ("done", "a"), "b.mp4": ("skipped", "b")}
        (segment.out / "a.json").unlink()
        (segment.out / "b.json").unlink()
        outcome = segment(a, b, "--overwrite")
        assert "another process has written it" in outcome.err
        assert segment.contents()["b.json"] == finished


def test_the_second_of_two_processes_reports_a_result_in_work(
    segment: Runner, tmp_path: Path, network: Network
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    segment.out.mkdir()
    with other_process(f"exclusive_lock(Path({str(segment.out / 'clip.json')!r}))") as process:
        outcome = segment(clip)
        assert outcome.code == 1
        assert f"cannot write {segment.out / 'clip.json'}: another process writes it" in outcome.err
        assert network.segmented == []
        process.communicate("")
    assert statuses(segment(clip)) == {"clip.mp4": ("done", "clip")}


class TestFolderOfResults:
    """Other files in the folder of results."""

    @pytest.mark.parametrize("name", ["broken.json", "pipe.json", "folder.json", "link.json", "other.json"])
    def test_do_not_matter(self, name: str, segment: Runner, tmp_path: Path) -> None:
        path = segment.out / name
        segment.out.mkdir()
        if name == "pipe.json":
            os.mkfifo(path)
        elif name == "folder.json":
            path.mkdir()
        elif name == "link.json":
            path.symlink_to("/dev/zero")
        else:
            path.write_text('{"schema": 2, "video"' if name == "broken.json" else '{"images": []}')
        clip = make_clip(tmp_path / "clip.mp4")
        assert statuses(segment(clip)) == {"clip.mp4": ("done", "clip")}
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}

    def test_a_damaged_result_is_named_and_replaced_on_request(self, segment: Runner, tmp_path: Path) -> None:
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        whole = segment.contents()["clip.json"]
        for length in (len(whole) // 2, 20, 0):
            (segment.out / "clip.json").write_bytes(whole[:length])
            outcome = segment(clip)
            assert outcome.code == 1
            assert str(segment.out / "clip.json") in outcome.err
        assert statuses(segment(clip, "--overwrite")) == {"clip.mp4": ("done", "clip")}

    def test_two_results_of_one_video(self, segment: Runner, tmp_path: Path) -> None:
        """The one with the default name counts, whatever the order of names."""
        clip = make_clip(tmp_path / "clip.mp4")
        segment(clip)
        for copy in ("a.json", "z.json"):
            shutil.copy(segment.out / "clip.json", segment.out / copy)
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}
        (segment.out / "clip.json").unlink()
        assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "a")}


@pytest.mark.parametrize("name", [".hidden.mp4", "a\nb.mp4", "caf\udce9.mp4", "x" * 251 + ".mp4"])
def test_a_name_that_is_not_safe_gets_a_visible_result(name: str, segment: Runner, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4").rename(tmp_path / name)
    for status in ("done", "skipped"):
        outcome = segment(clip)
        assert outcome.code == 0
        assert json.loads(outcome.out)["status"] == status
    (result,) = list_results(segment.out)
    assert not result.name.startswith(".")
    assert read_result(result).video.path == clip


def test_the_expected_production_is_what_the_network_stores(tmp_path: Path) -> None:
    """With a network in place of the stand-in of the other tests."""
    for name, seed in (("a", 1.0), ("b", 2.0)):
        model = make_model()
        next(model.parameters()).data.fill_(seed)
        save_model(tmp_path / name, model, {})
    clip = make_clip(tmp_path / "clip.mp4")
    from vis_cli.zoo.composition import load_network

    for detector in (None, str(tmp_path / "b")):
        loaded = load_network(str(tmp_path / "a"), detector=detector)
        result = Segmenter(loaded, config=SegmentSettings(num_key_frames=1)).segment(clip)
        info, config = expected_production(str(tmp_path / "a"), SegmentSettings(num_key_frames=1), detector=detector)
        assert info == result.model
        assert result.config == {field: getattr(config, field) for field in result.config}
        assert (config.short_side, config.long_side) == (64, 96)
        assert [part.name for part in info.parts] == ([] if detector is None else ["b", "a"])


def test_a_run_that_skips_all_inputs_removes_leftovers(tmp_path: Path, segment: Runner) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    assert segment(clip).code == 0
    contents = segment.contents()
    leftover = segment.out / f".other.tmp-{'0' * 16}.json"
    leftover.write_text("half")
    assert statuses(segment(clip)) == {"clip.mp4": ("skipped", "clip")}
    assert segment.contents() == contents
