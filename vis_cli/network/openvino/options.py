"""Options of the parts of a network that run in OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from vis_cli.messages import Messages, NoMessages
from vis_cli.network.config import ModelConfig

# Returns the images (1, 3, h, w), RGB 0..255, that calibrate a network for int8.
Calibration: TypeAlias = Callable[[ModelConfig], Iterable[Tensor]]


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """Number formats of the parts, and the receiver of messages."""

    precision: torch.dtype  # float32 or bfloat16
    calibration: Calibration | None = None  # for the frame encoder in int8. None: it is not quantized
    messages: Messages = field(default_factory=NoMessages)
