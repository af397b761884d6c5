"""Lists of videos as text, CSV, JSONL and Parquet, and their errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.batch.tasks import VideoTask
from vis_cli.batch.video_list import is_list, read_list
from vis_cli.errors import VisError


class Notes:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        raise AssertionError(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def read(tmp_path: Path, name: str, text: str) -> list[VideoTask]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_list(path, Notes())


EXPECTED = [
    VideoTask("/v/a.mp4"),
    VideoTask("/v/b.mp4", "cat", "0:05", "120", "/m/b.png", ("num_key_frames=6", "window=none"), 300),
]


def test_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, "list.txt", "/v/a.mp4\r\n\n b,#.mp4\n") == [
        VideoTask("/v/a.mp4"),
        VideoTask(str(tmp_path / " b,#.mp4")),
    ]


def test_csv(tmp_path: Path) -> None:
    text = "\ufeffname,path,start,end,masks,settings,frames\n,/v/a.mp4,,,,,\n"
    text += 'cat,/v/b.mp4,0:05,120,/m/b.png,"num_key_frames=6 window=none",300\n'
    assert read(tmp_path, "list.csv", text) == EXPECTED


def test_blank_lines_of_a_text_are_omitted(tmp_path: Path) -> None:
    assert read(tmp_path, "list.txt", "/v/a.mp4\n  \n\t\r\n/v/b.mp4\n") == [
        VideoTask("/v/a.mp4"),
        VideoTask("/v/b.mp4"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        ",path,name\n0,/v/a.mp4,a\n1,/v/b.mp4,b\n",  # the index of a pandas table has no name
        "path,name,\n/v/a.mp4,a,\n/v/b.mp4,b,\n",
        "path,name\n/v/a.mp4,a,\n/v/b.mp4,b\n",
        "path,name\n/v/a.mp4,a\n,\n/v/b.mp4,b\n,\n",
        "path,name,start,masks,settings,frames\n/v/a.mp4,a, , , , \n/v/b.mp4,b,,,,\n",
    ],
)
def test_csv_files_of_other_programs(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    notes = Notes()
    assert read_list(tmp_path / "list.csv", notes) == [VideoTask("/v/a.mp4", "a"), VideoTask("/v/b.mp4", "b")]
    assert not notes.warnings


def test_missing_numbers(tmp_path: Path) -> None:
    """A column of whole numbers with a missing value becomes one of floats in most programs."""
    expected = [VideoTask("/v/a.mp4", frames=8), VideoTask("/v/b.mp4")]
    assert read(tmp_path, "list.csv", "path,frames\n/v/a.mp4,8.0\n/v/b.mp4,\n") == expected
    text = '{"path": "/v/a.mp4", "frames": 8.0}\n'
    text += '{"path": "/v/b.mp4", "frames": NaN, "name": NaN, "start": NaN, "settings": NaN}\n'
    assert read(tmp_path, "list.jsonl", text) == expected


def test_parquet_with_a_string_that_is_not_utf_8(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    offsets = pyarrow.array([0, 5], pyarrow.int32()).buffers()[1]
    paths = pyarrow.Array.from_buffers(pyarrow.string(), 1, [None, offsets, pyarrow.py_buffer(b"\xff.mp4")])
    parquet.write_table(pyarrow.table({"path": paths}), tmp_path / "list.parquet")
    with pytest.raises(VisError, match=r"cannot read .*list.parquet: 'utf-8' codec"):
        read_list(tmp_path / "list.parquet", Notes())


def test_settings_of_parquet_omit_the_fields_of_other_rows(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"path": ["/v/a.mp4", "/v/b.mp4"], "settings": [{"num_key_frames": 6}, {"window": 64}]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    found = read_list(tmp_path / "list.parquet", Notes())
    assert [task.settings for task in found] == [("num_key_frames=6",), ("window=64",)]


def test_jsonl(tmp_path: Path) -> None:
    second = '{"path": "/v/b.mp4", "name": "cat", "start": "0:05", "end": 120, "masks": "/m/b.png", "frames": 300, '
    second += '"settings": {"num_key_frames": 6, "window": null}}'
    assert read(tmp_path, "list.jsonl", f'{{"path": "/v/a.mp4"}}\n\n{second}\n') == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "path": ["/v/a.mp4", "/v/b.mp4"],
        "name": [None, "cat"],
        "start": [None, "0:05"],
        "end": [None, "120"],
        "masks": [None, "/m/b.png"],
        "settings": [None, "num_key_frames=6 window=none"],
        "frames": [None, 300],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    assert read_list(tmp_path / "list.parquet", Notes()) == EXPECTED
    (tmp_path / "list.parquet").write_bytes(b"PAR1 damaged PAR1")
    with pytest.raises(VisError, match=r"cannot read .*list.parquet"):
        read_list(tmp_path / "list.parquet", Notes())


def test_unknown_columns_are_reported(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,strat\n/v/a.mp4,5s\n")
    notes = Notes()
    read_list(tmp_path / "list.csv", notes)
    assert notes.warnings == [f"{tmp_path / 'list.csv'}: columns not used: strat"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("list.txt", "", "the list is empty"),
        ("list.txt", "\n\n", "the list is empty"),
        ("list.csv", "", "the list is empty"),
        ("list.csv", "path\n", "the list is empty"),
        ("list.jsonl", "", "the list is empty"),
        ("list.csv", "file,name\na.mp4,a\n", r"the column path is missing \(columns: file, name\)"),
        ("list.jsonl", '{"file": "a.mp4"}', "line 1: the column path is missing"),
        ("list.jsonl", '{"path": "a.mp4"}\n{', "line 2: is not JSON"),
        ("list.jsonl", '["a.mp4"]', "line 1: is not a JSON object"),
        ("list.jsonl", '{"path": ["a.mp4"]}', "line 1: path is not text or a number"),
        ("list.csv", "path,name\na.mp4,a,b\n", "line 2: has more values than the header"),
        ("list.csv", "path,name\n,a\n", "line 2: the path is empty"),
        ("list.csv", "path,start\na.mp4,soon\n", "line 2: start is 'soon'"),
        ("list.csv", "path,start,end\na.mp4,9,5\n", "line 2"),
        ("list.csv", "path,start\na.mp4,120.0\n", "start is 120.0, which can be frame 120 or 120 seconds. Use 120 for"),
        ("list.csv", "path,end\na.mp4, 9.00 \n", "end is 9.00, which can be frame 9 or 9 seconds"),
        ("list.jsonl", '{"path": "a.mp4", "end": 120.0}\n', "end is 120.0, which can be frame 120 or 120 seconds"),
        ("list.csv", "path,frames\na.mp4,many\n", "line 2: frames is 'many'"),
        ("list.csv", "path,name,path\na.mp4,a,b.mp4\n", "the column path occurs twice"),
        ("list.csv", "path\n   \n", "line 2: the path is empty"),
        ("list.csv", "path,frames\na.mp4,1.5\n", "line 2: frames is '1.5'"),
        ("list.csv", "path,frames\na.mp4,inf\n", "line 2: frames is 'inf'"),
        ("list.jsonl", '{"path": "a.mp4", "frames": true}', "line 1: frames is not text or a number"),
        ("list.jsonl", '{"path": "a\\u0000.mp4"}', "path contains a NUL character"),
        ("list.jsonl", '{"path": "a.mp4", "masks": "\\u0000"}', "masks contains a NUL character"),
        ("list.jsonl", '{"path": "\\ud800.mp4"}', r"line 1: path is '.+ud800.mp4', which no file"),
        ("list.jsonl", '{"path": "a.mp4", "masks": "\\ud800"}', r"line 1: masks is '.+ud800', which no file"),
        ("list.txt", "a.mp4\nfile:///v/b.mp4\n", "line 2: path is a URL with file, which is not opened"),
        ("list.txt", "S3://bucket/b.mp4\n", "line 1: path is a URL with S3, which is not opened"),
        ("list.csv", "path,masks\na.mp4,ftp://u:secret@h/m.png\n", "line 2: masks is a URL with ftp, which is not"),
    ],
)
def test_invalid_lists(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(VisError, match=problem):
        read(tmp_path, name, text)


def test_fractions_of_seconds_and_zero_need_no_unit(tmp_path: Path) -> None:
    (task,) = read(tmp_path, "list.jsonl", '{"path": "a.mp4", "start": 0.0, "end": 5.5}')
    assert (task.start, task.end) == ("0.0", "5.5")


def test_a_list_is_known_by_its_extension(tmp_path: Path) -> None:
    assert is_list(Path("a.CSV"))
    assert not is_list(Path("a.mp4"))
    (tmp_path / "frames.txt").mkdir()
    assert not is_list(tmp_path / "frames.txt")
