"""Class names of YOLO text files: `names` of data.yaml, or a list with one name per line. Used by `yolo`."""

from __future__ import annotations

from pathlib import Path

import yaml

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_CONFIG_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_text
from vis_cli.records.json_fields import shown

YAML_SUFFIXES = frozenset({".yaml", ".yml"})
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
LIST_FILES = ("classes.txt", "obj.names")  # of labelling tools and Darknet
NAME_FILES = frozenset(LIST_FILES)
EXAMPLE = "'names: [person, car]' or 'names: {0: person, 1: car}'"


def find_class_names(*folders: Path) -> Path | None:
    """Return the file of the class names inside or next to the folders, or None. data.yaml is preferred."""
    places = dict.fromkeys([*folders, *(folder.absolute().parent for folder in folders)])
    for name in (*YAML_FILES, *LIST_FILES):
        for place in places:
            if (place / name).exists():
                return place / name
    return None


def read_class_names(path: Path) -> dict[int, str]:
    """Return the name of each class.

    Raises:
        VisError: The file cannot be read, or contains no names.
    """
    text = read_text(path, limit=MAX_CONFIG_BYTES)
    if path.suffix.lower() in YAML_SUFFIXES:
        return _names_from_yaml(text, path)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return _checked(dict(enumerate(lines)), path)


def read_data_yaml(path: Path) -> dict[object, object]:
    """Return the content of data.yaml, which has `names`.

    The loader creates only strings, lists and objects, so that `no` and `1.0` are names.

    Raises:
        VisError: The file cannot be read, or is damaged.
    """
    return _parse_yaml(read_text(path, limit=MAX_CONFIG_BYTES), path)


def _parse_yaml(text: str, path: Path) -> dict[object, object]:
    try:
        data = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        problem = f"not a YAML file, or damaged ({printable(' '.join(str(error).split()))})"
        raise VisError(problem, where=path, hint=f"Write the class names as {EXAMPLE}.") from error
    except (RecursionError, ValueError) as error:
        raise VisError("not a YAML file, or nested too deeply", where=path, hint="Restore the file.") from error
    if not isinstance(data, dict) or "names" not in data:
        raise VisError("'names' is missing", where=path, hint=f"Add {EXAMPLE}.")
    return data


def _names_from_yaml(text: str, path: Path) -> dict[int, str]:
    """Return `names`, a list or an object."""
    data = _parse_yaml(text, path)
    if "kpt_shape" in data:
        hint = "Use the boxes or the polygons of a detection model."
        raise VisError("the labels have keypoints ('kpt_shape'), which vis does not read", where=path, hint=hint)
    names = data["names"]
    if isinstance(names, list):
        names = {str(index): name for index, name in enumerate(names)}
    if not isinstance(names, dict):
        raise VisError(f"'names' is {shown(names)}", where=path, hint=f"Use {EXAMPLE}.")
    return _by_class(names, path)


def _by_class(names: dict[object, object], path: Path) -> dict[int, str]:
    by_class: dict[int, str] = {}
    for key, name in names.items():
        if not (isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) <= len(str(MAX_CATEGORIES))):
            raise VisError(f"the class {shown(key)} of 'names' is not a number", where=path, hint=f"Use {EXAMPLE}.")
        if not isinstance(name, str):
            raise VisError(f"the name of class {key} is {shown(name)}", where=path, hint="Use a string.")
        if int(key) in by_class:
            raise VisError(f"the class {int(key)} occurs twice in 'names'", where=path, hint="Use each class once.")
        by_class[int(key)] = name
    return _checked(by_class, path)


def _checked(names: dict[int, str], path: Path) -> dict[int, str]:
    if not names:
        raise VisError("the file contains no class names", where=path, hint="Use one name per class.")
    if len(names) > MAX_CATEGORIES:
        problem = f"the file has {len(names):,} class names, the limit is {MAX_CATEGORIES:,}"
        raise VisError(problem, where=path, hint="Use fewer classes.")
    return names
