"""The two kinds of training data: stills made into pseudo-videos, and frames of real videos.

Used by `pairs`. Names of categories become the model's labels here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.records.rle import decode_rle
from vis_cli.records.types import Rle
from vis_cli.training.annotations import (
    Still,
    StillObject,
    VideoClip,
    VideoObject,
    read_picture,
    read_stills,
    read_video_clips,
)
from vis_cli.training.cutouts import CutoutBank, Picture, paste_candidates
from vis_cli.training.pseudo_video import STRONG, VIDEO, PseudoVideoConfig, RenderedClip, render_clip
from vis_cli.training.structures import TrainClip
from vis_cli.training.targets import FrameObjects

ANY_OBJECT = "object"  # the category that stands for whatever the model has no name for
_PASTED_AREA = 0.01  # of its picture: smaller objects are too coarse to cut out


class ClipSource(Protocol):
    """What clips are drawn from."""

    def __len__(self) -> int:
        """Count the items that clips start from."""

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Make a clip of item `index`, a function of the arguments only."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Bring the categories of data sets to the labels 1..C of a model, by name."""

    names: tuple[str, ...]  # label i is names[i - 1]
    # Source -> the only names labelled there; "" are pictures that name no source. One not here labels everything.
    labelled_by_source: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names in `labelled_by_source` that no category has.

        Raises:
            VisError: a name is unknown.
        """
        for source, names in self.labelled_by_source.items():
            unknown = [name for name in names if name not in self.names]
            if unknown:
                raise VisError(f"labelled_by_source: {source} names '{unknown[0]}', which is no category of the model")

    def label(self, category: str) -> int | None:
        """Return the label of a category, that of 'object' if the model does not know it, None without either."""
        for name in (category, ANY_OBJECT):
            if name in self.names:
                return self.names.index(name) + 1
        return None

    def labelled(self, source: str) -> Tensor:
        """Return the (C+1,) bool tensor of the labels that `source` labels exhaustively; index 0: all of them."""
        names = self.labelled_by_source.get(source)
        if names is None:
            return torch.ones(len(self.names) + 1, dtype=torch.bool)
        return torch.tensor([False, *(name in names for name in self.names)])


class StillsPseudoVideo:
    """Annotated stills in COCO layout, each made into a short pseudo-video."""

    def __init__(
        self,
        annotations: Path,
        images: Path,
        label_map: LabelMap,
        config: PseudoVideoConfig = STRONG,
        *,
        paste_sources: Sequence[str] | None = None,
    ) -> None:
        """Read the annotations; cut-outs come from `paste_sources` only (None: from all).

        Raises:
            VisError: the annotations or a picture cannot be read (see `read_stills`).
        """
        self._stills = read_stills(annotations, images)
        self._label_map = label_map
        self._config = config
        chosen = [s for s in self._stills if paste_sources is None or s.source in paste_sources]
        self.bank = _cutout_bank(chosen, label_map)

    def __len__(self) -> int:
        """Count the stills."""
        return len(self._stills)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Make a pseudo-video of still `index`.

        Raises:
            VisError: its picture, or that of a pasted object, cannot be read.
        """
        still = self._stills[index]
        masks = {i: item.rle for i, item in enumerate(still.objects, 1)}
        objects = _frame_objects(still.objects, [self._label_map.label(item.category) for item in still.objects])
        picture = _picture(still.path, still.width, still.height, masks, objects)
        rendered = render_clip([picture] * num_frames, objects, self.bank, self._config, canvas=canvas, rng=rng)
        return _train_clip(rendered, self._label_map.labelled(still.source), detect=True, name=str(still.path))


class YouTubeVisClips:
    """Annotated videos in YouTube-VIS layout; an item is a frame that shows an object."""

    def __init__(
        self,
        annotations: Path,
        images: Path,
        label_map: LabelMap,
        config: PseudoVideoConfig = VIDEO,
        *,
        bank: CutoutBank,
        max_gap: int = 10,
        detect: bool = True,
    ) -> None:
        """Read the annotations.

        Args:
            annotations: the JSON file.
            images: the folder of its frames.
            label_map: names to labels.
            config: how the clips are changed.
            bank: objects to paste, possibly none.
            max_gap: largest number of frames from one frame of a clip to the next.
            detect: whether the detector may learn from the clips; if not, their labels say nothing and objects of
                classes that `label_map` lacks are kept (as label 1).

        Raises:
            VisError: the annotations or a frame cannot be read, or no frame shows an object.
        """
        self._videos = read_video_clips(annotations, images)
        self._label_map, self._config, self._bank = label_map, config, bank
        self._max_gap, self._detect = max_gap, detect
        self._items = [(video, frame) for video in self._videos for frame in _shown_frames(video)]
        if not self._items:
            raise VisError(f"{annotations}: no frame shows an object; there is nothing to train on")

    def __len__(self) -> int:
        """Count the frames that show an object."""
        return len(self._items)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Make a clip of frame `index` and frames before or after it.

        Raises:
            VisError: a frame, or the picture of a pasted object, cannot be read.
        """
        video, start = self._items[index]
        frames = draw_frames(start, len(video.frames), num_frames, self._max_gap, rng)
        objects = _frame_objects(video.objects, [self._label(item.category) for item in video.objects])
        pictures = [self._picture(video, frame, objects) for frame in frames]
        rendered = render_clip(pictures, objects, self._bank, self._config, canvas=canvas, rng=rng)
        name = f"{video.frames[start]} frames {frames}"
        return _train_clip(rendered, self._label_map.labelled(""), detect=self._detect, name=name)

    def _label(self, category: str) -> int | None:
        label = self._label_map.label(category)
        return label if self._detect else label or 0

    def _picture(self, video: VideoClip, frame: int, objects: FrameObjects) -> Picture:
        masks = {i: rle for i, item in enumerate(video.objects, 1) if (rle := item.rles[frame]) is not None}
        return _picture(video.frames[frame], video.width, video.height, masks, objects)


def draw_frames(start: int, length: int, num_frames: int, max_gap: int, rng: np.random.Generator) -> list[int]:
    """Return `num_frames` frames from `start` on, forward or backward, at random gaps of 1 to `max_gap`.

    A video too short for that direction is walked the other way; one too short for both repeats frames.
    """
    direction = 1 if rng.random() < 0.5 else -1
    room = {1: length - 1 - start, -1: start}
    if room[direction] < num_frames - 1 and room[-direction] > room[direction]:
        direction = -direction
    widest = min(max_gap, room[direction] // max(num_frames - 1, 1))
    gaps = rng.integers(1, widest + 1, num_frames - 1) if widest else np.zeros(num_frames - 1, np.int64)
    return [start + direction * int(step) for step in np.concatenate([[0], np.cumsum(gaps)])]


def _shown_frames(video: VideoClip) -> list[int]:
    return [
        frame
        for frame in range(len(video.frames))
        if any(item.rles[frame] is not None and not item.is_crowd for item in video.objects)
    ]


def _cutout_bank(stills: Sequence[Still], label_map: LabelMap) -> CutoutBank:
    candidates: dict[int, list[tuple[Still, StillObject]]] = {}
    for still in stills:
        for item in paste_candidates(still, _PASTED_AREA):
            label = label_map.label(item.category)
            if label:
                candidates.setdefault(label, []).append((still, item))
    return CutoutBank(candidates)


def _frame_objects(items: Sequence[StillObject | VideoObject], labels: Sequence[int | None]) -> FrameObjects:
    """Number the objects from 1; what is no crowd and has no label is background."""
    known = {i: label for i, label in enumerate(labels, 1) if label is not None}
    crowds = frozenset(i for i, item in enumerate(items, 1) if item.is_crowd)
    return FrameObjects({i: label for i, label in known.items() if i not in crowds}, crowds)


def _picture(path: Path, width: int, height: int, masks: Mapping[int, Rle], objects: FrameObjects) -> Picture:
    """Read a picture and paint its masks, crowds first, then from the largest object to the smallest."""
    decoded = {i: decode_rle(rle) for i, rle in masks.items()}
    order = sorted(decoded, key=lambda i: (i not in objects.crowds, -int(decoded[i].sum())))
    id_map = np.zeros((height, width), np.uint16)
    for i in order:
        if i in objects.crowds or i in objects.labels:
            id_map[decoded[i]] = i
    return Picture(read_picture(path, width, height), id_map)


def _train_clip(rendered: RenderedClip, labelled: Tensor, *, detect: bool, name: str) -> TrainClip:
    return TrainClip(rendered.images, rendered.targets, labelled, detect, rendered.ignore, name, rendered.guided_ids)
