"""CSV tables: columns, missing values, names that spreadsheets would compute. test_receivers reads Parquet."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.tables import FRAME_COLUMNS, INSTANCE_COLUMNS, write_csv

from .factory import HARD_NAMES, hard_names, two_objects, write

ROOT = Path(__file__).parents[3]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_row_per_instance_and_frame(tmp_path: Path) -> None:
    result = two_objects()
    video = dataclasses.replace(result.video, timestamps=(0.0, 0.04, 0.1, 0.123456789))
    write(write_csv, tmp_path / "t.csv", dataclasses.replace(result, video=video))
    rows = read(tmp_path / "t.csv")
    assert list(rows[0]) == list(FRAME_COLUMNS)
    assert [(row["instance"], row["frame"], row["visible"]) for row in rows] == [
        *(("1", str(frame), visible) for frame, visible in enumerate("1011")),
        *(("4", str(frame), visible) for frame, visible in enumerate("0110")),
    ]
    assert rows[1]["x"] == rows[1]["area"] == rows[1]["centre_y"] == ""
    assert rows[3]["time"] == "0.123457"
    first = {name: rows[5][name] for name in ("video", "category", "score", "x", "y", "width", "height")}
    assert first == {
        "video": "clip",
        "category": "giant_panda",
        "score": "0.5",
        "x": "45",
        "y": "25",
        "width": "11",
        "height": "11",
    }
    assert (rows[5]["centre_x"], rows[5]["centre_y"]) == ("50.5", "30.5")


def test_one_row_per_instance(tmp_path: Path) -> None:
    never = make_instance(7, [None], category_id=None, confident=False)
    write(write_csv, tmp_path / "t.csv", two_objects(), make_result([never], name="other"))
    rows = read(tmp_path / "t_instances.csv")
    assert list(rows[0]) == list(INSTANCE_COLUMNS)
    assert [(r["video"], r["instance"], r["first_frame"], r["last_frame"], r["visible_frames"]) for r in rows] == [
        ("clip", "1", "0", "3", "3"),
        ("clip", "4", "1", "2", "2"),
        ("other", "7", "", "", "0"),
    ]
    assert [(row["category"], row["confident"]) for row in rows] == [("cat", "1"), ("giant_panda", "1"), ("", "0")]
    areas = [int(row["area"]) for row in read(tmp_path / "t.csv") if row["instance"] == "4" and row["area"]]
    assert float(rows[1]["mean_area"]) == pytest.approx(sum(areas) / 2)


def test_frames_keep_their_index(tmp_path: Path) -> None:
    write(write_csv, tmp_path / "t.csv", two_objects(), choice=Choice(every=3))
    assert [row["frame"] for row in read(tmp_path / "t.csv")] == ["0", "3"] * 2
    assert [row["last_frame"] for row in read(tmp_path / "t_instances.csv")] == ["3", ""]


def test_names_stay_text_in_a_spreadsheet(tmp_path: Path) -> None:
    write(write_csv, tmp_path / "t.csv", hard_names())
    names = [row["category"] for row in read(tmp_path / "t.csv")]
    assert names == [*HARD_NAMES[:3], "'=1+1", *HARD_NAMES[4:6], "\x01?"]
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbfvideo,frame,")


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_starts_as_a_formula(name: str, tmp_path: Path) -> None:
    result = hard_names()
    category = dataclasses.replace(result.categories[0], name=name)
    video = dataclasses.replace(result.video, name="=clip")
    changed = dataclasses.replace(result, video=video, categories=(category, *result.categories[1:]))
    write(write_csv, tmp_path / "t.csv", changed)
    row = read(tmp_path / "t.csv")[0]
    assert (row["video"], row["category"]) == ("'=clip", f"'{name}")
    assert read(tmp_path / "t_instances.csv")[0]["category"] == f"'{name}"


def test_nothing_found_is_a_table_without_rows(tmp_path: Path) -> None:
    write(write_csv, tmp_path / "t.csv", make_result())
    assert read(tmp_path / "t.csv") == read(tmp_path / "t_instances.csv") == []


def test_the_page_lists_all_columns() -> None:
    page = (ROOT / "docs/reference/tables.md").read_text(encoding="utf-8")
    frames, _, instances = page.partition("## Table of instances")
    for part, columns in ((frames, FRAME_COLUMNS), (instances, INSTANCE_COLUMNS)):
        rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
        assert [name for row in rows for name in row.replace("`", " ").replace(",", " ").split()] == list(columns)
