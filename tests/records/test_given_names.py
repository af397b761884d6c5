"""Names of given objects: as pairs, from a file, and in a result."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_TEXT_BYTES
from vis_cli.records.given_names import name_instances, read_names, require_given
from vis_cli.records.types import Category

MASK = make_mask(["......", "..##..", "...#..", "......"])


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("1=dog", {1: "dog"}),
        ("1=dog,2=rider", {1: "dog", 2: "rider"}),
        (" 2 = the rider , 254=dog ", {2: "the rider", 254: "dog"}),
        ("1=dog,2=dog", {1: "dog", 2: "dog"}),
        ("1=a=b,2=犬", {1: "a=b", 2: "犬"}),
        ("1=x.json,2=dog", {1: "x.json", 2: "dog"}),
    ],
)
def test_pairs(value: str, names: dict[int, str]) -> None:
    assert read_names(value) == names


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", r"'' is not ID=NAME\. Use pairs such as 1=dog,2=rider, or a file whose name ends in \.json\."),
        ("dog", r"'dog' is not ID=NAME"),
        ("1=dog,", r"'' is not ID=NAME"),
        ("1:dog", r"'1:dog' is not ID=NAME"),
        ("names.txt", r"'names\.txt' is not ID=NAME"),
        ("\x1b[31m", r"'\\x1b\[31m' is not ID=NAME"),
        ("0=dog", r"'0' is not the id of an object\. Use an id from 1 to 65535\."),
        ("65536=dog", r"'65536' is not the id of an object"),
        ("01=dog", r"'01' is not the id of an object"),
        ("-1=dog", r"'-1' is not the id of an object"),
        ("1.0=dog", r"'1\.0' is not the id of an object"),
        ("=dog", r"'' is not the id of an object"),
        ("\u0661=dog", r"'\u0661' is not the id of an object"),
        ("dog=1", r"'dog' is not the id of an object"),
        ("1=dog,1=rider", r"the id 1 is given twice\. Use each id once\."),
        ("1=", r"the name of object 1 is empty\. Use a name, or omit the object\."),
        ("2=dog,1= ", r"the name of object 1 is empty"),
        ("1=a\x07b", r"the name a\\x07b of object 1 contains control or direction characters\. Use a name without"),
        ("1=dog\n", r"the name dog\\n of object 1 contains control"),
        ("1=\u202edog", r"the name \\u202edog of object 1 contains control"),
        ("1=\udcff", r"the name \\udcff of object 1 contains control"),
    ],
)
def test_bad_pairs(value: str, message: str) -> None:
    with pytest.raises(VisError, match=f"^--names: {message}"):
        read_names(value)


def test_a_file_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.JSON"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"2": " dog ", "1": "a, b=c"}).encode())
    assert read_names(str(path)) == {2: "dog", 1: "a, b=c"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON file, or damaged"),
        (b'{"1": "dog"', "not a JSON file, or damaged"),
        (b"[]", 'the file contains a list. Use an object such as {"1": "dog", "2": "rider"}.'),
        (b'"dog"', "the file contains a string"),
        (b"null", "the file contains null"),
        (b"{}", "the file contains no names"),
        (b'{"1": 2}', "'1' is 2. Use a string."),
        (b'{"1": null}', "'1' is null. Use a string."),
        (b'{"1": ["dog"]}', "'1' is a list. Use a string."),
        (b'{"1": "dog", "1": "cat"}', "an object has the key '1' twice"),
        (b'{"1": ""}', "the name of object 1 is empty"),
        (b'{"1": "\\u001b[0m"}', "the name \\x1b[0m of object 1 contains control or direction characters"),
        (b'{"dog": "1"}', "'dog' is not the id of an object. Use an id from 1 to 65535."),
        (b'{"1 ": "dog"}', "'1 ' is not the id of an object"),
        (b'{"1": "\xff"}', "is not UTF-8. Save the file as UTF-8."),
        ('{"1": "dog"}'.encode("utf-16"), "is not UTF-8. Save the file as UTF-8."),
    ],
)
def test_a_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "names.json"
    path.write_bytes(content)
    with pytest.raises(VisError) as caught:
        read_names(str(path))
    line = str(caught.value)
    assert message in line
    assert str(path) in line
    assert line.isprintable()


def test_a_file_that_is_missing_or_too_large_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*names\.json: No such file or directory\. Check the path"):
        read_names(str(tmp_path / "names.json"))
    with (tmp_path / "names.json").open("wb") as file:
        os.truncate(file.fileno(), MAX_TEXT_BYTES + 1)
    with pytest.raises(VisError, match=r"names\.json: the file has 16,777,217 bytes, the limit is 16 MiB"):
        read_names(str(tmp_path / "names.json"))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(VisError, match=r"folder\.json: the path is a folder"):
        read_names(str(tmp_path / "folder.json"))


def test_the_masks_contain_each_named_object() -> None:
    first, second = np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8)
    first[0, 0], second[1] = 7, (1, 2, 254)
    guidance, masks = {0: first, 5: second}, Path("masks")
    require_given({7: "a", 254: "b"}, guidance, masks)
    with pytest.raises(VisError, match=r"^--names: masks contains no object 3, 8\. Use these ids: 1, 2, 7, 254\.$"):
        require_given({8: "a", 1: "b", 3: "c"}, guidance, masks)


def test_names_are_categories_in_the_order_of_their_first_use() -> None:
    instances = [make_instance(id_, [MASK], category_id=None, score=1.0) for id_ in (2, 3, 5, 9)]
    result = make_result(instances, categories=(), given_masks="12")
    named = name_instances(result, {9: "dog", 5: "rider", 2: "dog", 7: "absent"})
    assert named.categories == (Category(1, "dog"), Category(2, "rider"))
    assert [instance.category_id for instance in named.instances] == [1, None, 2, 1]
    assert [instance.category_scores for instance in named.instances] == [{}] * 4
    assert [instance.id for instance in named.instances] == [2, 3, 5, 9]


def test_names_replace_categories() -> None:
    named = name_instances(make_result([make_instance(1, [MASK]), make_instance(2, [MASK])]), {2: "cat"})
    assert named.categories == (Category(1, "cat"),)
    assert [instance.category_id for instance in named.instances] == [None, 1]
    assert [instance.category_scores for instance in named.instances] == [{}, {}]
