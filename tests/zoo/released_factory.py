"""Checkpoint files in the released format: real names and shapes, weights seeded by the recipe or none to speak of."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tests.golden.recipe import seeded_tensor

GOLDEN = Path(__file__).parents[1] / "golden"
CLASS_LAYERS = {"bbox_head.fc_cls": 1, "bbox_head.fc_reg": 4, "mask_head.conv_logits": 1, "prop_head.conv_logits": 1}


def released_shapes(backbone: str, *, num_classes: int = 40) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield key and shape of every tensor of a released model."""
    for line in (GOLDEN / f"state_dict_keys_{backbone}.txt").read_text().splitlines():
        key, sides, _ = line.split()
        shape = () if sides == "scalar" else tuple(int(side) for side in sides.split("x"))
        layer = key.rpartition(".")[0]
        if layer in CLASS_LAYERS:
            shape = (CLASS_LAYERS[layer] * (num_classes + 1), *shape[1:])
        yield key, shape


def seeded_state(backbone: str) -> OrderedDict[str, Tensor]:
    """Return the weights of the recipe; seconds of work."""
    return OrderedDict((key, torch.from_numpy(seeded_tensor(key, s))) for key, s in released_shapes(backbone))


def hollow_state(backbone: str, *, num_classes: int = 40) -> OrderedDict[str, Tensor]:
    """Return tensors of the right shapes that hold one number each, so that files and work stay small."""
    return OrderedDict(
        (key, torch.tensor(hollow_value(key)).expand(shape) if shape else torch.zeros((), dtype=torch.int64))
        for key, shape in released_shapes(backbone, num_classes=num_classes)
    )


def hollow_value(key: str) -> float:
    """Return a number that is hardly that of another key."""
    return zlib.crc32(key.encode()) / 2**32


def write_checkpoint(path: Path, state: OrderedDict[str, Tensor], *, old_format: bool = True) -> Path:
    """Write what the authors' training wrote, by default in the file format of their torch 1.1."""
    checkpoint = {
        "meta": {"mmcv_version": "0.2.0", "time": "Mon Mar  1 00:00:00 2021", "epoch": 4, "iter": 100},
        "state_dict": state,
        "optimizer": {"state": {}, "param_groups": [{"lr": 3.3e-6, "momentum": 0.9, "params": [0, 1]}]},
    }
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not old_format)
    return path
