"""Given masks as the start of sequences, instead of detections (semi-supervised); used by `segmenter`."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vis_cli.engine.frames import Size
from vis_cli.engine.given_objects import GivenObjects
from vis_cli.engine.sequences import KeyMasks
from vis_cli.errors import VisError
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import encode_mask


class GivenMasks(GivenObjects):
    """The instances of given label maps. Each one starts in the first frame that shows it, and has no class."""

    def __init__(
        self, guidance: Mapping[int, NDArray[np.integer]], *, num_frames: int, video: Size, size: Size
    ) -> None:
        """Check the label maps.

        Args:
            guidance: At least one label map (H, W) by frame index: 0 is background, other values are instance ids.
            num_frames: Number of frames of the video.
            video: (H, W) of the video. The label maps must have this size.
            size: (h, w) of the network input.

        Raises:
            VisError: There is no label map, or a label map has a frame that is not in the video, another size, or a
                negative value.
        """
        if not guidance:
            raise VisError("guidance has no label map. Give at least one")
        for frame, labels in guidance.items():
            _require_fitting(frame, labels, num_frames=num_frames, video=video)
        super().__init__({frame: _ids_in(labels) for frame, labels in guidance.items()})
        self._guidance = guidance
        self._size = size

    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Return the masks that are given for a frame. A value at network size is the covered fraction of a pixel."""
        ids, labels = self.frame_ids[frame.index], self._guidance[frame.index]
        masks = [labels == id_ for id_ in ids]
        covered = np.zeros((len(ids), *self._size), dtype=np.float32)
        for index, mask in enumerate(masks):
            covered[index] = cv2.resize(mask.astype(np.float32), self._size[::-1], interpolation=cv2.INTER_AREA)
        probs = torch.from_numpy(covered).to(frame.features.pyramid[0].device)
        no_classes = np.zeros((len(ids), self.num_classes + 1))
        return KeyMasks(ids, probs, probs, no_classes, segmentations=tuple(encode_mask(mask) for mask in masks))


def _ids_in(labels: NDArray[np.integer]) -> tuple[int, ...]:
    return tuple(int(value) for value in np.unique(labels) if value != 0)


def _require_fitting(frame: int, labels: NDArray[np.integer], *, num_frames: int, video: Size) -> None:
    if not 0 <= frame < num_frames:
        raise VisError(f"guidance is for frame {frame}, but the frames of the video are 0 to {num_frames - 1}")
    if labels.shape != video:
        given = "x".join(str(side) for side in labels.shape[::-1])
        raise VisError(f"the label map of frame {frame} is {given}, but the video is {video[1]}x{video[0]}")
    if labels.min() < 0:
        raise VisError(f"the label map of frame {frame} has the value {labels.min()}. Use ids of at least 1")
