"""Bad input to `vis segment`: one clear line, the right exit code, nothing lost, the input untouched."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import save_file

from tests.records.video_factory import make_images, make_sound, make_video, picture
from vis_cli.records import result_json
from vis_cli.records.overlay import Frame, OverlayPainter
from vis_cli.records.result_json import read_result
from vis_cli.records.types import VideoResult

from .conftest import Network, RunVis

Mark = Callable[[Path], Path]
FOR_IMAGES = "are not decoded. Convert the file to JPEG or PNG."


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def mixed_sizes(folder: Path) -> Path:
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(0))
    cv2.imwrite(str(folder / "2.png"), picture(0, (32, 24)))
    return folder


def empty_folder(folder: Path) -> Path:
    write(folder / "notes.txt", b"nothing to see")
    return folder


def linked_to_nothing(link: Path) -> Path:
    link.symlink_to(link.parent / "nowhere.mp4")
    return link


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "gone.mp4", "no such file, folder or pattern"),
        (lambda folder: write(folder / "empty.mp4", b""), "the file is empty"),
        (lambda folder: write(folder / "text.mp4", b"not a video " * 99), "not a readable video"),
        (lambda folder: make_sound(folder), "no video stream (audio only)"),
        (lambda folder: linked_to_nothing(folder / "link.mp4"), "the target of the symbolic link does not exist"),
        (lambda folder: empty_folder(folder / "documents"), "no videos or images in this folder"),
        (lambda folder: mixed_sizes(folder / "mixed"), "Use one size for all frames of a video."),
    ],
    ids=["missing", "empty", "text", "sound", "dangling-link", "no-images", "mixed-sizes"],
)
def test_an_input_that_cannot_be_used(
    make: Callable[[Path], Path], said: str, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
) -> None:
    source = untouched(make(tmp_path))
    outcome = run_vis("segment", source, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.startswith((f"error: {source}", f"error: cannot read {source}"))
    assert said in outcome.err
    assert outcome.err.count("error:") == 1
    assert "Traceback" not in outcome.err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_truncated_video_is_used_and_its_loss_said(
    tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
) -> None:
    whole = make_video(tmp_path, "clip.mkv", num_frames=20, size=(320, 240), options={"g": "5"}).read_bytes()
    source = untouched(write(tmp_path / "cut.mkv", whole[: len(whole) // 2]))
    outcome = run_vis("segment", source, "-o", tmp_path / "out")
    assert outcome.code == 0
    assert 0 < read_result(tmp_path / "out" / "cut.json").video.num_frames < 20
    assert f"warning: {source}: " in outcome.err


@pytest.mark.parametrize(("num_frames", "size"), [(1, (64, 48)), (4, (2, 2))], ids=["one-frame", "2x2"])
def test_a_tiny_clip(
    num_frames: int, size: tuple[int, int], tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
) -> None:
    source = untouched(make_video(tmp_path, num_frames=num_frames, size=size))
    outcome = run_vis("segment", source, "-o", tmp_path / "out")
    assert outcome.code == 0
    video = read_result(tmp_path / "out" / "clip.json").video
    assert (video.num_frames, video.width, video.height) == (num_frames, *size)
    assert (tmp_path / "out" / "clip.mp4").exists()


def test_a_clip_without_objects_gets_its_result(
    tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
) -> None:
    network.num_instances = 0
    outcome = run_vis("segment", untouched(make_video(tmp_path)), "-o", tmp_path / "out")
    assert outcome.code == 0
    assert json.loads((tmp_path / "out" / "clip.json").read_text())["instances"] == []
    assert (tmp_path / "out" / "clip.mp4").exists()


def test_an_empty_name_is_not_the_current_folder(
    tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_video(tmp_path).parent)
    outcome = run_vis("segment", "", "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err == "error: cannot read an input: its name is empty. Check the shell variables in the command."
    assert network.segmented == []


def test_a_folder_of_all_sorts(tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark) -> None:
    """Videos are taken, and folders of images beside them are said; what is hidden or no video is passed over."""
    folder = write(tmp_path / "all" / "notes.txt", b"text").parent
    write(folder / ".hidden.mp4", b"")
    make_video(folder, "b.mp4", num_frames=2)
    make_video(folder, "a.gif", codec="gif", pix_fmt="rgb8", num_frames=2)
    mixed_sizes(folder / "frames")
    outcome = run_vis("segment", untouched(folder), "-o", folder / "out")
    assert outcome.code == 0
    assert network.segmented == ["a", "b"]
    said = f"warning: {folder}: not segmented, because this folder contains other videos: frames "
    assert said in outcome.err


def test_a_folder_of_videos_with_unreadable_ones(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    for name in ("v.mp4", "w.mp4"):
        make_video(folder, name, num_frames=2)
    for name in ("a.braw", "b.r3d", "x.ts.part", "y.mp4.crdownload", "z.cr2", *(f"{n}.dng" for n in range(7))):
        write(folder / name, b"raw")
    outcome = run_vis("segment", folder, "-o", tmp_path / "out")
    assert (outcome.code, network.segmented) == (0, ["v", "w"])
    incomplete = "the download is incomplete. Finish the download."
    for_videos = "are not decoded. Convert the video to MP4 (H.264)."
    assert outcome.err.count("warning: ") == 11
    for line in (
        *(f"cannot read {folder / f'{n}.dng'}: .dng files {FOR_IMAGES}" for n in range(5)),
        f"{folder}: 2 more .dng files cannot be read.",
        f"cannot read {folder / 'z.cr2'}: .cr2 files {FOR_IMAGES}",
        f"cannot read {folder / 'a.braw'}: .braw files {for_videos}",
        f"cannot read {folder / 'b.r3d'}: .r3d files {for_videos}",
        f"cannot read {folder / 'x.ts.part'}: {incomplete}",
        f"cannot read {folder / 'y.mp4.crdownload'}: {incomplete}",
    ):
        assert f"warning: {line}" in outcome.err


class TestOutput:
    @pytest.mark.parametrize("options", [[], ["--overwrite"]])
    @pytest.mark.parametrize("name", ["clip.json", "clip.mp4"])
    def test_a_folder_with_the_name_of_an_output(
        self, name: str, options: list[str], tmp_path: Path, run_vis: RunVis, network: Network
    ) -> None:
        folder = tmp_path / "out" / name
        folder.mkdir(parents=True)
        outcome = run_vis("segment", make_video(tmp_path, num_frames=2), "-o", folder.parent, *options)
        remedy = "Rename the folder, or use another --out."
        assert outcome.err == f"error: {tmp_path / 'clip.mp4'}: cannot write {folder}: it is a folder. {remedy}"
        assert (outcome.code, network.segmented) == (1, [])
        assert list(folder.parent.iterdir()) == [folder]

    @pytest.mark.parametrize("below", ["", "deeper"])
    def test_a_file_in_the_place_of_the_folder(
        self, below: str, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
    ) -> None:
        out = untouched(write(tmp_path / "out", b"mine"))
        outcome = run_vis("segment", make_video(tmp_path), "-o", out / below)
        assert outcome.code == 2
        assert str(out) in outcome.err
        assert network.loaded == []

    def test_a_folder_that_refuses_files(
        self, tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out")
        assert outcome.code == 2
        assert outcome.err.startswith(f"error: cannot write to {tmp_path / 'out'}: Permission denied")
        assert network.loaded == []

    def test_the_folder_of_the_input_would_overwrite_it(
        self, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
    ) -> None:
        clip = untouched(make_video(tmp_path))
        outcome = run_vis("segment", clip, "-o", tmp_path, "--overwrite")
        assert outcome.code == 2
        assert f"error: cannot write {clip}: it is an input" in outcome.err
        assert run_vis("segment", clip, "-o", tmp_path, "--no-render").code == 0

    @pytest.mark.parametrize("kind", ["videos", "frames"])
    def test_a_folder_that_is_the_input_would_change_what_it_means(
        self, kind: str, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
    ) -> None:
        folder = make_images(tmp_path / "in", ["1.png"]) if kind == "frames" else tmp_path / "in"
        if kind == "videos":
            folder.mkdir()
            make_video(folder, "clip.mov")
        outcome = run_vis("segment", untouched(folder), "-o", folder)
        assert outcome.code == 2
        assert re.match(
            rf"error: cannot write \S+mp4 to {re.escape(str(folder))}: this folder is an input", outcome.err
        )
        assert outcome.err.endswith("Use another -o DIR, or --no-render.")
        assert network.loaded == []
        for _ in range(2):
            assert run_vis("segment", folder, "-o", folder, "--no-render").code == 0
        assert len(network.segmented) == 1

    @pytest.mark.parametrize("name", ["clip.json", "clip.mp4"])
    def test_a_foreign_file_in_the_place_of_an_output(
        self, name: str, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
    ) -> None:
        foreign = untouched(write(tmp_path / "out" / name, b'{"annotations": []}'))
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out")
        assert outcome.code == 1
        assert str(foreign) in outcome.err
        assert network.segmented == []

    def test_the_result_of_another_video(
        self, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark
    ) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        (tmp_path / "b").mkdir()
        other = make_video(tmp_path / "b", num_frames=3)
        run_vis("segment", clip, "-o", out)
        untouched(out / "clip.json")
        untouched(out / "clip.mp4")
        for options in ([], ["--overwrite"]):
            outcome = run_vis("segment", other, "-o", out, "--no-render", *options)
            assert outcome.code == 0
            assert f"{other}: written as clip_mp4" in outcome.err
        assert read_result(out / "clip_mp4.json").video.num_frames == 3

    def test_a_result_whose_video_was_moved_is_kept(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clip, out = make_video(tmp_path), tmp_path / "out"
        run_vis("segment", clip, "-o", out)
        (tmp_path / "b").mkdir()
        moved = clip.rename(tmp_path / "b" / "clip.mp4")
        outcome = run_vis("segment", moved, "-o", out)
        assert outcome.code == 0
        assert "skipped" in outcome.err


def test_ctrl_c_while_the_overlay_is_drawn(
    tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result, complete by then, stays; of the overlay nothing does."""

    def interrupt_at_three(_: OverlayPainter, frame: Frame, index: int) -> Frame:
        if index == 3:
            raise KeyboardInterrupt
        return frame

    monkeypatch.setattr(OverlayPainter, "draw", interrupt_at_three)
    outcome = run_vis("segment", untouched(make_video(tmp_path)), "-o", tmp_path / "out")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.json"]


class TestDiskFull:
    def test_result(
        self, tmp_path: Path, run_vis: RunVis, network: Network, monkeypatch: pytest.MonkeyPatch, untouched: Mark
    ) -> None:
        def half_text(result: VideoResult) -> Iterator[str]:
            text = "".join(iter_json(result))
            yield text[: len(text) // 2]
            raise OSError(errno.ENOSPC, "No space left on device")

        iter_json = result_json._iter_json
        monkeypatch.setattr(result_json, "_iter_json", half_text)
        outcome = run_vis("segment", untouched(make_video(tmp_path)), "-o", tmp_path / "out")
        assert outcome.code == 1
        assert f"cannot write {tmp_path / 'out' / 'clip.json'}: No space left on device. Free disk space" in outcome.err
        assert list((tmp_path / "out").iterdir()) == []

    def test_overlay(self, tmp_path: Path, run_vis: RunVis, network: Network, untouched: Mark) -> None:
        """The limit on a file's size makes a real write fail half-way, in a process of its own."""
        clip, out = untouched(make_video(tmp_path, num_frames=20, size=(320, 240))), tmp_path / "out"
        run_vis("segment", clip, "-o", out, "--no-render")
        code = (
            "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
            "from vis_cli.app import main; sys.argv[0] = 'vis'; main()"
        )
        command = [sys.executable, "-c", code, "render", str(out / "clip.json"), "-o", str(out / "clip.mp4")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"cannot write {out / 'clip.mp4'}: " in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in out.iterdir()] == ["clip.json"]


def test_links_in_a_loop_are_one_line(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for arguments, code in (([make_video(tmp_path), "-o", loop], 2), ([loop, "-o", tmp_path / "out"], 1)):
        outcome = run_vis("segment", *arguments)
        assert outcome.code == code
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("error:") == 1
        assert "loop" in outcome.err


class TestModel:
    def test_unknown_name(self, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "zoo" / "lite" / "weights.safetensors", b"")
        monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path / "zoo")
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        outcome = run_vis("segment", *clips, "-o", tmp_path / "out", "--model", "light")
        assert outcome.code == 2
        assert "no model is named light" in outcome.err
        assert "Did you mean lite?" in outcome.err
        assert outcome.err.count("error:") == 1  # not once a video

    def test_a_folder_that_cannot_be_read(self, tmp_path: Path, run_vis: RunVis) -> None:
        """One error, not one error per video."""
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        for option, name in (("--model", "x" * 300), ("--detector", "./" + "x" * 300), ("--propagator", "x" * 300)):
            outcome = run_vis("segment", *clips, "-o", tmp_path / "out", option, name)
            assert (outcome.code, outcome.err) == (
                2,
                f"error: cannot read {name}: File name too long. Use a shorter path.",
            )

    def test_corrupt_weights(self, tmp_path: Path, run_vis: RunVis, untouched: Mark) -> None:
        weights = untouched(write(tmp_path / "model" / "weights.safetensors", b"\x10" * 100))
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--model", weights.parent)
        assert outcome.code == 2
        assert f"cannot read {weights}: it is not a readable weights file" in outcome.err
        assert "Traceback" not in outcome.err

    def test_another_schema(self, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "model").mkdir()
        save_file({"x": torch.zeros(1)}, tmp_path / "model" / "weights.safetensors", {"schema": "vis-model-0"})
        outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--model", tmp_path / "model")
        assert outcome.code == 2
        assert "has schema 'vis-model-0'" in outcome.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--preset", "ovi", "no preset 'ovi'. Did you mean ovis?"),
        ("--preset", "xyz", "no preset 'xyz'. Use one of: davis-uvos, default,"),
        ("--device", "cudo", "no device 'cudo'. Did you mean cuda?"),
        ("--device", "cuda:x", "no device 'cuda:x'"),
        ("--num-key-frames", "0", "--num-key-frames is 0. Use a whole number from 1 to 1,000,000."),
        ("--short-side", "-1", "--short-side is -1. Use a whole number from 1 to"),
        ("--score-threshold", "1.5", "--score-threshold is 1.5. Use a number from 0 to 1."),
        ("--frame-budget-mb", "-1", "--frame-budget-mb is -1. Use a whole number from 0 to 10,000,000."),
        ("--set", "mask_nms_iou=1.5", "mask_nms_iou is 1.5. Use a number from 0 to 1."),
        ("--set", "mask_nms_iuo=0.5", "no setting 'mask_nms_iuo'. Did you mean mask_nms_iou?"),
        ("--set", "reduction=mns", "reduction is mns. Use nms, soft-nms, category-aware or none."),
        ("--set", "mask_nms_iou", "'mask_nms_iou' has no '='. Use NAME=VALUE"),
        ("--mask-nms-iou", "0.5", "No such option: --mask-nms-iou. Use --set mask_nms_iou=VALUE."),
        ("--detection-score", "0.3", "No such option: --detection-score. Use --set detection_score_threshold=VALUE."),
        ("--sequence-score", "0.3", "No such option: --sequence-score. Use --score-threshold VALUE."),
        ("--no-memory-previous", "--quiet", "No such option: --no-memory-previous. Use --set memory_previous=false."),
        ("--modle", "lite", "--model"),
        ("--reduction", "nms", "No such option: --reduction. Use --set reduction=VALUE."),
    ],
)
def test_an_option_that_cannot_be_meant(
    option: str, value: str, said: str, tmp_path: Path, run_vis: RunVis, network: Network
) -> None:
    outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", option, value)
    assert outcome.code == 2
    assert said in outcome.err
    assert not (tmp_path / "out").exists()
