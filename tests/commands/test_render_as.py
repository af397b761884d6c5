"""`vis render --as`: mattes, cut-outs, redaction and contact sheets as files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.result_factory import make_instance
from tests.records.test_video_formats import decode
from tests.records.video_factory import QUARTER_TURNS, frame_times, make_images, make_video, picture
from vis_cli.commands import rendering
from vis_cli.records.renderings.modes import MODES
from vis_cli.records.renderings.redaction import GREY
from vis_cli.records.result_json import write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import InstanceSequence
from vis_cli.records.video import frame_times as video_times
from vis_cli.records.video import open_video
from vis_cli.settings import SegmentSettings

from .conftest import RunVis, make_found

NUM_FRAMES = 8
EXACT = ("--dilation", 0, "--hold", 0, "--margin", 0, "--gap", 0)
PANDA, CAT = 3, 7
OUTPUTS = [(mode, "o.jpg" if mode == "contact-sheet" else "o.mov") for mode in MODES]


def make_instances(size: tuple[int, int]) -> list[InstanceSequence]:
    """Return a cat in the upper left quarter, and a panda below it that is absent in the frames 3 and 4."""
    width, height = size
    upper, lower = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)
    upper[: height // 2, : width // 2] = True
    lower[height // 2 :, : width // 2] = True
    seen = [None if frame in (3, 4) else lower for frame in range(NUM_FRAMES)]
    return [
        make_instance(1, [upper] * NUM_FRAMES, category_id=CAT),
        make_instance(2, seen, category_id=PANDA, score=0.2, confident=False),
    ]


def write_found(video_path: Path, path: Path, instances: Sequence[InstanceSequence] | None = None) -> Path:
    video = open_video(video_path)
    found = make_found(video, NUM_FRAMES, 0, SegmentSettings())
    size = (video.width, video.height)
    info = dataclasses.replace(
        found.video,
        source=identify_source(video_path),
        frame_names=video.frame_names,
        timestamps=video_times(video, video.count_frames()),
    )
    chosen = make_instances(size) if instances is None else instances
    write_result(dataclasses.replace(found, video=info, instances=tuple(chosen)), path)
    return path


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_found(make_video(tmp_path, sound="aac"), tmp_path / "clip.json")


def grey_frames(path: Path) -> list[list[bool]]:
    """Return whether the middles of the upper left and the lower left quarter of each frame are grey."""
    frames = []
    for image in open_video(path).iter_frames():
        height, width = image.shape[:2]
        pixels = image[[height // 4, height * 3 // 4], width // 4].astype(int)
        frames.append((np.abs(pixels - GREY).max(axis=-1) < 8).tolist())
    return frames


def audio_codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.name for stream in container.streams.audio]


@pytest.mark.parametrize(("mode", "name"), OUTPUTS)
class TestEveryMode:
    def test_writes_its_file(self, mode: str, name: str, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", result, "--as", mode, "-o", tmp_path / "new" / name)
        assert (outcome.code, outcome.out) == (0, "")
        drawn = 2 if MODES[mode].is_redaction else 1
        assert outcome.err.startswith(f"{tmp_path / 'new' / name}: {drawn} of 2 instances {MODES[mode].verb}")
        assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
        if mode != "contact-sheet":
            assert len(list(open_video(tmp_path / "new" / name).iter_frames())) == NUM_FRAMES
            assert audio_codecs(tmp_path / "new" / name) == ["aac"]

    def test_a_result_without_instances(self, mode: str, name: str, tmp_path: Path, run_vis: RunVis) -> None:
        result = write_found(make_video(tmp_path), tmp_path / "clip.json", [])
        outcome = run_vis("render", result, "--as", mode, "-o", tmp_path / name)
        assert outcome.code == 0
        assert "0 of 0 instances" in outcome.err
        assert (tmp_path / name).stat().st_size > 0

    def test_existing_files_are_kept(self, mode: str, name: str, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / name).write_bytes(b"mine")
        outcome = run_vis("render", result, "--as", mode, "-o", tmp_path / name)
        assert outcome.code == 2
        assert outcome.err == f"error: cannot write {tmp_path / name}: it exists. Use --overwrite to replace it."
        assert (tmp_path / name).read_bytes() == b"mine"
        assert run_vis("render", result, "--as", mode, "-o", tmp_path / name, "--overwrite").code == 0

    def test_a_folder_of_images_in_a_folder(self, mode: str, name: str, tmp_path: Path, run_vis: RunVis) -> None:
        names = [f"{number}.png" for number in range(NUM_FRAMES)]
        result = write_found(make_images(tmp_path / "frames", names), tmp_path / "r" / "frames.json")
        assert run_vis("render", result, "--as", mode, "-o", tmp_path / "out").code == 0
        suffix = MODES[mode].in_folder
        written = [path.name for path in sorted((tmp_path / "out").iterdir())]
        assert written == (names if suffix == ".png" else [f"frames{suffix}"])


@pytest.mark.parametrize("mode", ["alpha", "matte", "blur"])
def test_frames_of_an_odd_size(mode: str, tmp_path: Path, run_vis: RunVis) -> None:
    clip = make_video(tmp_path, "a.mkv", codec="ffv1", pix_fmt="bgra", size=(65, 49))
    result = write_found(clip, tmp_path / "a.json")
    for suffix in (".mov", ".webm"):
        assert run_vis("render", result, "--as", mode, "-o", tmp_path / f"o{suffix}").code == 0
        video = open_video(tmp_path / f"o{suffix}")
        assert (video.width, video.height) == (65, 49)


def test_an_unknown_mode(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", result, "--as", "blurr", "-o", tmp_path / "o.mp4")
    assert outcome.code == 2
    assert outcome.err == "error: --as: no mode 'blurr'. Did you mean blur?"


class TestAlpha:
    @pytest.mark.parametrize("suffix", [".mov", ".webm"])
    def test_objects_are_opaque_and_the_rest_is_not(
        self, suffix: str, result: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        assert run_vis("render", result, "--as", "alpha", "--only", "cat", "-o", tmp_path / f"o{suffix}").code == 0
        images = decode(tmp_path / f"o{suffix}", "rgba")
        assert len(images) == NUM_FRAMES
        for number, image in enumerate(images):
            assert image[12, 16, 3] == 255
            np.testing.assert_allclose(image[12, 16, :3], picture(number)[12, 16], atol=8)
            assert image[36, 16, 3] == image[12, 50, 3] == 0

    def test_png_images_are_exact(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", result, "--as", "alpha", "--only", "pandda,1", "-o", tmp_path / "o")
        assert outcome.code == 2
        assert "no instance or category pandda" in outcome.err
        assert "giant_panda" in outcome.err
        assert run_vis("render", result, "--as", "alpha", "--only", "giant-panda,1", "-o", tmp_path / "o").code == 0
        paths = sorted((tmp_path / "o").iterdir())
        assert [path.name for path in paths] == [f"{number:06d}.png" for number in range(NUM_FRAMES)]
        source = list(open_video(tmp_path / "clip.mp4").iter_frames())
        for number, path in enumerate(paths):
            image = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
            alpha = np.zeros((48, 64), np.uint8)
            alpha[: 24 if number in (3, 4) else 48, :32] = 255
            np.testing.assert_array_equal(image[..., 3], alpha)
            np.testing.assert_array_equal(image[alpha > 0][:, :3], source[number][alpha > 0])

    def test_mp4_cannot_store_it(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", result, "--as", "alpha", "-o", tmp_path / "o.mp4")
        assert outcome.code == 2
        assert outcome.err == (
            f"error: cannot write {tmp_path / 'o.mp4'}: MP4 cannot store transparency. "
            "Use a name that ends in .mov or .webm, or a folder for PNG images."
        )
        outcome = run_vis("render", result, "--as", "cutout", "-o", tmp_path, "--format", "mp4")
        assert outcome.code == 2
        assert "Or use --background white." in outcome.err

    def test_a_missing_codec_names_other_formats(
        self, result: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        missing = dataclasses.replace(rendering.PRORES_ALPHA, encoder="no-prores")
        monkeypatch.setattr(rendering, "PRORES_ALPHA", missing)
        outcome = run_vis("render", result, "--as", "alpha", "-o", tmp_path / "o.mov")
        assert outcome.code == 1
        assert outcome.err == (
            f"error: cannot write {tmp_path / 'o.mov'}: the FFmpeg libraries of PyAV have no encoder no-prores. "
            "Use a name that ends in .webm, or a folder for PNG images."
        )


class TestMatteAndCutout:
    def test_a_matte_in_mp4(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        assert run_vis("render", result, "--as", "matte", "--only", "1,2", "-o", tmp_path / "o.mp4").code == 0
        images = list(open_video(tmp_path / "o.mp4").iter_frames())
        levels = [image[[12, 36, 12], [16, 16, 50]].mean(axis=-1) for image in images]
        lower = [0 if number in (3, 4) else 255 for number in range(NUM_FRAMES)]
        np.testing.assert_allclose(levels, [[255, value, 0] for value in lower], atol=6)

    @pytest.mark.parametrize(("name", "colour"), [("white", (255, 255, 255)), ("green", (0, 177, 64))])
    def test_a_cutout_on_a_colour(
        self, name: str, colour: tuple[int, int, int], result: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        command = ["render", result, "--as", "cutout", "--background", name, "-o", tmp_path / "o.mp4"]
        assert run_vis(*command).code == 0
        image = next(open_video(tmp_path / "o.mp4").iter_frames())
        np.testing.assert_allclose(image[12, 16], picture(0)[12, 16], atol=8)
        np.testing.assert_allclose(image[40, 50], colour, atol=8)

    @pytest.mark.parametrize("options", [["--format", "webm"], []])
    def test_one_file_per_object(self, options: list[str], result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        command = ["render", result, "--as", "matte", "--per-object", "--only", "1,2", "-o", tmp_path / "out"]
        outcome = run_vis(*command, *options)
        assert outcome.code == 0
        assert outcome.err == f"{tmp_path / 'out'}: 2 of 2 instances written"
        paths = sorted((tmp_path / "out").iterdir())
        assert [path.name for path in paths] == (["clip_1.webm", "clip_2.webm"] if options else ["clip_1", "clip_2"])
        for path, row in zip(paths, (12, 36), strict=True):
            image = next(open_video(path).iter_frames())
            np.testing.assert_allclose(image[[row, 48 - row], 16].mean(axis=-1), [255, 0], atol=6)

    def test_several_objects_need_a_folder(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        command = ["render", result, "--as", "alpha", "--per-object", "-o", tmp_path / "o.webm"]
        outcome = run_vis(*command, "--only", "1,2")
        assert outcome.code == 2
        assert "--per-object writes 2 files. Use a folder with --format webm, or --only ID." in outcome.err
        assert run_vis(*command, "--only", "2").code == 0
        assert (tmp_path / "o.webm").is_file()

    def test_no_object_for_its_own_file(self, tmp_path: Path, run_vis: RunVis) -> None:
        result = write_found(make_video(tmp_path), tmp_path / "clip.json", [])
        outcome = run_vis("render", result, "--as", "alpha", "--per-object", "-o", tmp_path / "out")
        assert outcome.code == 0
        assert not (tmp_path / "out").exists()


class TestRedaction:
    def test_the_default_covers_all_instances_and_their_gaps(
        self, result: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        outcome = run_vis("render", result, "--as", "grey-out", "-o", tmp_path / "o.mp4")
        assert "2 of 2 instances greyed out" in outcome.err
        assert grey_frames(tmp_path / "o.mp4") == [[True, True]] * NUM_FRAMES
        assert audio_codecs(tmp_path / "o.mp4") == ["aac"]

    def test_a_category_is_covered_in_all_its_frames(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        command = ["render", result, "--as", "grey-out", "--only", "giant panda", "-o", tmp_path / "o.mp4"]
        assert run_vis(*command, *EXACT).code == 0
        absent = [[False, frame not in (3, 4)] for frame in range(NUM_FRAMES)]
        assert grey_frames(tmp_path / "o.mp4") == absent
        assert run_vis(*command, *EXACT[:-1], 1, "--overwrite").code == 0  # --gap 1
        assert grey_frames(tmp_path / "o.mp4") == [[False, True]] * NUM_FRAMES
        assert run_vis(*command, *EXACT, "--hold", 0.04, "--overwrite").code == 0
        assert grey_frames(tmp_path / "o.mp4") == [[False, True]] * NUM_FRAMES

    @pytest.mark.parametrize("mode", ["blur", "pixelate"])
    def test_blocks(self, mode: str, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        """A detail of 4 pixels inside of the object, in frames without compression, is gone."""
        folder = make_images(tmp_path / "frames", [f"{number}.png" for number in range(NUM_FRAMES)])
        for path in folder.iterdir():
            image = cv2.imread(str(path))
            image[10:14, 14:18] = 255
            cv2.imwrite(str(path), image)
        clip = write_found(folder, tmp_path / "frames.json")
        command = ["render", clip, "--as", mode, "--only", "1", "--format", "png", *EXACT]
        spread = []
        for blocks in (2, 16):
            out = tmp_path / f"{mode}{blocks}"
            assert run_vis(*command, "-o", out, "--blocks", blocks).code == 0
            image = cv2.imread(str(out / "0.png"))
            spread.append(np.ptp(image[:24, :32].reshape(-1, 3).astype(int), axis=0).max())
            np.testing.assert_array_equal(image[24:], cv2.imread(str(folder / "0.png"))[24:])
        assert 1.2 * spread[0] < spread[1]

    def test_min_score_applies(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        command = ["render", result, "--as", "grey-out", "-o", tmp_path / "o.mp4", "--min-score", 0.5]
        outcome = run_vis(*command)
        assert "1 of 2 instances greyed out 1 less likely instance is left out" in outcome.err
        assert grey_frames(tmp_path / "o.mp4")[7] == [True, False]


class TestTheVideo:
    def test_variable_frame_rate(self, tmp_path: Path, run_vis: RunVis) -> None:
        times = [0, 40, 200, 210, 1000, 1010, 1050, 1100]
        result = write_found(make_video(tmp_path, "a.mkv", pts_ms=times), tmp_path / "a.json")
        for name in ("o.mp4", "o.mov", "o.webm"):
            assert run_vis("render", result, "--as", "blur", "-o", tmp_path / name).code == 0
            assert frame_times(tmp_path / name)[:-1] == [Fraction(time, 1000) for time in times]
            assert audio_codecs(tmp_path / name) == []

    def test_rotation(self, tmp_path: Path, run_vis: RunVis) -> None:
        clip = make_video(tmp_path, matrix=QUARTER_TURNS[90])  # type: ignore[arg-type]
        result = write_found(clip, tmp_path / "clip.json")
        for name in ("o.mp4", "o.mov", "o.webm"):
            command = ["render", result, "--as", "grey-out", "--only", "1", *EXACT, "-o", tmp_path / name]
            assert run_vis(*command).code == 0
            video = open_video(tmp_path / name)
            assert (video.width, video.height) == (48, 64)
            assert grey_frames(tmp_path / name)[0] == [True, False]

    def test_hdr_is_reported(self, tmp_path: Path, run_vis: RunVis) -> None:
        path = tmp_path / "hdr.mkv"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc = 9, 9, 16
            for number in range(NUM_FRAMES):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format="yuv420p10le")
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        outcome = run_vis("render", write_found(path, tmp_path / "hdr.json"), "--as", "blur", "-o", tmp_path / "o.mp4")
        assert outcome.code == 0
        assert f"warning: {path}: the video is HDR (PQ), but its frames are read as SDR with 8 bits" in outcome.err

    def test_a_source_with_alpha(self, tmp_path: Path, run_vis: RunVis) -> None:
        clip = make_video(tmp_path, "a.mov", codec="prores_ks", pix_fmt="yuva444p10le")
        result = write_found(clip, tmp_path / "a.json")
        assert run_vis("render", result, "--as", "alpha", "-o", tmp_path / "o.mov").code == 0
        assert decode(tmp_path / "o.mov", "rgba")[0][[12, 40], [16, 50], 3].tolist() == [255, 0]


class TestSeveralResults:
    @pytest.fixture
    def results(self, tmp_path: Path) -> Path:
        for name in ("a", "b"):
            write_found(make_video(tmp_path, f"{name}.mp4"), tmp_path / "results" / f"{name}.json")
        return tmp_path / "results"

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (["--as", "blur"], ["a.mp4", "b.mp4"]),
            (["--as", "blur", "--format", "webm"], ["a.webm", "b.webm"]),
            (["--as", "matte"], ["a", "b"]),
            (["--as", "contact-sheet", "--format", "png"], ["a.png", "b.png"]),
            (["--as", "cutout", "--per-object"], ["a_1", "b_1"]),
        ],
    )
    def test_write_into_a_folder(
        self, options: list[str], names: list[str], results: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        assert run_vis("render", results, *options, "-o", tmp_path / "out").code == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names

    def test_one_file_is_rejected(self, results: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", results, "--as", "blur", "-o", tmp_path / "o.mp4")
        assert outcome.code == 2
        assert "one file contains one video. Use a folder." in outcome.err

    def test_if_one_fails_the_others_are_written(self, results: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (results / "a.json").write_text((results / "a.json").read_text()[:-20])
        outcome = run_vis("render", results / "a.json", results / "b.json", "-o", tmp_path / "out")
        assert outcome.code == 1
        assert "a.json: not a JSON file" in outcome.err
        assert outcome.err.endswith("error: 1 of 2 results failed")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]

    def test_equal_names(self, results: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "more").mkdir()
        other = (results / "b.json").rename(tmp_path / "more" / "a.json")
        outcome = run_vis("render", results / "a.json", other, "-o", tmp_path / "out")
        assert outcome.code == 1
        assert f"cannot render {other}: another result has this name" in outcome.err
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]

    def test_a_source_of_another_result_is_never_overwritten(
        self, results: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        (results / "a.json").rename(results / "b2.json")
        (results / "b.json").rename(results / "a.json")  # its output is the video of the other result
        before = (tmp_path / "a.mp4").read_bytes()
        outcome = run_vis("render", results, "-o", tmp_path, "--overwrite")
        assert outcome.code == 1
        assert f"cannot write {tmp_path / 'a.mp4'}: it is an input" in outcome.err
        assert (tmp_path / "a.mp4").read_bytes() == before

    def test_a_selection_needs_one_of_them(self, results: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", results, "--only", "cta", "-o", tmp_path / "out")
        assert outcome.code == 2
        assert "no instance or category cta. Did you mean cat?" in outcome.err
        assert not (tmp_path / "out").exists()

    def test_a_video_for_several_results(self, results: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("render", results, "--video", tmp_path / "a.mp4", "-o", tmp_path / "out")
        assert outcome.code == 2
        assert "--video needs one result, but there are 2" in outcome.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--as overlay --hold 1 -o o.mp4", "--hold does not apply to overlay. Omit --hold."),
        ("--as matte --blocks 4 -o o.mp4", "--blocks does not apply to matte"),
        ("--as grey-out --blocks 4 -o o.mp4", "--blocks does not apply to grey-out"),
        ("--as blur --per-object -o out", "--per-object does not apply to blur"),
        ("--as alpha --background green -o out", "--background does not apply to alpha"),
        ("--as cutout --background gren -o out", "no background 'gren'. Did you mean green?"),
        ("--as matte --format mp4 -o o.mp4", "--format applies to a folder, but o.mp4 is a file. Omit --format."),
        ("--as matte --format avi -o out", "no format 'avi'. Use one of: mp4, mov, webm, png."),
        ("--as contact-sheet --format mp4 -o out", "no format 'mp4'. Use one of: jpg, jpeg, png."),
        ("--as contact-sheet -o o.mp4", "contact-sheet does not write .mp4 files. Use a name that ends in .jpg."),
        ("--as blur -o o.jpg", "blur does not write .jpg files. Use a name that ends in .mp4."),
        ("--as alpha -o o.avi", "alpha does not write .avi files. Use a name that ends in .mov or .webm, or"),
        ("--as matte -o o.zip", "matte does not write .zip files"),
        ("--as blur -o clip.json", "blur does not write .json files"),
        ("--as blur --dilation -1 -o o.mp4", "Invalid value for '--dilation'"),
        ("--as blur --hold nan -o o.mp4", "--hold"),
        ("--as blur --gap inf -o o.mp4", ""),
    ],
)
def test_options_that_do_not_fit(
    options: str, said: str, result: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_vis("render", result, *options.split())
    assert outcome.code == (2 if said else 0)
    assert said in outcome.err
    if said:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.json", "clip.mp4"]


class TestFolders:
    def test_existing_images_are_kept(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        out = tmp_path / "out"
        make_images(out, ["mine.png"])
        outcome = run_vis("render", result, "--as", "matte", "-o", out)
        assert outcome.code == 2
        assert outcome.err == f"error: cannot write {out}: it exists. Use --overwrite to replace it."
        outcome = run_vis("render", result, "--as", "matte", "-o", out, "--overwrite")
        assert outcome.code == 0
        assert f"{out} also contains 1 file that this export did not write" in outcome.err

    def test_the_folder_of_the_frames_is_never_an_output(self, tmp_path: Path, run_vis: RunVis) -> None:
        names = [f"{number}.png" for number in range(NUM_FRAMES)]
        frames = make_images(tmp_path / "frames", names)
        result = write_found(frames, tmp_path / "frames.json")
        before = [path.read_bytes() for path in sorted(frames.iterdir())]
        for out, cause in ((frames, "it is the video itself"), (tmp_path, "contains the input")):
            outcome = run_vis("render", result, "--as", "matte", "-o", out, "--overwrite")
            assert outcome.code == 2
            assert cause in outcome.err
        assert [path.read_bytes() for path in sorted(frames.iterdir())] == before

    def test_after_a_failure_no_image_remains(
        self, result: Path, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = make_video(tmp_path, "other.mp4", num_frames=5)
        found = write_found(make_video(tmp_path, "longer.mp4"), tmp_path / "longer.json")
        monkeypatch.setattr("vis_cli.commands.render.find_source", lambda *_: other)
        outcome = run_vis("render", found, "--as", "matte", "-o", tmp_path / "out")
        assert outcome.code == 1
        assert "it has 5 frames, but the result has 8" in outcome.err
        assert not (tmp_path / "out").exists()


def decoded(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def test_a_contact_sheet_shows_one_thumbnail_per_instance(result: Path, tmp_path: Path, run_vis: RunVis) -> None:
    widths = []
    for only in ("1", "1,2"):
        assert (
            run_vis("render", result, "--as", "contact-sheet", "--only", only, "-o", tmp_path / f"{only}.png").code == 0
        )
        widths.append(decoded(tmp_path / f"{only}.png").shape[1])
    assert widths == [8 + 248, 8 + 2 * 248]
