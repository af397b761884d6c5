"""The head of NAME.json: the same fields as the complete result, without reading its masks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.result_head import HEAD_BYTES, read_head
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.types import ModelInfo, SourceIdentity, VideoResult

MASK = make_mask(["..##", "...#"])


def result(*, source: SourceIdentity | None) -> VideoResult:
    made = make_result([make_instance(1, [MASK] * 3)], num_frames=3, size=(2, 4))
    video = dataclasses.replace(made.video, source=source, frame_names=('a","frame_names":.png', "b.png", "c.png"))
    return dataclasses.replace(made, video=video, model=ModelInfo("m", "12"), given_masks="ab" if source else None)


SOURCE = SourceIdentity(Path("/day1/cl\udcffip\n.mp4"), "file", 12, "1:ab")


@pytest.mark.parametrize("source", [None, SOURCE])
@pytest.mark.parametrize("indent", [None, 1])
def test_agrees_with_the_complete_result(tmp_path: Path, source: SourceIdentity | None, indent: int | None) -> None:
    """Both as written and rewritten by another program."""
    path = tmp_path / "clip.json"
    write_result(result(source=source), path)
    if indent is not None:
        path.write_text(json.dumps(json.loads(path.read_text()), indent=indent))
    head, whole = read_head(path), read_result(path)
    assert head is not None
    assert (head.path, head.video_path, head.source) == (path, whole.video.path, source)
    assert (head.model, head.config, head.given_masks) == (whole.model, whole.config, whole.given_masks)


def test_reads_no_more_than_the_head(tmp_path: Path) -> None:
    """The rest may be damaged, so it was not parsed."""
    path = tmp_path / "clip.json"
    write_result(result(source=SOURCE), path)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'"instances"')] + b"?" * HEAD_BYTES)
    head = read_head(path)
    assert head is not None
    assert head.source == SOURCE


def test_schema_1(tmp_path: Path) -> None:
    path = tmp_path / "clip.json"
    video = {"name": "clip", "path": "videos/clip.mp4", "width": 4, "height": 2, "fps": 24.0, "num_frames": 3}
    data = {"schema": 1, "video": video, "model": {"name": "m", "sha256": "12"}, "config": {"a": 1}}
    path.write_text(json.dumps({**data, "categories": [], "instances": []}, separators=(",", ":")))
    head = read_head(path)
    assert head is not None
    assert (head.video_path, head.source, head.config) == (Path("videos/clip.mp4"), None, {"a": 1})


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"\xff\xfe", b'{"annotations":[]}', b'{"schema":4,"video":{}}', b'{"schema":2,"frame_names":'),
        *(b'{"schema":2,"video":{"path":1,"frame_names":[]}}', b'{"schema":' + b"[" * 100_000),
    ],
)
def test_other_files_have_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert read_head(tmp_path / "x.json") is None


def test_what_is_not_a_readable_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert read_head(tmp_path / "folder.json") is None
    assert read_head(tmp_path / "missing.json") is None
