"""`vis segment` as a whole: what is written, kept, skipped and said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av import VideoFrame

from tests.network.factories import make_model
from tests.records.video_factory import make_video, picture
from vis_cli.records.davis import write_label_png
from vis_cli.records.decoder import decoded_frames
from vis_cli.records.result_json import read_result
from vis_cli.records.video import open_video
from vis_cli.settings import PRESETS, RunSettings, SegmentSettings
from vis_cli.zoo.weights import save_model

from .conftest import Network, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")


def make_frames(folder: Path, num_frames: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(num_frames):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestOutputs:
    def test_writes_result_and_overlay(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip, out = make_video(tmp_path), tmp_path / "deep" / "out"
        outcome = run_vis("segment", clip, "-o", out)
        assert outcome.code == 0
        assert outcome.out == ""
        assert names_in(out) == ["clip.json", "clip.mp4"]
        result = read_result(out / "clip.json")
        assert (result.video.num_frames, len(result.instances), result.video.path) == (8, 1, clip)
        overlay, source = open_video(out / "clip.mp4"), open_video(clip)
        drawn, plain = list(overlay.iter_frames()), list(source.iter_frames())
        assert len(drawn) == len(plain) == 8
        assert not np.allclose(drawn[0][:20, :28], plain[0][:20, :28], atol=20)
        np.testing.assert_allclose(drawn[0][30:, 40:], plain[0][30:, 40:], atol=20)

    def test_the_closing_table_has_every_figure(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        network.num_instances = 2
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out")
        row = [cell.strip() for cell in outcome.err.partition("┩")[2].split("│") if cell.strip()]
        assert row[:3] == ["clip", "8", "2"]
        assert float(row[3]) >= 0
        assert str(tmp_path / "out" / "clip.json") in outcome.err
        assert str(tmp_path / "out" / "clip.mp4") in outcome.err

    def test_without_overlay(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--no-render")
        assert outcome.code == 0
        assert names_in(tmp_path / "out") == ["clip.json"]

    def test_every_kind_of_input_at_once(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        videos = tmp_path / "videos"
        videos.mkdir()
        for name in ("v10.mp4", "v2.mp4"):
            make_video(videos, name, num_frames=2)
        frames = make_frames(tmp_path / "frames")
        single = make_video(tmp_path, "one.mkv", num_frames=2)
        make_video(tmp_path, "p1.mp4", num_frames=2)
        outcome = run_vis("segment", videos, frames, single, tmp_path / "p?.mp4", single, "-o", tmp_path / "out")
        assert outcome.code == 0
        assert network.segmented == ["v2", "v10", "frames", "one", "p1"]
        assert len(network.loaded) == 1
        assert "[2/5] v10: 1 instance in 2 frames" in outcome.err

    def test_two_videos_of_one_name_get_outputs_of_their_own(
        self, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        first, second = make_video(tmp_path, num_frames=2), make_video(tmp_path, "clip.mov", num_frames=3)
        outcome = run_vis("segment", first, second, "-o", tmp_path / "out", "--no-render")
        assert f"{second}: written as clip_mov" in outcome.err
        assert read_result(tmp_path / "out" / "clip.json").video.num_frames == 2
        result = read_result(tmp_path / "out" / "clip_mov.json")
        assert (result.video.name, result.video.num_frames) == ("clip_mov", 3)

    def test_json_lines_on_stdout(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip = make_video(tmp_path)
        outcome = run_vis("segment", clip, tmp_path / "no.mp4", "-o", tmp_path / "out", "--json", "--no-render")
        missing, done = (json.loads(line) for line in outcome.out.splitlines())
        assert missing["status"] == "failed"
        assert "no such file" in missing["reason"]
        assert done.pop("seconds") >= 0
        assert done == {
            "video": "clip",
            "source": str(clip),
            "status": "done",
            "frames": 8,
            "instances": 1,
            "confident_instances": 1,
            "shown_instances": 1,
            "categories": [{"category": "cat", "instances": 1, "best_score": 0.9, "lowest_score": 0.9}],
            "outputs": [str(tmp_path / "out" / "clip.json")],
            "reason": None,
        }

    def test_each_json_line_comes_when_its_video_ends(
        self, tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        printed: list[tuple[str, int]] = []

        def record(line: str) -> None:
            printed.append((json.loads(line)["video"], len(network.segmented)))

        monkeypatch.setattr("vis_cli.commands.segment_run.print_json", record)
        run_vis("segment", tmp_path / "no.mp4", *clips, "-o", tmp_path / "out", "--json", "--no-render")
        assert printed == [(str(tmp_path / "no.mp4"), 0), ("a", 1), ("b", 2)]

    def test_quiet_says_nothing(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--quiet")
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")

    def test_names_are_no_markup(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        bad = tmp_path / "[red]x[1].mp4"
        bad.write_bytes(b"")
        outcome = run_vis("segment", bad, make_video(tmp_path, "[b]y[0].mp4"), "-o", tmp_path / "out")
        assert f"{bad}: the file is empty" in outcome.err
        assert "│ [b]y[0] │" in outcome.err

    def test_the_real_network_from_a_models_folder(self, tmp_path: Path, run_vis: RunVis) -> None:
        save_model(tmp_path / "tiny", make_model(), {})
        clip = make_video(tmp_path, num_frames=3)
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--model", tmp_path / "tiny", "--device", "cpu")
        assert outcome.code == 0
        result = read_result(tmp_path / "out" / "clip.json")
        assert (result.model.name, result.video.num_frames) == ("tiny", 3)
        assert (tmp_path / "out" / "clip.mp4").exists()

    def test_each_frame_is_decoded_once_for_the_network_and_once_for_the_overlay(
        self, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers: list[int] = []

        def counted(*args: Any) -> Iterator[VideoFrame]:
            for number, frame in enumerate(decoded_frames(*args)):
                numbers.append(number)
                yield frame

        monkeypatch.setattr("vis_cli.records.video_file.decoded_frames", counted)
        save_model(tmp_path / "tiny", make_model(), {})
        clip = make_video(tmp_path, num_frames=5)
        options = ("-o", tmp_path / "out", "--model", tmp_path / "tiny", "--device", "cpu")
        assert run_vis("segment", clip, *options, "--no-render").code == 0
        assert sorted(numbers) == [0, 0, 1, 2, 3, 4]  # the first frame also when the video is opened
        assert run_vis("segment", clip, *options, "--overwrite").code == 0
        assert sorted(numbers) == sorted([0, *range(5), 0, *range(5), *range(5)])


class TestExistingResults:
    def test_are_skipped_and_said(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        run_vis("segment", clip, "-o", out)
        before = (out / "clip.json").stat().st_mtime_ns
        network.loaded.clear()
        outcome = run_vis("segment", clip, "-o", out)
        assert outcome.code == 0
        assert "clip │ 8 │ 1 │" in outcome.err
        assert f"skipped: {out / 'clip.json'} exists" in outcome.err
        assert (out / "clip.json").stat().st_mtime_ns == before
        assert network.loaded == []

    def test_overwrite_makes_them_anew(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        run_vis("segment", clip, "-o", out)
        network.num_instances = 3
        assert run_vis("segment", clip, "-o", out, "--overwrite").code == 0
        assert len(read_result(out / "clip.json").instances) == 3

    def test_a_missing_overlay_is_drawn_without_the_network(
        self, tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        run_vis("segment", clip, "-o", out, "--no-render")
        network.loaded.clear()
        assert run_vis("segment", clip, "-o", out).code == 0
        assert network.loaded == []
        assert len(list(open_video(out / "clip.mp4").iter_frames())) == 8

    def test_an_old_overlay_does_not_outlive_its_result(
        self, tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        run_vis("segment", clip, "-o", out)

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("vis_cli.commands.batch.write_overlay", interrupt)
        assert run_vis("segment", clip, "-o", out, "--overwrite").code == 130
        assert names_in(out) == ["clip.json"]


class TestBatch:
    def test_one_bad_video_does_not_stop_the_others(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            make_video(tmp_path, name, num_frames=2)
        (tmp_path / "b.mp4").write_bytes(b"")
        outcome = run_vis("segment", tmp_path, "-o", tmp_path / "out", "--no-render")
        assert outcome.code == 1
        assert names_in(tmp_path / "out") == ["a.json", "c.json"]
        assert f"error: cannot read {tmp_path / 'b.mp4'}: the file is empty" in outcome.err
        assert "│ b │ │ │ │ failed:" in outcome.err
        assert "Traceback" not in outcome.err

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(5, "Input/output error"), "Input/output error"),
            (MemoryError(), "out of memory. Use a smaller --short-side"),
            (RuntimeError("CUDA out of memory. Tried to allocate\n2 GiB"), "out of memory. Use a smaller"),
            (
                RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
                "out of memory. Use a smaller",
            ),
            (
                RuntimeError("CUDA error: launch failure\nmore"),
                "the network failed: CUDA error: launch failure. Use --debug",
            ),
        ],
    )
    def test_what_can_fail_for_one_video(
        self, tmp_path: Path, run_vis: RunVis, network: Network, error: BaseException, said: str
    ) -> None:
        for name in ("a.mp4", "b.mp4"):
            make_video(tmp_path, name, num_frames=2)
        network.raises["a"] = error
        outcome = run_vis("segment", tmp_path, "-o", tmp_path / "out", "--no-render")
        assert outcome.code == 1
        assert f"error: {tmp_path / 'a.mp4'}: {said}" in outcome.err
        assert names_in(tmp_path / "out") == ["b.json"]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("open_part", "out of memory while the video was opened. Use smaller frames"),
            ("write_overlay", "out of memory while the overlay was drawn. Use --no-render, or smaller frames"),
            ("write_result", "clip.json was written. Use a smaller --set max_sequences=N"),
            ("read_given", "first.png was read"),
            ("identify_source", "out of memory"),
        ],
    )
    def test_memory_that_ran_out_elsewhere_is_not_blamed_on_the_network(
        self, tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch, name: str, said: str
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(f"vis_cli.commands.batch.{name}", fail)
        clip = make_video(tmp_path, num_frames=2)
        write_label_png(np.ones((48, 64), np.uint8), tmp_path / "first.png")
        outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--masks", tmp_path / "first.png")
        assert (outcome.code, outcome.err.count("error: ")) == (1, 1)
        assert f"error: {clip}: out of memory" in outcome.err
        assert said in outcome.err
        assert "--short-side" not in outcome.err

    def test_a_programmers_mistake_is_not_hidden(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        network.raises["clip"] = ValueError("a bug")
        clip = make_video(tmp_path)
        with pytest.raises(ValueError, match="a bug"):
            run_vis("segment", clip, "-o", tmp_path / "out")

    def test_debug_gives_the_traceback(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        network.raises["clip"] = RuntimeError("launch failure")
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--debug")
        assert outcome.code == 1
        assert "Traceback (most recent call last)" in outcome.err
        assert "in segment" in outcome.err

    def test_interrupted(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            make_video(tmp_path, name, num_frames=2)
        network.raises["b"] = KeyboardInterrupt()
        outcome = run_vis("segment", tmp_path, "-o", tmp_path / "out")
        assert outcome.code == 130
        assert names_in(tmp_path / "out") == ["a.json", "a.mp4"]
        assert (
            "interrupted: 1 of 3 videos finished. All results and finished windows are kept. Run the same"
            in outcome.err
        )
        assert "│ a │ 2 │ 1 │" in outcome.err
        network.raises.clear()
        network.segmented.clear()
        assert run_vis("segment", tmp_path, "-o", tmp_path / "out").code == 0
        assert network.segmented == ["b", "c"]


class TestOptions:
    def test_defaults(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out")
        assert network.loaded == [("lite", SegmentSettings(), RunSettings())]

    def test_preset_and_overrides_reach_the_network(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        given = ["--preset", "davis-uvos", "--set", "memory_frames=none", "--set=mask_threshold=0.4"]
        given += ["--set", "class_agnostic=false"]
        placed = ["--device", "cuda:1", "--precision", "float32", "--feature-budget-mb", "7", "--frame-budget-mb", "8"]
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", *given, *placed, "--model", "r50")
        assert outcome.code == 0
        ((model, config, run),) = network.loaded
        assert model == "r50"
        assert (config.memory_frames, config.mask_threshold, config.class_agnostic) == (None, 0.4, False)
        assert config.reduction == PRESETS["davis-uvos"].reduction
        assert run == RunSettings("cuda:1", "float32", 7, 8)

    def test_given_masks_reach_the_network(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        labels = np.zeros((48, 64), np.uint8)
        labels[3:9, 4:8] = 5
        write_label_png(labels, tmp_path / "first.png")
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--masks", tmp_path / "first.png")
        assert outcome.code == 0
        assert network.guidance is not None
        assert list(network.guidance) == [0]
        np.testing.assert_array_equal(network.guidance[0], labels)

    def test_masks_of_several_videos_are_refused(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        write_label_png(np.zeros((48, 64), np.uint8), tmp_path / "first.png")
        outcome = run_vis("segment", *clips, "-o", tmp_path / "out", "--masks", tmp_path / "first.png")
        assert outcome.code == 2
        assert "--masks needs one video, but there are 2" in outcome.err
