"""Structure-aware mutators of JSON and TOML trees; used by every kind of input that has such a tree."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

from tests.robustness.octets import mutate_bytes

Tree = Any  # dicts, lists and scalars, as JSON has them
Parent = dict[str, Any] | list[Any]

HOSTILE_NAMES = (
    *("", " ", ".", "..", "../x", "../../x.json", "x/../00000.jpg", "/etc/passwd", "/dev/zero", "C:\\x", "a\\..\\b"),
    *("nul\0byte", "\ud800", "tab\there", "line\nbreak", "esc\x1b[31m", "\u202egnp.exe", "\u009b31m", "\ufeffx"),
    *("x" * 300, "x" * 5000, "é" * 200, "a/" * 300 + "b", "-o", "--help", "~", "$HOME", "*", "%s", "{0}", "[red]x"),
    *("con", ".hidden", "name.", "9" * 5000, "clip.json", "CLIP", "clip ", "日本語"),
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 255, 256, 65_536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, 10**400),
    *(0.5, -0.0, 1.5, 1e-320, 1e8, 1e308, -1e308, math.nan, math.inf, -math.inf),
)
OTHERS: tuple[Tree, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [[[1]]], ["a"], "1", "1.5", "true")
COUNTS = (
    *([], [0], [-1, 5], [2**31], [2**32, 1], [10**400], [0] * 5000, [1] * 1536, [1536.0], [0.5], [1e308], ["1"], [[1]]),
    *("", "~~~~", "\x7f" * 50, "0" * 5000, "oooooooooooooooo", "`@`@", "\u0130", "é"),
)
MASKS = (
    *([[1, 1, -1e308, 1, 3, 3, 1, 3]], [[0, 0, 1e8, 0, 3, 3, 0, 3]], [[0, 0, 1e17, 0, 3, 3]], [[]], [[1, 2]]),
    *([[math.nan] * 6], [[math.inf] * 8], [[1, 1, 2, 2, 3]], [[10**400] * 6], [["a"] * 6], [[0, 0, 1, 1] * 20_000]),
    *({"size": [2**16, 2**16], "counts": [2**32]}, {"size": [0, 0], "counts": []}, {"size": [-1, 4], "counts": "1"}),
    *({"counts": [1]}, {"size": "48"}, [None], 7),
)
DEPTH = 100_000  # brackets: deeper than any parser's stack
LONG = 2_000  # elements of a list that was a few


def mutate_tree(rng: Random, tree: Tree) -> Tree:
    """Return a copy of the tree with one to three changes."""
    changed = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = _change_once(rng, changed)
    return changed


def dump_json(rng: Random, tree: Tree, *, text_share: float = 0.25) -> bytes:
    """Write the tree as JSON, sometimes with a fault in the text itself."""
    text = json.dumps(tree)
    if rng.random() >= text_share:
        return text.encode()
    return rng.choice(TEXT_MUTATORS)(rng, text)


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Change a JSON file: its tree, its text or its bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    tree = json.loads(data)
    return dump_json(rng, mutate_tree(rng, tree) if rng.random() < 0.9 else tree)


def hostile_value(rng: Random, before: Tree = None) -> Tree:
    """Return a value that is hardly expected, often of the same type as the one before."""
    if isinstance(before, str) and rng.random() < 0.6:
        return rng.choice(HOSTILE_NAMES)
    if isinstance(before, int | float) and not isinstance(before, bool) and rng.random() < 0.7:
        return rng.choice((*NUMBERS, before + 1, before - 1, -before, before * 10, float(before), str(before)))
    pool = rng.choice((HOSTILE_NAMES, NUMBERS, OTHERS))
    return copy.deepcopy(rng.choice(pool))


def nested(depth: int, core: Tree = 1) -> Tree:
    """Return a list within a list, and so on."""
    for _ in range(depth):
        core = [core]
    return core


def _change_once(rng: Random, tree: Tree) -> Tree:
    places = list(_places(tree))
    if not places or rng.random() < 0.02:
        return hostile_value(rng, tree)
    parent, key = rng.choice(places)
    if key == "counts" and rng.random() < 0.5:
        parent[key] = copy.deepcopy(rng.choice(COUNTS))
    elif isinstance(parent[key], dict) and "counts" in parent[key] and rng.random() < 0.5:
        parent[key] = copy.deepcopy(rng.choice(MASKS))
    elif rng.random() < 0.5:
        parent[key] = hostile_value(rng, parent[key])
    else:
        rng.choice(_CHANGES)(rng, parent, key)
    return tree


def _places(tree: Tree) -> list[tuple[Any, Any]]:
    """List every value as (its container, its key); the long lists of a tree do not hide the short ones."""
    found: list[tuple[Any, Any]] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        if not isinstance(key, int) or key < 12:
            found.extend(_places(value))
    return found


def _remove(rng: Random, parent: Any, key: Any) -> None:
    del parent[key]


def _repeat(rng: Random, parent: Any, key: Any) -> None:
    value = parent[key]
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(value))
    elif isinstance(value, list):
        parent[key] = value * rng.choice((2, 2, LONG if len(value) < 10 else 3))
    else:
        parent[key] = [value, value]


def _shuffle(rng: Random, parent: Any, key: Any) -> None:
    if isinstance(parent[key], list):
        rng.shuffle(parent[key])
    elif isinstance(parent, list):
        rng.shuffle(parent)


def _empty(rng: Random, parent: Any, key: Any) -> None:
    parent[key] = type(parent[key])() if not isinstance(parent[key], type(None)) else {}


def _nest(rng: Random, parent: Any, key: Any) -> None:
    parent[key] = nested(rng.choice((1, 2, 150)), parent[key])


def _swap(rng: Random, parent: Any, key: Any) -> None:
    other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    parent[key], parent[other] = parent[other], parent[key]


def _rename(rng: Random, parent: Any, key: Any) -> None:
    if isinstance(parent, dict):
        parent[rng.choice((*HOSTILE_NAMES, str(key).upper(), f"{key}s"))] = parent.pop(key)


def _add(rng: Random, parent: Any, key: Any) -> None:
    if isinstance(parent, dict):
        parent[rng.choice(HOSTILE_NAMES)] = hostile_value(rng)
    else:
        parent.append(hostile_value(rng, parent[key]))


_CHANGES: tuple[Callable[[Random, Any, Any], None], ...] = (
    _remove,
    _remove,
    _repeat,
    _shuffle,
    _empty,
    _nest,
    _swap,
    _rename,
    _add,
)


def _insert_at_value(rng: Random, text: str, what: str) -> str:
    """Put `what` in the place of a number or a bracketed value of the text."""
    places = [i for i, character in enumerate(text) if character in ":[,"]
    place = rng.choice(places) + 1 if places else 0
    end = next((i for i in range(place, len(text)) if text[i] in ",]}"), len(text))
    return text[:place] + what + text[end:]


TEXT_MUTATORS: tuple[Callable[[Random, str], bytes], ...] = (
    lambda rng, text: b"\xef\xbb\xbf" + text.encode(),
    lambda rng, text: text.encode("utf-16"),
    lambda rng, text: text.encode("utf-32"),
    lambda rng, text: (text + rng.choice(("x", "{}", "\0", "]", "\n\n"))).encode(),
    lambda rng, text: text[: rng.randrange(len(text) + 1)].encode(),
    lambda rng, text: b"",
    lambda rng, text: b" " * 5000,
    lambda rng, text: ("[" * DEPTH).encode(),
    lambda rng, text: ('{"a":' * DEPTH).encode(),
    lambda rng, text: _insert_at_value(rng, text, "[" * DEPTH + "]" * DEPTH).encode(),
    lambda rng, text: _insert_at_value(rng, text, "9" * 5000).encode(),
    lambda rng, text: _insert_at_value(rng, text, "-1e999").encode(),
    lambda rng, text: _insert_at_value(rng, text, "NaN").encode(),
    lambda rng, text: _insert_at_value(rng, text, '"\xff\xfe"').encode("latin-1", "replace"),
    lambda rng, text: _insert_at_value(rng, text, '"\\ud800"').encode(),
    lambda rng, text: text.replace('"', "'").encode(),
    lambda rng, text: text.replace(",", ",,", 1).encode(),
    lambda rng, text: text.replace("{", '{"id":1,"id":2,', 1).encode(),
)


def dump_toml(tree: dict[str, Tree]) -> bytes:
    """Write the tree as TOML, with inline tables; what TOML has no word for is written as its nearest."""
    lines = [f"{_toml(str(key))} = {_toml(value)}\n" for key, value in tree.items()]
    return "".join(lines).encode("utf-8", "surrogatepass")


def _toml(value: Tree) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(str(key))} = {_toml(entry)}' for key, entry in value.items())}}}"
    return '""' if value is None else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
