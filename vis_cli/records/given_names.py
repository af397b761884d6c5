"""Names of given objects: the reader of `--names`, and their use in a result.

Used by `commands.segment_run` and `commands.batch`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import is_unprintable, printable
from vis_cli.files.reading import read_text
from vis_cli.records.json_fields import describe, parse_json, take_field
from vis_cli.records.types import Category, VideoResult

Names: TypeAlias = dict[int, str]  # name of an object by its id

OPTION = "--names"
MAX_OBJECT_ID = 65_535  # of an object that the user gives; a palette PNG contains ids up to 254
FILE_SUFFIX = ".json"
EXAMPLE = '{"1": "dog", "2": "rider"}'


def read_names(value: str) -> Names:
    """Read the value of `--names`: pairs such as 1=dog,2=rider, or the path of a JSON file such as {"1": "dog"}.

    Raises:
        VisError: The file cannot be read, or does not contain a JSON object of strings. Or a pair is malformed, an id
            is out of range or given twice, or a name is empty or contains control or direction characters.
    """
    if value.lower().endswith(FILE_SUFFIX):
        return _read_file(Path(value))
    names: Names = {}
    for pair in value.split(","):
        text, equals, name = pair.partition("=")
        if not equals:
            hint = f"Use pairs such as 1=dog,2=rider, or a file whose name ends in {FILE_SUFFIX}."
            raise VisError(f"'{printable(pair)}' is not ID=NAME", where=OPTION, hint=hint)
        _add(names, text.strip(), name, OPTION)
    return names


def require_given(names: Names, guidance: Mapping[int, NDArray[np.unsignedinteger[Any]]], masks: Path) -> None:
    """Check that the masks contain each object that has a name.

    Args:
        names: The names.
        guidance: Label maps (H, W) by frame index.
        masks: The file or folder of the masks.

    Raises:
        VisError: An object is in no label map.
    """
    known: set[int] = set()
    for labels in guidance.values():
        known.update(np.bincount(labels.ravel()).nonzero()[0].tolist())
        if names.keys() <= known:
            return
    unknown = ", ".join(str(id_) for id_ in sorted(names.keys() - known))
    ids = ", ".join(str(id_) for id_ in sorted(known - {0}))
    raise VisError(f"{masks} contains no object {unknown}", where=OPTION, hint=f"Use these ids: {ids}.")


def name_instances(result: VideoResult, names: Names) -> VideoResult:
    """Return a result in which each name is a category, numbered from 1 by its first use.

    Instances with the same name share a category. Instances without a name have no category.
    """
    used = dict.fromkeys(names[instance.id] for instance in result.instances if instance.id in names)
    numbers = {name: number for number, name in enumerate(used, start=1)}
    instances = (
        dataclasses.replace(item, category_id=numbers[names[item.id]] if item.id in names else None, category_scores={})
        for item in result.instances
    )
    categories = tuple(Category(number, name) for name, number in numbers.items())
    return dataclasses.replace(result, categories=categories, instances=tuple(instances))


def assign_categories(result: VideoResult, given: Mapping[int, Category]) -> VideoResult:
    """Return a result in which the user gives the categories of some instances.

    Args:
        result: A result. Its own categories, those of detected objects, stay.
        given: Category by the id of the instance. It becomes the category of the same name in the result. Otherwise it
            keeps its id, or gets a free one if the id belongs to another category.
    """
    by_name = {category.name: category for category in result.categories}
    for instance in result.instances:
        category = given.get(instance.id)
        if category is not None and category.name not in by_name:
            taken = {known.id for known in by_name.values()}
            id_ = category.id if category.id not in taken else next(free for free in count(1) if free not in taken)
            by_name[category.name] = Category(id_, category.name)
    instances = (
        dataclasses.replace(item, category_id=by_name[given[item.id].name].id, category_scores={})
        if item.id in given
        else item
        for item in result.instances
    )
    return dataclasses.replace(result, categories=tuple(by_name.values()), instances=tuple(instances))


def _read_file(path: Path) -> Names:
    data, where = parse_json(read_text(path), str(path)), str(path)
    if not isinstance(data, dict) or not data:
        content = "no names" if isinstance(data, dict) else describe(data)
        raise VisError(f"the file contains {content}", where=where, hint=f"Use an object such as {EXAMPLE}.")
    names: Names = {}
    for text in data:
        _add(names, text, take_field(data, text, str, where), where)
    return names


def _add(names: Names, text: str, name: str, where: str) -> None:
    """Add the name of the object whose id is `text`."""
    if not re.fullmatch("[1-9][0-9]{0,4}", text) or int(text) > MAX_OBJECT_ID:
        hint = f"Use an id from 1 to {MAX_OBJECT_ID}."
        raise VisError(f"'{printable(text)}' is not the id of an object", where=where, hint=hint)
    if int(text) in names:
        raise VisError(f"the id {text} is given twice", where=where, hint="Use each id once.")
    if not name.strip():
        raise VisError(f"the name of object {text} is empty", where=where, hint="Use a name, or omit the object.")
    if any(map(is_unprintable, name)):
        problem = f"the name {printable(name)} of object {text} contains control or direction characters"
        raise VisError(problem, where=where, hint="Use a name without these characters.")
    names[int(text)] = name.strip()
