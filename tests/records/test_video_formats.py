"""Videos in ProRes and VP9, with and without alpha, and the audio of each container."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from tests.records.video_factory import BLUE, GREEN, RED, frame_times, make_video, number_in, picture, quarters_of
from vis_cli.errors import VisError
from vis_cli.records import video_writer
from vis_cli.records.video import open_video, write_video
from vis_cli.records.video_formats import H264, PRORES, PRORES_ALPHA, VP9, VP9_ALPHA, VideoFormat

FORMATS = {".mov": PRORES, ".webm": VP9, ".mp4": H264}
WITH_ALPHA = {".mov": PRORES_ALPHA, ".webm": VP9_ALPHA}
TIMES = [0, 40, 200, 210, 1000, 1010]


def decode(path: Path, pixels: str) -> list[NDArray[np.uint8]]:
    """Decode all frames. FFmpeg's own decoder of VP9 omits alpha, so libvpx decodes VP9."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "vp9":
            return [frame.to_ndarray(format=pixels) for frame in container.decode(stream)]
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]  # type: ignore[attr-defined]
        return [frame.to_ndarray(format=pixels) for frame in frames]


def transparent(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add an alpha channel: 0 in the left half, 255 in the right half."""
    alpha = np.zeros(image.shape[:2], np.uint8)
    alpha[:, image.shape[1] // 2 :] = 255
    return np.dstack([image, alpha])


@pytest.mark.parametrize("suffix", FORMATS)
class TestEachFormat:
    def test_colours_and_tags(self, tmp_path: Path, suffix: str) -> None:
        source, output = open_video(make_video(tmp_path)), tmp_path / f"out{suffix}"
        write_video(output, (picture(number) for number in range(8)), source, video_format=FORMATS[suffix])
        images = list(open_video(output).iter_frames())
        assert [number_in(image) for image in images] == list(range(8))
        np.testing.assert_allclose(quarters_of(images[0]), [RED, GREEN, BLUE], atol=8)
        with av.open(str(output)) as container:
            context = container.streams.video[0].codec_context
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
            assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)

    def test_variable_frame_rate_to_the_end_of_the_last_frame(self, tmp_path: Path, suffix: str) -> None:
        source = open_video(make_video(tmp_path, "a.mkv", num_frames=6, pts_ms=TIMES))
        output = tmp_path / f"out{suffix}"
        write_video(output, source.iter_frames(), source, video_format=FORMATS[suffix])
        end = source.frame_pts(6) * source.time_base
        times = frame_times(output)
        assert times[:6] == [Fraction(time, 1000) for time in TIMES]
        if suffix != ".webm":  # WebM stores no duration of a frame
            assert times[6] == end

    def test_the_shape_of_pixels(self, tmp_path: Path, suffix: str) -> None:
        source = open_video(make_video(tmp_path, options={"aspect": "16/11"}))
        output = tmp_path / f"out{suffix}"
        write_video(output, source.iter_frames(), source, video_format=FORMATS[suffix])
        video = open_video(output)
        assert (video.width, video.pixel_aspect) == ((93, 1) if suffix == ".webm" else (64, Fraction(16, 11)))
        np.testing.assert_allclose(quarters_of(next(video.iter_frames())), [RED, GREEN, BLUE], atol=8)

    def test_high_and_narrow_pixels(self, tmp_path: Path, suffix: str) -> None:
        source = open_video(make_video(tmp_path, options={"aspect": "2/3"}))
        output = tmp_path / f"out{suffix}"
        write_video(output, source.iter_frames(), source, video_format=FORMATS[suffix])
        video = open_video(output)
        assert (video.height, video.pixel_aspect) == ((72, 1) if suffix == ".webm" else (48, Fraction(2, 3)))

    @pytest.mark.parametrize(("sound", "name"), [("aac", "a.mp4"), ("pcm_s16le", "a.mov"), ("libopus", "a.mkv")])
    def test_audio(self, tmp_path: Path, suffix: str, sound: str, name: str) -> None:
        source = open_video(make_video(tmp_path, name, num_frames=20, sound=sound))
        output = tmp_path / f"out{suffix}"
        write_video(output, source.iter_frames(), source, video_format=FORMATS[suffix])
        with av.open(str(output)) as container:
            stream = container.streams.audio[0]
            names = {".mp4": {"aac", "opus"}, ".mov": {"aac"}, ".webm": {"opus"}}
            assert stream.codec_context.name in names[suffix]
            samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
        assert len(samples) == pytest.approx(38_400, abs=3000)
        assert np.abs(samples).max() == pytest.approx(1 / 3, abs=0.1)

    def test_grey_frames_use_all_levels(self, tmp_path: Path, suffix: str) -> None:
        source, output = open_video(make_video(tmp_path, num_frames=1)), tmp_path / f"out{suffix}"
        matte = np.zeros((48, 64), np.uint8)
        matte[:, 32:] = 255
        write_video(output, [matte], source, video_format=FORMATS[suffix])
        image = next(open_video(output).iter_frames())
        np.testing.assert_allclose(image[20, [8, 56]], [[0] * 3, [255] * 3], atol=4)


@pytest.mark.parametrize("suffix", WITH_ALPHA)
@pytest.mark.parametrize("size", [(64, 48), (65, 49)])
def test_alpha(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    source, output = open_video(make_images_of(tmp_path, size)), tmp_path / f"out{suffix}"
    frames = (transparent(picture(number, size)) for number in range(3))
    write_video(output, frames, source, video_format=WITH_ALPHA[suffix])
    images = decode(output, "rgba")
    assert len(images) == 3
    for number, image in enumerate(images):
        assert image.shape == (size[1], size[0], 4)
        assert number_in(image[..., :3]) == number
        np.testing.assert_allclose(quarters_of(image[..., :3]), [RED, GREEN, BLUE], atol=8)
        # FFmpeg decodes 12 bits of ProRes, which rounds alpha by 1 in 255.
        np.testing.assert_allclose(image[..., 3][:, [4, -4]], np.tile([0, 255], (size[1], 1)), atol=1)
    video = open_video(output)
    assert (video.width, video.height) == size


def make_images_of(folder: Path, size: tuple[int, int]) -> Path:
    return make_video(folder, "a.mkv", codec="ffv1", pix_fmt="bgra", size=size, num_frames=3)


def test_a_missing_encoder_is_one_line(tmp_path: Path) -> None:
    source = open_video(make_video(tmp_path))
    missing = dataclasses.replace(VP9, encoder="no-vp9")
    with pytest.raises(VisError) as caught:
        write_video(tmp_path / "out.webm", source.iter_frames(), source, video_format=missing)
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'out.webm'}: the FFmpeg libraries of PyAV have no encoder no-vp9. "
        "Use a name that ends in .mov, or a folder for PNG images."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_missing_audio_encoder_is_one_line(tmp_path: Path) -> None:
    source = open_video(make_video(tmp_path, sound="aac"))
    missing: VideoFormat = dataclasses.replace(VP9, audio=dataclasses.replace(VP9.audio, encoder="no-opus"))
    with pytest.raises(VisError, match=r"have no encoder no-opus\. Use a name that ends in \.mov"):
        write_video(tmp_path / "out.webm", source.iter_frames(), source, video_format=missing)


def test_a_size_that_the_codec_does_not_allow_names_other_formats(tmp_path: Path) -> None:
    source = open_video(make_video(tmp_path))
    small = dataclasses.replace(H264, max_side=60)
    with pytest.raises(VisError, match=r"the frames are 64x48, the limit of H\.264 is 60 pixels per side\. Use a name"):
        write_video(tmp_path / "out.mp4", source.iter_frames(), source, video_format=small)


def test_a_conversion_to_ten_bits_is_deterministic(tmp_path: Path) -> None:
    """FFmpeg writes random values into some pixels of widths that are no multiple of 32."""
    size = (66, 50)
    source = open_video(make_images_of(tmp_path, size))
    image = transparent(np.random.default_rng(0).integers(0, 256, (50, 66, 3), dtype=np.uint8))
    scaler = VideoReformatter()
    frames = [video_writer._frame(image, 0, source, WITH_ALPHA[".mov"], scaler) for _ in range(20)]
    assert len({tuple(bytes(plane) for plane in frame.planes) for frame in frames}) == 1
