"""The video of a page: its size, the times of its frames, and the thumbnails."""

from __future__ import annotations

import base64
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.records.result_factory import make_instance, make_result
from tests.records.video_factory import frame_times, make_video, numbers_in, quarters_of
from vis_cli.errors import VisError
from vis_cli.records.report import preview, thumbnails
from vis_cli.records.report.facts import gather_facts
from vis_cli.records.report.preview import write_preview
from vis_cli.records.report.thumbnails import silhouettes
from vis_cli.records.video import open_video

from .factory import SIZE, UNEVEN_MS, hard_result


def no_progress(*_: object) -> None:
    pass


def decode(url: str | None) -> np.ndarray:
    assert url is not None
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), -1)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(int)


def test_frames_and_times_are_those_of_the_source(tmp_path: Path) -> None:
    source = make_video(tmp_path, num_frames=20, size=(64, 48), pts_ms=UNEVEN_MS, sound="aac")
    facts, done = gather_facts(hard_result()), []
    written = write_preview(facts, open_video(source), tmp_path / "p.mp4", lambda *step: done.append(step))
    shown = open_video(written.path)
    assert numbers_in(shown.iter_frames()) == list(range(20))
    assert (shown.width, shown.height, shown.has_audio) == (64, 48, False)
    assert written.times == pytest.approx([ms / 1000 for ms in UNEVEN_MS])
    assert [float(time) for time in frame_times(written.path)[:-1]] == pytest.approx(list(written.times))
    assert done[-1] == ("report", 20, 20)


def test_large_frames_are_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MAX_LINES", 24)
    source = make_video(tmp_path, num_frames=2, size=(64, 48))
    written = write_preview(
        gather_facts(hard_result(num_frames=2)), open_video(source), tmp_path / "p.mp4", no_progress
    )
    shown = open_video(written.path)
    assert (shown.width, shown.height) == (32, 24)
    assert written.aspect == pytest.approx(64 / 48)


@pytest.mark.parametrize("max_lines", [480, 24])
@pytest.mark.parametrize("changes", [{"pix_fmt": "yuvj420p"}, {"name": "c.mkv"}, {"pix_fmt": "yuv444p"}])
def test_an_encoded_video_keeps_colours_and_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_lines: int, changes: dict[str, str]
) -> None:
    monkeypatch.setattr(preview, "MAX_LINES", max_lines)
    intra = {"g": "1"}
    source = make_video(tmp_path, num_frames=20, size=(64, 48), pts_ms=UNEVEN_MS, options=intra, **changes)
    written = write_preview(gather_facts(hard_result()), open_video(source), tmp_path / "p.mp4", no_progress)
    shown = list(open_video(written.path).iter_frames())
    assert numbers_in(iter(shown)) == list(range(20))
    expected = list(map(quarters_of, open_video(source).iter_frames()))
    assert np.abs(np.array(list(map(quarters_of, shown))) - np.array(expected)).max() <= 12
    assert [float(time) for time in frame_times(written.path)[:-1]] == pytest.approx(list(written.times))
    with av.open(str(written.path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys == [True] + [False] * 19  # the types of the source's frames do not matter


def test_a_usual_stream_is_copied(tmp_path: Path) -> None:
    source = make_video(tmp_path, num_frames=20, size=(64, 48), pts_ms=UNEVEN_MS)
    written = write_preview(gather_facts(hard_result()), open_video(source), tmp_path / "p.mp4", no_progress)
    with av.open(str(source)) as before, av.open(str(written.path)) as after:
        assert [bytes(packet) for packet in before.demux(video=0)] == [bytes(packet) for packet in after.demux(video=0)]


@pytest.mark.parametrize(
    ("size", "num_frames", "cause"),
    [((32, 24), 3, "frames of 32x24"), ((64, 48), 2, "it has 2 frames"), ((64, 48), 4, "it has more than 3 frames")],
)
def test_another_video_is_rejected(tmp_path: Path, size: tuple[int, int], num_frames: int, cause: str) -> None:
    source = make_video(tmp_path, num_frames=num_frames, size=size)
    with pytest.raises(VisError, match=cause):
        write_preview(gather_facts(hard_result(num_frames=3)), open_video(source), tmp_path / "p.mp4", no_progress)


def test_a_thumbnail_shows_the_object_before_a_dark_background(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:20, 4:28] = True  # in the red quarter
    facts = gather_facts(make_result([make_instance(5, [None, mask])], size=SIZE, num_frames=2))
    source = make_video(tmp_path, num_frames=2, size=(64, 48))
    written = write_preview(facts, open_video(source), tmp_path / "p.mp4", no_progress)
    image = decode(written.images[5])
    height, width = image.shape[:2]
    assert height <= thumbnails.HEIGHT
    assert width <= thumbnails.WIDTH
    assert image[height // 2, width // 2] == pytest.approx([200, 40, 40], abs=25)
    assert image[1, 1] == pytest.approx([70, 14, 14], abs=25)
    poster = decode(written.poster)
    assert poster.shape == (48, 64, 3)
    assert np.abs(poster[10, 10] - (200, 40, 40)).max() > 10  # filled with the colour of the instance


def test_a_silhouette_replaces_a_missing_video() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:20, 4:28] = True
    facts = gather_facts(make_result([make_instance(5, [mask]), make_instance(6, [None])], size=SIZE))
    images = silhouettes(facts)
    assert set(images) == {5}
    image = decode(images[5])
    assert image[image.shape[0] // 2, image.shape[1] // 2] == pytest.approx(facts.instances[0].color, abs=25)
