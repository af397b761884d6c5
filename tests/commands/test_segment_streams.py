"""Tests of `vis segment` on files with several streams, and on frames that H.264 cannot hold."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from tests.commands.conftest import Network, RunVis
from tests.records.video_factory import make_entry, make_images, make_video, picture, two_streams, write_image
from vis_cli.records.result_json import read_result


def test_a_chosen_stream_is_stored_and_drawn_again(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    source, out = two_streams(tmp_path / "dash.mp4"), tmp_path / "out"
    assert run_vis("segment", source, "-o", out, "--stream", 0, "--no-render").code == 0
    result = read_result(out / "dash.json")
    assert (result.video.width, result.video.num_frames) == (64, 4)
    assert result.video.source is not None
    assert result.video.source.stream == 0
    assert run_vis("render", out / "dash.json", "-o", tmp_path / "drawn.mp4").code == 0
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (64, 4)
    assert "skipped" in run_vis("segment", source, "-o", out, "--stream", 0, "--no-render").err
    other = run_vis("segment", source, "-o", out, "--stream", 1, "--no-render")
    assert other.code == 1
    assert "video stream 0 -> 1" in other.err
    missing = run_vis("segment", source, "-o", tmp_path / "more", "--stream", 2)
    assert missing.code == 1
    assert "the file has 2 video streams" in missing.err


def test_without_a_choice_the_streams_are_counted(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    outcome = run_vis("segment", two_streams(tmp_path / "dash.mp4"), "-o", tmp_path / "out", "--no-render")
    assert outcome.code == 0
    assert "2 video streams" in outcome.err
    source = read_result(tmp_path / "out" / "dash.json").video.source
    assert source is not None
    assert source.stream is None


def test_frames_that_h264_cannot_hold_keep_their_result(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    write_image(tmp_path / "wide.png", picture(0, (16_386, 4)))
    outcome = run_vis("segment", tmp_path / "wide.png", "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.index("16,384 pixels per side. Use --no-render.") < outcome.err.index("error:")
    assert outcome.err.count("error:") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wide.json"]
    assert run_vis("segment", tmp_path / "wide.png", "-o", tmp_path / "out", "--no-render").code == 0
    assert network.segmented == ["wide"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_an_unreadable_entry_fails_alone_in_a_batch(
    tmp_path: Path, run_vis: RunVis, network: Network, kind: str
) -> None:
    (tmp_path / "day").mkdir()
    make_video(tmp_path / "day", "a.mp4", num_frames=2)
    make_entry(tmp_path / "day" / "b.mp4", kind)
    outcome = run_vis("segment", tmp_path / "day", "-o", tmp_path / "out", "--no-render")
    assert outcome.code == 1
    assert network.segmented == ["a"]
    assert outcome.err.count("error:") == 1
    assert "b.mp4" in outcome.err


def test_a_frame_folder_with_a_broken_link_fails_alone(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    for name in ("bear", "cat"):
        make_images(tmp_path / "day" / name, ["0.png", "1.png"])
    (tmp_path / "day" / "bear" / "0_5.png").symlink_to("gone.png")
    outcome = run_vis("segment", tmp_path / "day", "-o", tmp_path / "out", "--no-render")
    assert (outcome.code, network.segmented) == (1, ["cat"])
    assert "0_5.png: the target of the symbolic link does not exist" in outcome.err


def test_a_preview_next_to_the_frames_is_named(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    make_images(tmp_path / "frames", [f"{number}.jpg" for number in range(12)])
    make_video(tmp_path / "frames", "preview.mp4", num_frames=2)
    outcome = run_vis("segment", tmp_path / "frames", "-o", tmp_path / "out", "--no-render")
    assert (outcome.code, network.segmented) == (0, ["frames"])
    assert read_result(tmp_path / "out" / "frames.json").video.num_frames == 12
    assert "warning:" in outcome.err
    assert "preview.mp4" in outcome.err


def test_a_pipe_is_named_for_what_it_is(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    reader, writer = os.pipe()
    try:
        outcome = run_vis("segment", f"/dev/fd/{reader}", "-o", tmp_path / "out", "--no-render")
    finally:
        os.close(reader)
        os.close(writer)
    assert outcome.code == 1
    assert "the path is a pipe. Save its content to a file" in outcome.err
