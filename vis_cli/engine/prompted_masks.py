"""Objects that the user selects by boxes and points: their masks in the frames of the prompts; used by `segmenter`.

A box gets its mask from the mask head. A point selects a proposal: a likely object of this frame, of any class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vis_cli.engine.frames import Size
from vis_cli.engine.given_objects import GivenObjects
from vis_cli.engine.key_frame_reader import KeyFrames
from vis_cli.engine.masks import mask_nms
from vis_cli.engine.method import Method
from vis_cli.engine.sequences import KeyMasks
from vis_cli.errors import VisError
from vis_cli.network.structures import EncodedFrame, FrameFeatures
from vis_cli.records.prompts import BoxPrompt, PointPrompt, Prompt, PromptedObject, group_prompts, require_frames

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork
    from vis_cli.records.video import Video

PROPOSAL_SCORE = 0.5  # minimum score of a proposal: it is more likely an object than background
PROPOSAL_NMS_IOU = 0.5  # of boxes, and of masks
MAX_PROPOSALS = 100  # per frame, as in COCO
CONFIDENT_CLASS = 0.5  # minimum probability of the class of a prompted object
LARGEST_REMOVED = 0.5  # maximum fraction of the mask of a box that a negative point removes
BOX_HINT = "Use --box FRAME:x1,y1,x2,y2 instead."


@dataclass(frozen=True, slots=True)
class _Proposals:
    """N likely objects of a frame, in ascending order of their area."""

    probs: Tensor  # (N, h, w) from 0 to 1
    masks: Tensor  # (N, h, w) bool
    class_probs: Tensor  # (N, C+1), background first

    def contains(self, points: Sequence[tuple[int, int]]) -> Tensor:
        """Return whether the proposals contain all pixels (row, column), (N,) bool."""
        inside = torch.ones(len(self.masks), dtype=torch.bool, device=self.masks.device)
        for row, column in points:
            inside &= self.masks[:, row, column]
        return inside


class PromptedMasks(GivenObjects):
    """The objects of boxes and points."""

    def __init__(
        self,
        method: Method,
        prompts: Sequence[Prompt],
        reader: KeyFrames | None = None,
        *,
        own: VideoNetwork | None = None,
        video: Video,
        num_frames: int,
        size: Size,
    ) -> None:
        """Check the frames of the prompts.

        Args:
            method: Its network proposes, and predicts the masks.
            prompts: At least one box or positive point, inside of the image.
            reader: Reader of the key frames, for a detector that reads them at the size of the video.
            own: A network with a box head, if the network of the method has none. It proposes and classifies, too.
            video: The video. In a part of a video, prompts have the frame numbers of the complete video.
            num_frames: Number of its frames.
            size: (h, w) of the network input.

        Raises:
            VisError: A frame is beyond the end of the video, or the prompts of a frame contradict each other.
        """
        numbers = range(num_frames) if video.part is None else video.part.frames
        require_frames(prompts, numbers)
        self._objects = {numbers.index(number): objects for number, objects in group_prompts(prompts).items()}
        super().__init__({frame: tuple(item.id for item in some) for frame, some in self._objects.items()})
        self._network = method.network
        self._config = method.config
        self._reader = reader
        self._own = own
        self._scale = size[1] / video.width, size[0] / video.height  # of x and y
        self._size = size
        self.labels: dict[int, int] = {}  # label of each object with a confident class, from its first prompt

    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Return the masks of the objects with a prompt in a frame.

        Raises:
            VisError: The network finds no mask for a prompt.
        """
        objects = self._objects[frame.index]
        boxes = [item.box for item in objects if item.box is not None]
        proposals = self._propose(frame) if any(item.points or item.negative for item in objects) else None
        found = iter(zip(*self._of_boxes(frame.features, boxes), strict=True))
        masks, class_probs = [], []
        for item in objects:
            mask, probs = next(found) if item.box is not None else self._of_points(item, proposals)
            masks.append(self._without(mask, item, proposals))
            class_probs.append(probs)
            if frame.index == self._first_frame(item.id):
                self._classify(item.id, probs)
        stacked = torch.stack(masks)
        guidance = (stacked > self._config.mask_threshold).float()
        return KeyMasks(self.frame_ids[frame.index], stacked, guidance, np.zeros((len(objects), 1)))

    def _propose(self, frame: EncodedFrame) -> _Proposals:
        """Return the proposals of a frame, without worse proposals of the same object."""
        features = frame.features
        if self._reader is not None:
            features = dataclasses.replace(features, key_frame=self._reader.read(frame.index))
        networks = [self._network] if self._own is None else [self._network, self._own]
        found = [
            network.detect_objects(
                features, score_threshold=PROPOSAL_SCORE, nms_iou=PROPOSAL_NMS_IOU, max_instances=MAX_PROPOSALS
            )
            for network in networks
        ]
        probs = torch.cat([some.mask_probs for some in found])
        class_probs = torch.cat([self._renamed(some.class_probs, by) for some, by in zip(found, networks, strict=True)])
        masks = probs > self._config.mask_threshold
        kept = mask_nms(masks, PROPOSAL_NMS_IOU)
        order = sorted(kept, key=lambda row: int(masks[row].sum()))
        return _Proposals(probs[order].float(), masks[order], class_probs[order])

    def _renamed(self, class_probs: Tensor, network: VideoNetwork) -> Tensor:
        """Return probabilities (N, C+1) of the categories of the result from those of a network, by name."""
        if network is self._network:
            return class_probs
        labels = {category.name: label for label, category in enumerate(network.config.categories, start=1)}
        columns = [labels.get(category.name) for category in self._network.config.categories]
        renamed = class_probs.new_zeros((len(class_probs), len(columns) + 1))
        for label, column in enumerate(columns, start=1):
            if column is not None:
                renamed[:, label] = class_probs[:, column]
        renamed[:, 0] = 1.0 - renamed[:, 1:].sum(dim=1)
        return renamed

    def _of_boxes(self, features: FrameFeatures, boxes: Sequence[BoxPrompt]) -> tuple[Tensor, Tensor]:
        """Return the masks (N, h, w) and the class probabilities (N, C+1) of boxes.

        Raises:
            VisError: A mask is empty.
        """
        device, num_scores = features.pyramid[0].device, self._network.config.num_classes + 1
        if not boxes:
            return torch.zeros((0, *self._size), device=device), torch.zeros((0, num_scores), device=device)
        corners = torch.tensor([box.box for box in boxes], device=device).reshape(-1, 4)
        scaled = corners * torch.tensor([*self._scale, *self._scale], device=device)
        masks = self._network.box_masks(features, scaled).float()
        for box, mask in zip(boxes, masks, strict=True):
            if not bool((mask > self._config.mask_threshold).any()):
                raise VisError("the model finds no mask in this box", where=box, hint="Use a larger box, or --masks.")
        network = self._network if self._network.classifies_boxes else self._own
        if network is None:
            return masks, torch.zeros((len(boxes), num_scores), device=device)
        return masks, self._renamed(network.class_probs(features, scaled), network)

    def _of_points(self, item: PromptedObject, proposals: _Proposals | None) -> tuple[Tensor, Tensor]:
        """Return the mask (h, w) and the class probabilities (C+1,) of the object that contains some points.

        Raises:
            VisError: No proposal contains them.
        """
        if proposals is None:
            raise ValueError("no proposals")
        inside = proposals.contains([self._pixel(point) for point in item.points])
        better = inside.clone()
        for point in item.negative:
            better &= ~proposals.contains([self._pixel(point)])
        if not bool(inside.any()):
            problem = "no detected object contains this point"
            if len(item.points) > 1:
                problem = f"no detected object contains all {len(item.points)} points of object {item.id}"
            raise VisError(problem, where=item.points[0], hint=BOX_HINT)
        row = int((better if bool(better.any()) else inside).nonzero()[0, 0])
        return proposals.probs[row], proposals.class_probs[row]

    def _without(self, mask: Tensor, item: PromptedObject, proposals: _Proposals | None) -> Tensor:
        """Return the mask (h, w) of an object without the areas of its negative points.

        Raises:
            VisError: No proposal contains a negative point, or the mask is empty without it.
        """
        threshold = self._config.mask_threshold
        for point in item.negative:
            row, column = self._pixel(point)
            if proposals is None or not bool(mask[row, column] > threshold):
                continue  # the mask does not contain this point
            area = self._area_to_remove(mask > threshold, item, point, proposals)
            mask = torch.where(area, 0.0, mask)
            if not bool((mask > threshold).any()):
                raise VisError(f"nothing remains of object {item.id}", where=point, hint="Omit this point.")
        return mask

    def _area_to_remove(self, mask: Tensor, item: PromptedObject, point: PointPrompt, proposals: _Proposals) -> Tensor:
        """Return the smallest proposal (h, w) that contains a negative point, but not the object itself."""
        is_area = proposals.contains([self._pixel(point)])
        for positive in item.points:
            is_area &= ~proposals.contains([self._pixel(positive)])
        if item.box is not None:
            covered = (proposals.masks & mask).flatten(1).sum(dim=1)
            is_area &= covered <= LARGEST_REMOVED * mask.sum()
        if not bool(is_area.any()):
            problem = f"no detected object contains this point, but not object {item.id}"
            raise VisError(problem, where=point, hint=BOX_HINT if item.points else "Use a smaller box, or --masks.")
        return proposals.masks[int(is_area.nonzero()[0, 0])]

    def _classify(self, id_: int, class_probs: Tensor) -> None:
        probability, index = class_probs[1:].max(dim=0)
        if float(probability) >= CONFIDENT_CLASS:
            self.labels[id_] = int(index) + 1

    def _first_frame(self, id_: int) -> int:
        return min(frame for frame, ids in self.frame_ids.items() if id_ in ids)

    def _pixel(self, point: PointPrompt) -> tuple[int, int]:
        """Return row and column of a point in the network input."""
        x, y = point.point
        return min(int(y * self._scale[1]), self._size[0] - 1), min(int(x * self._scale[0]), self._size[1] - 1)
