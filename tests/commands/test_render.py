"""`vis render`: a result drawn again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.records.video_factory import make_video
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.video import open_video
from vis_cli.settings import SegmentSettings

from .conftest import RunVis, make_found


def write_found(video: Path, path: Path, *, identified: bool = True) -> Path:
    """Write a result of two objects (scores 0.9 and 0.8) in a clip of eight frames."""
    found = make_found(open_video(video), 8, 2, SegmentSettings())
    info = dataclasses.replace(found.video, source=identify_source(video) if identified else None)
    write_result(dataclasses.replace(found, video=info), path)
    return path


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_found(make_video(tmp_path), tmp_path / "clip.json")


def changed_pixels(overlay: Path, clip: Path) -> float:
    """Return the share of the first frame that was drawn on."""
    drawn, plain = (next(open_video(path).iter_frames()).astype(int) for path in (overlay, clip))
    return float((np.abs(drawn - plain).max(axis=-1) > 15).mean())


def test_finds_the_video_by_itself(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", result, "-o", tmp_path / "new" / "o.mp4")
    assert (outcome.code, outcome.out) == (0, "")
    assert "2 of 2 instances drawn" in outcome.err
    assert changed_pixels(tmp_path / "new" / "o.mp4", tmp_path / "clip.mp4") == pytest.approx(0.25, abs=0.1)
    assert len(list(open_video(tmp_path / "new" / "o.mp4").iter_frames())) == 8


class TestLookup:
    """The video is found next to the result, at its stored path, or where `--video` says, by its content."""

    @pytest.fixture
    def out(self, tmp_path: Path) -> Path:
        """Return an empty folder next to which `clip.mp4` and its result in `results/` lie."""
        write_found(make_video(tmp_path), tmp_path / "results" / "clip.json")
        (tmp_path / "results" / "clip.mp4").write_bytes(b"the overlay of the same name")
        (tmp_path / "out").mkdir()
        return tmp_path / "out"

    def test_at_the_stored_path_from_any_folder(
        self, out: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_video(out, "clip.mp4", num_frames=8, codec="mpeg4")  # another video, in the current folder
        monkeypatch.chdir(out)
        assert run_vis("render", "../results/clip.json", "-o", "o.mp4").code == 0
        assert changed_pixels(out / "o.mp4", tmp_path / "clip.mp4") == pytest.approx(0.25, abs=0.1)

    def test_next_to_the_result(self, out: Path, tmp_path: Path, run_vis: RunVis) -> None:
        moved = tmp_path / "moved"
        moved.mkdir()
        for path in (tmp_path / "clip.mp4", tmp_path / "results" / "clip.json"):
            path.rename(moved / path.name)
        make_video(tmp_path, num_frames=8, codec="mpeg4")  # another video at the stored path
        assert run_vis("render", moved / "clip.json", "-o", out / "o.mp4").code == 0

    def test_elsewhere(self, out: Path, tmp_path: Path, run_vis: RunVis) -> None:
        moved = (tmp_path / "clip.mp4").rename(tmp_path / "moved.mp4")
        outcome = run_vis("render", tmp_path / "results" / "clip.json", "-o", out / "o.mp4")
        assert outcome.code == 2
        assert f"cannot find {tmp_path / 'clip.mp4'}, the video of" in outcome.err
        assert "--video FILE" in outcome.err
        command = ["render", tmp_path / "results" / "clip.json", "-o", out / "o.mp4"]
        assert run_vis(*command, "--video", moved).code == 0

    def test_the_old_form_prints_its_replacement(self, out: Path, tmp_path: Path, run_vis: RunVis) -> None:
        clip = (tmp_path / "clip.mp4").rename(tmp_path / "my clip.mp4")
        outcome = run_vis("render", tmp_path / "results" / "clip.json", clip, "-o", out / "o.mp4")
        assert outcome.code == 2
        assert f"Use --video '{clip}'" in outcome.err

    def test_a_changed_video_is_rejected(self, out: Path, tmp_path: Path, run_vis: RunVis) -> None:
        make_video(tmp_path, num_frames=8, codec="mpeg4")
        outcome = run_vis("render", tmp_path / "results" / "clip.json", "-o", out / "o.mp4")
        assert outcome.code == 2
        assert f"{tmp_path / 'clip.mp4'} is another video" in outcome.err
        assert list(out.iterdir()) == []

    def test_another_video_of_equal_size_and_length_is_rejected(
        self, out: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        other = make_video(tmp_path, "other.mp4", num_frames=8, codec="mpeg4")
        command = ["render", tmp_path / "results" / "clip.json", "-o", out / "o.mp4"]
        outcome = run_vis(*command, "--video", other)
        assert outcome.code == 1
        assert f"cannot use {other}: it is not the video of" in outcome.err
        assert list(out.iterdir()) == []

    def test_a_result_without_a_fingerprint_is_drawn_with_a_warning(
        self, out: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        old = write_found(tmp_path / "clip.mp4", tmp_path / "old.json", identified=False)
        outcome = run_vis("render", old, "-o", out / "o.mp4")
        assert outcome.code == 0
        assert "stores no fingerprint" in outcome.err


def test_a_relative_path_without_a_fingerprint_is_looked_for_beside_the_result(tmp_path: Path, run_vis: RunVis) -> None:
    result = write_found(make_video(tmp_path), tmp_path / "clip.json", identified=False)
    found = read_result(result)
    relative = dataclasses.replace(found, video=dataclasses.replace(found.video, path=Path("clip.mp4")))
    write_result(relative, result)
    assert run_vis("render", result, "-o", tmp_path / "o.mp4").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "2"], "1 of 2"),
        (["--only", "1, 2"], "2 of 2"),
        (["--min-score", "0.85"], "1 of 2"),
        (["--min-score", "1"], "0 of 2"),
    ],
)
def test_choosing_instances(options: list[str], said: str, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", result, "-o", tmp_path / "o.mp4", *options)
    assert outcome.code == 0
    assert f"{said} instances drawn" in outcome.err
    changed = changed_pixels(tmp_path / "o.mp4", tmp_path / "clip.mp4")
    assert (changed > 0.1) is not said.startswith("0")


def test_known_ids_are_listed_in_numeric_order(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    stored = json.loads(result.read_text())
    stored["instances"][1]["id"] = 10
    stored["instances"].append(stored["instances"][0] | {"id": 9})
    result.write_text(json.dumps(stored))
    outcome = run_vis("render", result, "-o", tmp_path / "o.mp4", "--only", "7")
    assert outcome.err == "error: --only: no instance 7. Use these ids: 1, 9, 10."


def test_an_instance_that_is_not_there(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", result, "-o", tmp_path / "o.mp4", "--only", "2,7")
    assert outcome.code == 2
    assert outcome.err == "error: --only: no instance 7. Use these ids: 1, 2."


def test_existing_files_are_kept(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    out = tmp_path / "o.mp4"
    out.write_bytes(b"mine")
    outcome = run_vis("render", result, "-o", out)
    assert outcome.code == 2
    assert outcome.err == f"error: cannot write {out}: it exists. Use --overwrite to replace it."
    assert out.read_bytes() == b"mine"
    assert run_vis("render", result, "-o", out, "--overwrite").code == 0


def test_a_folder_is_not_overwritten(tmp_path: Path, result: Path, run_vis: RunVis) -> None:
    (tmp_path / "masks.mp4").mkdir()
    outcome = run_vis("render", result, "-o", tmp_path / "masks.mp4", "--overwrite")
    assert outcome.code == 2
    assert outcome.err == f"error: cannot write {tmp_path / 'masks.mp4'}: it is a folder. Use another -o OUT.mp4."


def test_the_video_itself_is_never_overwritten(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    before = (tmp_path / "clip.mp4").read_bytes()
    outcome = run_vis("render", result, "-o", tmp_path / "clip.mp4", "--overwrite")
    assert outcome.code == 2
    assert "is the video itself" in outcome.err
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_another_format(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", result, "-o", tmp_path / "o.avi")
    assert outcome.code == 2
    assert "Use a name that ends in .mp4." in outcome.err


@pytest.mark.parametrize(
    ("size", "num_frames", "said"),
    [((32, 48), 8, "frames of 32x48, but the result has 64x48"), ((64, 48), 5, "it has 5 frames, but the result has 8"),
     ((64, 48), 9, "it has more than 8 frames, but the result has 8")],
)  # fmt: skip
def test_another_video(size: tuple[int, int], num_frames: int, said: str, tmp_path: Path, run_vis: RunVis) -> None:
    result = write_found(make_video(tmp_path), tmp_path / "clip.json", identified=False)
    other = make_video(tmp_path, "other.mp4", size=size, num_frames=num_frames)
    outcome = run_vis("render", result, "--video", other, "-o", tmp_path / "o.mp4")
    assert outcome.code == 1
    assert said in outcome.err
    assert not (tmp_path / "o.mp4").exists()


def test_a_damaged_result(tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "clip.json").write_text('{"schema": 1')
    outcome = run_vis("render", tmp_path / "clip.json", "-o", tmp_path / "o.mp4")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {tmp_path / 'clip.json'}: not a JSON file")
