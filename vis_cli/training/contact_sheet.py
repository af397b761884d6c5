"""Image of training clips with their targets. Used by `check` and `preview`."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.palette import instance_color
from vis_cli.training.structures import TrainClip

_GAP = 4  # pixels between clips
_FILL = 0.4  # opacity of the colour of an instance


def draw_contact_sheet(clips: Sequence[TrainClip], *, columns: int = 2) -> NDArray[np.uint8]:
    """Return an RGB image of the clips, with the frames of each clip next to each other.

    An object has one colour in all frames of its clip. Guided objects have a thick outline. Ignored boxes are white.
    """
    strips = [np.hstack([_draw_frame(clip, frame) for frame in range(len(clip.images))]) for clip in clips]
    height = max((strip.shape[0] for strip in strips), default=0) + _GAP
    width = max((strip.shape[1] for strip in strips), default=0) + _GAP
    sheet = np.zeros((height * -(-len(strips) // columns), width * columns, 3), np.uint8)
    for index, strip in enumerate(strips):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + strip.shape[0], x : x + strip.shape[1]] = strip
    return sheet


def _draw_frame(clip: TrainClip, frame: int) -> NDArray[np.uint8]:
    image = np.ascontiguousarray(clip.images[frame].permute(1, 2, 0).numpy())  # (H, W, 3)
    targets = clip.targets[frame]
    guided = set(clip.guided_ids.tolist())
    for mask, instance_id, label in zip(targets.masks, targets.instance_ids, targets.labels, strict=True):
        binary, value = mask.numpy(), int(instance_id)
        colour = instance_color(value)
        inside = binary > 0
        image[inside] = ((1 - _FILL) * image[inside] + _FILL * np.array(colour)).astype(np.uint8)
        outline, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outline, -1, colour, 3 if value in guided else 1)
        x, y, _, _ = cv2.boundingRect(binary)
        cv2.putText(image, f"{value}:{int(label)}", (x, y + 10), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255))
    for box in clip.ignore[frame].int().tolist():
        cv2.rectangle(image, box[:2], box[2:], (255, 255, 255), 1)
    return image
