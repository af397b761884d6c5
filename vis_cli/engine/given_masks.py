"""Masks given by the caller instead of detections (semi-supervised); used by `segmenter` and `propose`."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vis_cli.engine.frames import Size
from vis_cli.engine.sequences import KeyMasks
from vis_cli.errors import VisError
from vis_cli.network.structures import FrameFeatures
from vis_cli.records.rle import encode_mask


class GivenMasks:
    """Start a sequence for each value of the given label maps, where it is first given."""

    one_contest = True  # values of a label map exclude each other

    def __init__(
        self, guidance: Mapping[int, NDArray[np.integer]], *, num_frames: int, video: Size, size: Size
    ) -> None:
        """Take label maps (H, W) by frame: 0 background, else the id of an instance.

        Args:
            guidance: at least one label map.
            num_frames: of the video.
            video: its (H, W), which the label maps must have.
            size: (h, w) of the network's input.

        Raises:
            VisError: no label map, a frame the video does not have, another size, or a negative value.
        """
        if not guidance:
            raise VisError("guidance holds no label map; give one for at least one frame")
        for frame, labels in guidance.items():
            _require_fitting(frame, labels, num_frames=num_frames, video=video)
        self.key_frames = tuple(sorted(guidance))
        self._guidance = guidance
        self._size = size

    def masks_at(self, frame: int, features: FrameFeatures) -> KeyMasks:
        """Return the masks given at a frame as they are; at network size each pixel holds the share it is covered."""
        labels = self._guidance[frame]
        ids = tuple(int(value) for value in np.unique(labels) if value != 0)
        masks = [labels == id_ for id_ in ids]
        covered = np.zeros((len(ids), *self._size), dtype=np.float32)
        for index, mask in enumerate(masks):
            covered[index] = cv2.resize(mask.astype(np.float32), self._size[::-1], interpolation=cv2.INTER_AREA)
        probs = torch.from_numpy(covered).to(features.c2.device)
        return KeyMasks(ids, probs, probs, segmentations=tuple(encode_mask(mask) for mask in masks))


def _require_fitting(frame: int, labels: NDArray[np.integer], *, num_frames: int, video: Size) -> None:
    if not 0 <= frame < num_frames:
        raise VisError(f"guidance is for frame {frame}, but the video's frames are 0 to {num_frames - 1}")
    if labels.shape != video:
        given = "x".join(str(side) for side in labels.shape[::-1])
        raise VisError(f"the label map of frame {frame} is {given}, but the video is {video[1]}x{video[0]}")
    if labels.min() < 0:
        raise VisError(f"the label map of frame {frame} has the value {labels.min()}; instances count from 1")
