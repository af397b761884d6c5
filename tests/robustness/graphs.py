"""A mutator of ONNX files: it changes fields of the graph, so that most files remain ONNX files."""

from __future__ import annotations

from random import Random
from typing import Any

import onnx

VALUES = (0, 1, -1, 7, 12, 2**31 - 1, 2**40, -(2**40), 3.5, "", "..", "/etc/passwd", "\x1b[3", "a" * 500, b"\xff" * 9)
DEPTH = 8  # levels of messages
INTO = 0.85  # probability of a change inside of a message instead of its removal


def mutate_onnx(rng: Random, data: bytes) -> bytes:
    """Return the file with one to three changed, removed or repeated fields."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    for _ in range(rng.randint(1, 3)):
        _change_field(rng, model)
    return bytes(model.SerializeToString())


def _change_field(rng: Random, message: Any) -> None:
    for _ in range(DEPTH):
        fields = message.ListFields()
        if not fields:
            return
        field, value = rng.choice(fields)
        is_list = not isinstance(value, (str, bytes, int, float)) and hasattr(value, "__len__")
        if field.message_type is None:
            _set_value(rng, message, field.name, value if is_list else None)
            return
        if is_list:
            position = rng.randrange(len(value))
            if rng.random() > INTO:
                del value[position]
                return
            message = value[position]
        elif rng.random() > INTO:
            message.ClearField(field.name)
            return
        else:
            message = value


def _set_value(rng: Random, message: Any, name: str, values: Any) -> None:
    """Set a plain field, or change a list of plain values. A value of another type changes nothing."""
    new = rng.choice(VALUES)
    try:
        if values is None:
            setattr(message, name, new)
        elif rng.random() < 0.4:
            del values[rng.randrange(len(values))]
        else:
            values.append(new)
    except (TypeError, ValueError):
        return
