"""JSON that is damaged, hostile or in another encoding: read as meant, or rejected in one line."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.records.result_factory import make_result
from tests.records.split_factory import split_data, write_split
from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_INTEGER
from vis_cli.records import json_fields, json_stream
from vis_cli.records.json_fields import describe, parse_json, read_json_object, shown, take_field
from vis_cli.records.json_stream import iter_json_list
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.submission_check import iter_youtube_vis_problems
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.records.youtube_vis_results import read_predictions

HOSTILE = {
    "deep list": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "deep and closed": "[" * 5000 + "]" * 5000,
    "long integer": "[" + "9" * 5000 + "]",
    "constant": "[NaN]",
    "key twice": '[{"score": 1, "score": 0}]',
    "lone quote": '["',
    "control character": '["\x01"]',
    "nothing": "",
    "blanks": " " * 10_000,
    "zeros": "\0" * 10_000,
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_json_is_rejected_in_one_short_line(kind: str) -> None:
    for data in (HOSTILE[kind], HOSTILE[kind].encode()):
        with pytest.raises(VisError) as caught:
            parse_json(data, "x.json")
        assert str(caught.value).startswith("x.json: ")
        assert len(str(caught.value)) < 300
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in ("constant", "key twice")])
def test_hostile_json_is_rejected_as_a_list_of_entries_too(kind: str) -> None:
    with pytest.raises(VisError) as caught:
        list(iter_json_list(io.StringIO(HOSTILE[kind]), "x.json"))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_each_of_its_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.json").write_text('{"é": 1}', encoding=encoding)
    assert read_json_object(tmp_path / "a.json") == {"é": 1}


def test_more_values_than_fit_into_memory_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_fields, "MAX_JSON_VALUES", 20)
    for data in ("[" + "[]," * 7 + "[]]", "[" * 11, "[" + "1," * 20 + "1]"):
        for kind in (data, data.encode()):
            with pytest.raises(VisError, match="the limit of 20 values is exceeded"):
                parse_json(kind, "x")
    assert parse_json("[1, 2, 3, [], {}]", "x") == [1, 2, 3, [], {}]


def test_an_entry_of_a_list_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 8)
    monkeypatch.setattr(json_stream, "MAX_ENTRY_CHARACTERS", 40)
    assert [item for item, _ in iter_json_list(io.StringIO('["' + "a" * 30 + '"]'), "x")] == ["a" * 30]
    with pytest.raises(VisError, match="an entry has more than 40 characters"):
        list(iter_json_list(io.StringIO('["' + "a" * 100 + '"]'), "x"))


def test_damage_is_reported_without_reading_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 64)
    stream = io.StringIO('[{"a": }' + " " * 100_000)
    with pytest.raises(VisError, match="Expecting value"):
        list(iter_json_list(stream, "x"))
    assert stream.tell() <= 128


def test_what_is_not_a_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    with (tmp_path / "sparse.json").open("wb") as file:
        file.truncate(8 * 2**30)
    split = read_youtube_vis(write_split(tmp_path))
    for name in ("pipe.json", "zero.json", "sparse.json", "absent.json"):
        with pytest.raises(VisError, match=f"cannot read .*{name}"):
            read_json_object(tmp_path / name)
        with pytest.raises(VisError, match=f"cannot read .*{name}"):
            read_predictions(tmp_path / name, split)
        with pytest.raises(VisError, match=f"cannot read .*{name}"):
            list(iter_youtube_vis_problems(tmp_path / name, split))


@pytest.mark.parametrize("key", ["id", "width", "video_id", "score"])
def test_a_number_that_no_field_holds(key: str) -> None:
    for value in (10**400, -(10**400), MAX_INTEGER + 1):
        with pytest.raises(VisError, match=f"'{key}' is .* Use at most 9,223,372,036,854,775,807") as caught:
            take_field({key: value}, key, float if key == "score" else int, "x")
        assert len(str(caught.value)) < 150
    assert take_field({key: MAX_INTEGER}, key, int, "x") == MAX_INTEGER


def test_areas_and_sizes_of_400_digits(tmp_path: Path) -> None:
    data = split_data()
    data["annotations"][0]["areas"][0] = 10**400
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(VisError, match="areas"):
        read_youtube_vis(tmp_path / "a.json")


def test_values_are_shown_in_one_short_line() -> None:
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    for value in ("x" * 5000 + "\x1b[2J\n", 10**400, deep, [[1] * 1000] * 1000, {"\x9b": 1}):
        assert len(shown(value)) <= 250
        assert shown(value).isprintable()
        assert describe(value).isprintable()


@pytest.mark.parametrize(
    ("encoding", "complaint"), [("utf-8-sig", "byte order mark"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16")]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_an_encoding_that_no_server_reads_is_reported(
    tmp_path: Path, encoding: str, complaint: str, zipped: bool
) -> None:
    split, data = read_youtube_vis(write_split(tmp_path)), "[]".encode(encoding)
    path = tmp_path / ("a.zip" if zipped else "results.json")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("results.json", data)
    else:
        path.write_bytes(data)
    problems = {problem.kind: str(problem) for problem in iter_youtube_vis_problems(path, split)}
    assert complaint in problems["encoding"]
    assert "empty list" in problems  # it was read on
    assert read_predictions(path, split).num_predictions == 0


@pytest.mark.parametrize(
    "change",
    [
        {"width": 65_536, "height": 65_536},
        {"width": 60_000, "height": 60_000},
        {"width": 65_536, "height": 1},
        {"width": 10**400},
        {"num_frames": 2_000_000_000},
        {"num_frames": -1},
        {"timestamps": [10**400]},
        {"frame_names": ["a.png"] * 2},
    ],
    ids=str,
)
def test_sizes_and_lengths_beyond_all_videos(tmp_path: Path, change: dict[str, int]) -> None:
    write_result(make_result(), tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text())
    data["video"].update(change)
    (tmp_path / "a.json").write_text(json.dumps(data))
    causes = "Use at most|the limit is 65,535|Use a value from 0 to 10,000,000|finite|'frame_names' has 2 entries"
    with pytest.raises(VisError, match=rf"a\.json: video: .*({causes})"):
        read_result(tmp_path / "a.json")


@pytest.mark.parametrize("size", [[65_536, 65_536], [1, 65_536], [2**31, 2]])
def test_sizes_of_a_split_beyond_all_videos(tmp_path: Path, size: list[int]) -> None:
    data = split_data()
    data["videos"][0].update(height=size[0], width=size[1])
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(VisError, match=r"a\.json: videos\[0\]: the size is .*, the limit is 65,535"):
        read_youtube_vis(tmp_path / "a.json")
