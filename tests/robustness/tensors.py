"""Mutators of weights: the header of safetensors, and what a .pth or a checkpoint holds.

torch's own writer makes the pickles, so that each change is one that a person or a program could have saved.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Any

import torch

from tests.robustness.archives import mutate_zip
from tests.robustness.octets import EXTREMES, mutate_bytes
from tests.robustness.trees import HOSTILE_NAMES, hostile_value, mutate_json, mutate_tree

DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "C64", "x", "")


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """Change a safetensors file: metadata, a tensor's entry, the header's text or length, the numbers, the bytes."""
    choice = rng.random()
    length = int.from_bytes(data[:8], "little")
    if choice < 0.1:
        return mutate_bytes(rng, data)
    if choice < 0.2:
        return struct.pack("<Q", rng.choice((*EXTREMES, length - 1, length + 1, 100_000_001))) + data[8:]
    if choice < 0.3:
        return data[: 8 + length] + _numbers(rng, data[8 + length :])
    if choice < 0.4:
        return data[:8] + mutate_bytes(rng, data[8 : 8 + length]) + data[8 + length :]
    header = json.loads(data[8 : 8 + length])
    if choice < 0.8:
        _change_metadata(rng, header)
    else:
        _change_entry(rng, header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def in_order(data: bytes) -> bytes:
    """Sort the header of a safetensors file, whose writer orders the metadata by chance."""
    length = int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _change_metadata(rng: Random, header: dict[str, Any]) -> None:
    """Change the strings of the metadata, the network's config and categories above all."""
    metadata = header["__metadata__"]
    key = rng.choice([*sorted(metadata), "config", "config", "config"])
    try:
        tree = json.loads(metadata[key])
    except ValueError:
        tree = metadata[key]
    if rng.random() < 0.15:
        metadata[key] = hostile_value(rng, metadata[key])
    elif isinstance(tree, dict | list):
        metadata[key] = json.dumps(mutate_tree(rng, tree))
    else:
        header["__metadata__"] = mutate_tree(rng, metadata)


def _change_entry(rng: Random, header: dict[str, Any]) -> None:
    key = rng.choice([name for name in sorted(header) if name != "__metadata__"])
    entry, choice = header[key], rng.randrange(6)
    if choice == 0:
        del header[key]
    elif choice == 1:
        header[rng.choice(HOSTILE_NAMES)] = header.pop(key)
    elif choice == 2:
        entry["dtype"] = rng.choice(DTYPES)
    elif choice == 3:
        entry["shape"] = rng.choice(([], [0], [1], entry["shape"][::-1], [2**40], [-1], [2**32, 2**32], "x"))
    elif choice == 4:
        start, end = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(([end, start], [start, end + 4], [0, 2**63], [-4, 0], [0, 0], []))
    else:
        header[key] = hostile_value(rng)


def _numbers(rng: Random, data: bytes) -> bytes:
    """Fill a part or all of the numbers with NaN, infinity (as float16 has them) or huge ones."""
    value = rng.choice((b"\x00\x7e", b"\x00\x7c", b"\x00\xfc", b"\xff\x7b", b"\xff\xff"))
    start = rng.choice((0, rng.randrange(len(data)) // 2 * 2))
    stop = rng.choice((len(data), min(len(data), start + 2)))
    return data[:start] + value * ((stop - start) // 2) + data[stop:]


def mutate_pickle(rng: Random, content: dict[str, Any], state_key: str, *, old_format: bool = False) -> bytes:
    """Write a checkpoint with a change: of its keys, a tensor, its bytes, or the archive that torch makes.

    Args:
        rng: the source of every choice.
        content: what the file holds; it is not changed.
        state_key: where its tensors by name are.
        old_format: as torch wrote before 1.6, one stream of pickles instead of a zip.
    """
    choice = rng.random()
    if choice < 0.55:
        content = {**content, state_key: OrderedDict(content[state_key])}
        changed = rng.choice(CHANGES)(rng, content, state_key)
        try:
            return saved(changed, old_format=old_format)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):  # not every tensor can be saved
            return saved([changed is None], old_format=old_format)
    data = saved(content, old_format=old_format)
    if old_format or choice < 0.75:
        return mutate_bytes(rng, data)
    return mutate_zip(rng, data, lambda rng, name, member: mutate_bytes(rng, member))


def saved(content: object, *, old_format: bool = False) -> bytes:
    """Return what torch.save writes."""
    output = io.BytesIO()
    torch.save(content, output, _use_new_zipfile_serialization=not old_format)
    return output.getvalue()


def odd_tensor(rng: Random, tensor: object) -> object:
    """Return another tensor in the place of this one, or something that is none."""
    if not isinstance(tensor, torch.Tensor):  # an optimizer's state has dicts and lists, too
        return hostile_value(rng)
    makers: tuple[Callable[[], object], ...] = (
        lambda: torch.zeros(()),
        lambda: torch.zeros(0),
        lambda: tensor.expand(2, *tensor.shape),
        lambda: tensor.reshape(-1)[:1],
        lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor * 0,
        lambda: tensor.double(),
        lambda: tensor.to(torch.complex64),
        lambda: tensor.to(torch.bool),
        lambda: torch.zeros(1).expand(2**40),
        lambda: torch.zeros(1).expand(*(tensor.shape or (2,))[:-1], 10**9),
        lambda: torch.zeros(2, 2).to_sparse(),
        lambda: torch.empty(tensor.shape, device="meta"),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        lambda: torch.nn.Parameter(tensor.float()),
        lambda: hostile_value(rng),
        lambda: [tensor],
        lambda: tensor.tolist() if tensor.numel() < 9 else "tensor",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        return rng.choice(makers)()


def _change_tensor(rng: Random, content: dict[str, Any], key: str) -> object:
    name = rng.choice(list(content[key]))
    content[key][name] = odd_tensor(rng, content[key][name])
    return content


def _change_key(rng: Random, content: dict[str, Any], key: str) -> object:
    state = content[key]
    name = rng.choice(list(state))
    state[rng.choice((b"bytes", 7, (1, 2), None, 1.5, *HOSTILE_NAMES))] = state.pop(name)
    return content


def _remove_tensor(rng: Random, content: dict[str, Any], key: str) -> object:
    del content[key][rng.choice(list(content[key]))]
    return content


def _change_field(rng: Random, content: dict[str, Any], key: str) -> object:
    content[rng.choice(list(content))] = hostile_value(rng)
    return content


def _remove_field(rng: Random, content: dict[str, Any], key: str) -> object:
    del content[rng.choice(list(content))]
    return content


def _other_top(rng: Random, content: dict[str, Any], key: str) -> object:
    makers = ([content], content[key], {}, None, torch.zeros(3), {key: [*content[key].values()][:1]}, {b"x": 1}, "text")
    return rng.choice(makers)


def _foreign_class(rng: Random, content: dict[str, Any], key: str) -> object:
    content[rng.choice(("config", "\x1b[31mkey", key))] = Foreign()
    return content


class Foreign:
    """Stand for code in a checkpoint, which no reader may run."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Call a harmless function."""
        return (json.loads, ("[1]",))


CHANGES = (
    *(_change_tensor, _change_tensor, _change_tensor, _change_key, _remove_tensor),
    *(_change_field, _remove_field, _other_top, _foreign_class),
)


def mutate_log(rng: Random, data: bytes) -> bytes:
    """Change a JSON line of a log, or its bytes."""
    lines = data.splitlines(keepends=True)
    if not lines or rng.random() < 0.3:
        return mutate_bytes(rng, data)
    i = rng.randrange(len(lines))
    lines[i] = mutate_json(rng, lines[i].strip()) + b"\n"
    return b"".join(lines)
