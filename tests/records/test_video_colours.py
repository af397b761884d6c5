"""Tests of colours and the shape of pixels: what a player shows of a source and of its overlay is the same."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.video_factory import QUARTER_TURNS, make_video, picture, rewrite, set_display_matrix, write_image
from vis_cli.errors import VisError
from vis_cli.records.video import open_video, overlay_problem, write_video

RED_AND_MORE = ((251, 10, 10), (10, 200, 30), (30, 40, 220), (128, 128, 128))
UNTAGGED, BT709, BT601, BT2020 = 2, 1, 6, 9
LIMITED, FULL = 1, 2
WEIGHTS = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}  # of red and blue in luma


def to_yuv(image: NDArray[np.uint8], matrix: int, *, full_range: bool) -> NDArray[np.uint8]:
    """Return the planes (3, H, W) of Y, Cb and Cr by the formula of ITU-T H.273: PyAV 17 cannot encode as BT.2020."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = [(blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)]
    offset, luma_scale, chroma_scale = (0, 1.0, 1.0) if full_range else (16, 219 / 255, 224 / 255)
    planes = [offset + luma_scale * luma, *(128 + chroma_scale * plane for plane in chroma)]
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def encode(path: Path, size: tuple[int, int], *, matrix: int, tag: int, full_range: bool = False) -> NDArray[np.uint8]:
    """Encode four stripes of colour with a matrix, tagged with another or none; return the picture."""
    image = np.repeat(np.array(RED_AND_MORE, np.uint8), size[0] // 4, axis=0)[None].repeat(size[1], 0)
    planes = to_yuv(image, matrix, full_range=full_range)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        context = stream.codec_context
        context.colorspace, context.color_range = tag, FULL if full_range else LIMITED
        frame.colorspace, frame.color_range = tag, FULL if full_range else LIMITED
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return image


@pytest.mark.parametrize(
    ("size", "matrix", "tag"),
    [
        ((1280, 64), BT709, UNTAGGED),
        ((64, 720), BT709, UNTAGGED),
        ((720, 576), BT601, UNTAGGED),
        ((64, 48), BT709, BT709),
        ((64, 48), BT601, BT601),
        ((1280, 64), BT601, BT601),
        ((64, 48), BT2020, BT2020),
    ],
)
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_of_a_video_and_of_its_overlay(
    tmp_path: Path, size: tuple[int, int], matrix: int, tag: int, full_range: bool
) -> None:
    expected = encode(tmp_path / "a.mp4", size, matrix=matrix, tag=tag, full_range=full_range).astype(int)
    image = next(open_video(tmp_path / "a.mp4").iter_frames())
    np.testing.assert_allclose(image.astype(int), expected, atol=4)
    rewrite(tmp_path / "a.mp4", tmp_path / "out.mp4")
    middles = np.arange(4) * (size[0] // 4) + size[0] // 8  # of the stripes: chroma is shared at their edges
    overlay = next(open_video(tmp_path / "out.mp4").iter_frames())
    np.testing.assert_allclose(overlay[20, middles].astype(int), expected[20, middles], atol=8)


@pytest.mark.parametrize("degrees", [0, 90])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, degrees: int) -> None:
    path = make_video(tmp_path, options={"aspect": "16/11"})
    set_display_matrix(path, QUARTER_TURNS[degrees])
    source = rewrite(path, tmp_path / "out.mp4")
    expected = Fraction(16, 11) if degrees == 0 else Fraction(11, 16)
    assert source.pixel_aspect == expected
    assert open_video(tmp_path / "out.mp4").pixel_aspect == expected


def test_square_pixels_stay_square(tmp_path: Path) -> None:
    rewrite(make_video(tmp_path), tmp_path / "out.mp4")
    assert open_video(tmp_path / "out.mp4").pixel_aspect == 1


@pytest.mark.parametrize("size", [(16_386, 2), (2, 16_385)])
def test_a_size_that_h264_does_not_allow_is_named_before_the_work(tmp_path: Path, size: tuple[int, int]) -> None:
    write_image(tmp_path / "a.png", picture(0, size))
    source = open_video(tmp_path / "a.png")
    problem = overlay_problem(source)
    assert problem is not None
    assert "16,384 pixels per side" in str(problem)
    assert "--no-render" in str(problem)
    with pytest.raises(VisError, match="16,384 pixels per side"):
        write_video(tmp_path / "out.mp4", source.iter_frames(), source)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("size", [(16_384, 2), (16_383, 1), (1, 16_383)])
def test_the_largest_size_of_h264_is_written(tmp_path: Path, size: tuple[int, int]) -> None:
    write_image(tmp_path / "a.png", picture(0, size))
    source = open_video(tmp_path / "a.png")
    assert overlay_problem(source) is None
    write_video(tmp_path / "out.mp4", source.iter_frames(), source)
    assert open_video(tmp_path / "out.mp4").num_frames == 1
