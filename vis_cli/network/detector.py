"""The image-level half of Seq Mask R-CNN: proposals, boxes, classes and masks of one frame (Mask R-CNN).

Built of torchvision's detection parts; used by `seq_mask_rcnn` for inference and by `detection_losses` for training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import batched_nms, box_iou

from vis_cli.network.box_conventions import FINEST_BOX, BoxConvention, box_convention
from vis_cli.network.config import ModelConfig
from vis_cli.network.losses import box_regression_loss
from vis_cli.network.structures import Detections, FrameFeatures

LEVELS = ("p2", "p3", "p4", "p5", "p6")
RPN_BOX_BETA = 1 / 9  # where the smooth L1 of the RPN turns linear (torchvision)
RPN_CODER_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
BOX_CODER_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
PREDICTOR_STD = 0.01  # of the last layers' first weights: every class and pixel starts undecided
# Maximum fraction of positive anchors in the sample of the RPN: docs/explanation/authors-implementation.md#fact-45
ANCHORS_POSITIVE = 0.5
UNLABELLED_IOU = 0.02  # an anchor that touches labelled objects less says nothing where not all objects are labelled
CROWD_COVER = 0.5  # an anchor or box covered so far by a crowd region is not background
DOUBTFUL_IOU = 0.3  # nor is one that resembles a doubtful object so far; a part of such an object is background


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Hold N decoded boxes of one frame before the score threshold and NMS."""

    boxes: Tensor  # (N, 4)
    scores: Tensor  # (N,)
    labels: Tensor  # (N,) int64 in 1..C
    class_probs: Tensor  # (N, C+1), background first
    groups: Tensor  # (N,) int64; boxes of different groups do not suppress each other


@dataclass(frozen=True, slots=True)
class SampleSizes:
    """Numbers of anchors, regions and proposals per frame that the losses of the detector use."""

    anchors: int  # sampled for the losses of the RPN
    regions: int  # sampled for the losses of the box and mask heads
    proposals: tuple[int, int]  # per level before NMS, and per frame after NMS
    rpn_fraction: float = 1.0  # fraction of the frames that train the RPN, rounded up


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]  # torchvision is untyped
    """RPN of torchvision. It does not train a region as background if an unlabelled object can be in it."""

    def __init__(self, convention: BoxConvention, channels: int) -> None:
        with torch.device("cpu"):  # with values also if the layers are built on the meta device
            anchors = convention.anchors()
        super().__init__(
            anchors,
            RPNHead(channels, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=0,  # see learn_from
            positive_fraction=ANCHORS_POSITIVE,
            pre_nms_top_n={"testing": convention.proposals_per_level},
            post_nms_top_n={"testing": 200},
            nms_thresh=0.7,
        )
        self.box_coder = convention.box_coder(RPN_CODER_WEIGHTS)
        self._convention = convention

    def learn_from(self, sizes: SampleSizes) -> None:
        """Set how much of a frame the losses use. Call it before the first training step."""
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(sizes.anchors, ANCHORS_POSITIVE)
        self._pre_nms_top_n["training"], self._post_nms_top_n["training"] = sizes.proposals

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the best boxes of each frame and their scores. The convention clips the boxes first."""
        clipped = [self._convention.clip(boxes, size) for boxes, size in zip(proposals, image_shapes, strict=True)]
        filtered: tuple[list[Tensor], list[Tensor]] = super().filter_proposals(
            torch.stack(clipped), objectness, image_shapes, num_anchors_per_level
        )
        return filtered

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals (R, 4) of each frame and, with targets, the losses of the sampled anchors.

        Targets hold `boxes` (N, 4), `weights` (N,), `ignore` (M, 4), `doubtful` (D, 4), `exhaustive` (bool) and
        `background_weight`.
        """
        levels = list(features.values())
        objectness, deltas = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        level_sizes = [scores[0].numel() for scores in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)  # (B * A, 1), (B * A, 4)
        boxes = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        proposals, _ = self.filter_proposals(boxes, objectness, images.image_sizes, level_sizes)
        if targets is None:
            return proposals, {}
        return proposals, self._losses(objectness[:, 0].float(), deltas.float(), anchors, targets)

    def _losses(
        self, objectness: Tensor, deltas: Tensor, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        learned = [self.match(a, t) for a, t in zip(anchors, targets, strict=True)]
        labels, matched, weights = (list(parts) for parts in zip(*learned, strict=True))
        positive, negative = (torch.cat(chosen) for chosen in self.fg_bg_sampler(labels))
        positive, sampled = torch.nonzero(positive)[:, 0], torch.nonzero(positive | negative)[:, 0]
        weight, goals = torch.cat(weights), torch.cat(self.box_coder.encode(matched, anchors))
        of_score = F.binary_cross_entropy_with_logits(
            objectness[sampled], torch.cat(labels)[sampled], weight[sampled], reduction="sum"
        )
        num = max(1, len(sampled))
        return {
            "loss_objectness": of_score / num,
            "loss_rpn_box_reg": box_regression_loss(
                deltas[positive], goals[positive], num, beta=RPN_BOX_BETA, weights=weight[positive]
            ),
        }

    def match(self, anchors: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return labels (A,) of anchors, 1 object, 0 background, -1 neither, with their boxes (A, 4), weights (A,)."""
        boxes, weights = target["boxes"], target["background_weight"].expand(len(anchors))
        matched = torch.zeros_like(anchors)
        labels = anchors.new_zeros(len(anchors))
        if len(boxes):
            index = self.proposal_matcher(box_iou(boxes, anchors))
            matched, labels = boxes[index.clamp(min=0)], (index >= 0).float()
            labels[index == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1.0
            weights = torch.where(index >= 0, target["weights"][index.clamp(min=0)], weights)
        unknown = covered_by(anchors, target["ignore"]) > CROWD_COVER
        unknown |= best_iou(anchors, target["doubtful"]) >= DOUBTFUL_IOU
        if not bool(target["exhaustive"]):
            unknown |= best_iou(anchors, boxes) < UNLABELLED_IOU
        return torch.where(unknown & (labels == 0), -torch.ones_like(labels), labels), matched, weights


class BoxPredictor(nn.Module):
    """Class scores (N, C+1) and box deltas (N, 4R) of R = 1 or C+1 regressors."""

    def __init__(self, in_channels: int, num_classes: int, num_regressors: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes + 1)
        self.bbox_pred = nn.Linear(in_channels, 4 * num_regressors)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits and deltas of RoI features (N, D)."""
        return self.cls_score(x), self.bbox_pred(x)


class Detector(nn.Module):
    """Region proposals, box head and mask head over the FPN levels P2..P6."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.fpn_channels
        self.class_specific = config.class_specific
        num_maps = config.num_classes + 1 if config.class_specific else 1
        self.convention = box_convention(config.box_convention)
        self.rpn = ProposalNetwork(self.convention, channels)
        self.box_pool = self.convention.roi_align(7, finest_box=config.finest_box)
        self.box_head = TwoMLPHead(channels * 7 * 7, config.box_channels)
        self.box_predictor = BoxPredictor(config.box_channels, config.num_classes, num_maps)
        self.mask_pool = self.convention.roi_align(14, finest_box=FINEST_BOX)
        self.mask_head = MaskRCNNHeads(channels, (channels,) * config.mask_convs, 1)
        self.mask_predictor = MaskRCNNPredictor(channels, channels, num_maps)
        self.box_coder = self.convention.box_coder(BOX_CODER_WEIGHTS)
        nn.init.normal_(self.mask_predictor.mask_fcn_logits.weight, std=PREDICTOR_STD)
        nn.init.normal_(self.box_predictor.cls_score.weight, std=PREDICTOR_STD)
        nn.init.normal_(self.box_predictor.bbox_pred.weight, std=0.1 * PREDICTOR_STD)

    def propose(
        self, features: FrameFeatures, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals (R, 4) of each frame and, with targets, the RPN losses."""
        p2 = features.pyramid[0]
        batch = p2.shape[0]
        height, width = 4 * p2.shape[-2], 4 * p2.shape[-1]
        blank = p2.new_empty((batch, 1, 1, 1)).expand(batch, 3, height, width)
        images = ImageList(blank, [features.image_size] * batch)
        proposals, losses = self.rpn(images, _float_levels(features), targets)
        return proposals, losses

    def classify(self, features: FrameFeatures, boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits (N, C+1) and deltas (N, 4R) of the boxes of all frames, in order."""
        pooled = self.box_pool(_float_levels(features), boxes, [features.image_size] * len(boxes))
        logits, deltas = self.box_predictor(self.box_head(pooled))
        return logits.float(), deltas.float()

    def mask_logits(self, features: FrameFeatures, boxes: list[Tensor], labels: Tensor) -> Tensor:
        """Return mask logits (N, 28, 28) of the boxes of all frames, each of its label's map."""
        pooled = self.mask_pool(_float_levels(features), boxes, [features.image_size] * len(boxes))
        logits: Tensor = self.mask_predictor(self.mask_head(pooled)).float()
        channel = labels if self.class_specific else torch.zeros_like(labels)
        return logits[torch.arange(len(labels), device=labels.device), channel]

    def decode_boxes(self, deltas: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        """Return boxes (N, 4) refined by the deltas (N, 4R) of their labels (N,)."""
        regressors = deltas.reshape(len(boxes), deltas.shape[1] // 4, 4)  # (N, R, 4)
        slot = labels if self.class_specific else torch.zeros_like(labels)
        chosen = regressors[torch.arange(len(boxes), device=boxes.device), slot]
        decoded: Tensor = self.box_coder.decode_single(chosen, boxes)
        return decoded

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect at most `max_instances` of one frame (B = 1), best first in the modern convention.

        A box is a candidate for each class with a score above the threshold. NMS runs within each class.
        """
        proposals, probs, deltas = self._classify_proposals(features)
        index, labels = torch.nonzero(probs[:, 1:] > score_threshold, as_tuple=True)
        labels = labels + 1
        boxes = self.decode_boxes(deltas[index], proposals[index], labels)
        found = _Candidates(boxes, probs[index, labels], labels, probs[index], groups=labels)
        return self._select(features, found, score_threshold, nms_iou, max_instances)

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect at most `max_instances` of any class in one frame (B = 1), best first in the modern convention.

        The score of a box is 1 - background, its label the most likely class. NMS ignores classes.
        """
        proposals, probs, deltas = self._classify_proposals(features)
        labels = probs[:, 1:].argmax(dim=1) + 1
        boxes = self.decode_boxes(deltas, proposals, labels)
        found = _Candidates(boxes, 1.0 - probs[:, 0], labels, probs, groups=torch.zeros_like(labels))
        return self._select(features, found, score_threshold, nms_iou, max_instances)

    def _classify_proposals(self, features: FrameFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """Return the proposals (R, 4) of one frame, their class probabilities (R, C+1) and deltas (R, 4K)."""
        proposals, _ = self.propose(features)
        logits, deltas = self.classify(features, proposals)
        return proposals[0], torch.softmax(logits, dim=1), deltas

    def _select(
        self, features: FrameFeatures, found: _Candidates, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Apply the score threshold and box NMS, keep at most `max_instances`, and predict their masks."""
        boxes = self.convention.clip(found.boxes, features.image_size)
        sides = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
        wanted = torch.nonzero((found.scores > score_threshold) & (sides >= self.convention.min_box_side))[:, 0]
        keep = wanted[batched_nms(boxes[wanted], found.scores[wanted], found.groups[wanted], nms_iou)]
        keep = keep[self.convention.arrange(found.labels[keep], max_instances)]
        boxes, scores, labels = boxes[keep], found.scores[keep], found.labels[keep]
        masks = self.paste_masks(features, [boxes], labels)
        return Detections(boxes, scores, labels, found.class_probs[keep], masks)

    def paste_masks(self, features: FrameFeatures, boxes: list[Tensor], labels: Tensor) -> Tensor:
        """Return soft masks (N, h, w) from 0 to 1 of boxes in one frame (B = 1)."""
        height, width = features.image_size
        if len(labels) == 0:
            return torch.zeros((0, height, width), device=labels.device)
        probs = self.mask_logits(features, boxes, labels).sigmoid()
        return self.convention.paste(probs, boxes[0], (height, width))


def best_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the maximum IoU of each box (N, 4) with `others` (M, 4); 0 if M is 0."""
    if len(others) == 0:
        return boxes.new_zeros(len(boxes))
    iou: Tensor = box_iou(boxes, others)
    return iou.amax(dim=1)


def covered_by(boxes: Tensor, regions: Tensor) -> Tensor:
    """Return the maximum fraction of each box (N, 4) that one of `regions` (M, 4) covers; 0 if M is 0."""
    if len(regions) == 0:
        return boxes.new_zeros(len(boxes))
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    overlap = (high - low).clamp(min=0).prod(dim=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    return (overlap / areas.clamp(min=1.0)[:, None]).amax(dim=1)


def _float_levels(features: FrameFeatures) -> dict[str, Tensor]:
    return dict(zip(LEVELS, features.pyramid, strict=True))
