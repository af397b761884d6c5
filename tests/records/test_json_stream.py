"""A list comes item by item whatever the chunks are; what is no whole list is refused."""

from __future__ import annotations

import io
import json

import pytest

from vis_cli.errors import VisError
from vis_cli.records import json_stream
from vis_cli.records.json_stream import iter_json_list

LISTS = [
    "[]",
    " [ ] \n",
    '[{"a": [1, 2.5e3, null]}, {"b": "\\u00e9]}"} ]',
    '\n[\n{"a": true} ,\n{"a": "x, [y"}\n]\n',
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("text", LISTS)
def test_items_and_their_text(text: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    found = list(iter_json_list(io.StringIO(text), "x"))
    assert [item for item, _ in found] == json.loads(text)
    assert [json.loads(source) for _, source in found] == json.loads(text)


@pytest.mark.parametrize("chunk", [1, 1000])
@pytest.mark.parametrize(
    "text",
    ["", "  ", "[", '[{"a": 1}', '[{"a": 1},', '[{"a": 1},]', '[{"a": 1} {"a": 2}]', '[{"a": }]', "[1]x", "x", "]"],
)
def test_what_is_no_whole_list_is_refused(text: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    with pytest.raises(VisError, match=r"^x: (not a JSON file, or damaged \(.|the file contains an object)"):
        list(iter_json_list(io.StringIO(text), "x"))


def test_another_kind_of_json_is_told() -> None:
    with pytest.raises(VisError, match=r"x: the file contains an object. Use a list of entries"):
        list(iter_json_list(io.StringIO('{"a": []}'), "x"))


def test_other_encodings_are_refused() -> None:
    stream = io.TextIOWrapper(io.BytesIO('["é"]'.encode("latin-1")), encoding="utf-8")
    with pytest.raises(VisError, match=r"x: not a JSON file.*utf-8"):
        list(iter_json_list(stream, "x"))
