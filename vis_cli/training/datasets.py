"""The two kinds of training data: stills made into pseudo-videos, and frames of real videos.

Used by `pairs`, opened by `sources`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.records.rle import Rle, decode_rle
from vis_cli.training.annotations import (
    Note,
    Still,
    StillObject,
    VideoClip,
    VideoObject,
    read_picture,
    read_stills,
)
from vis_cli.training.crowds import AUTO
from vis_cli.training.cutouts import CutoutBank, Picture, paste_candidates
from vis_cli.training.frame_choice import NEAR_FRAMES, FrameChoice
from vis_cli.training.labels import LabelMap
from vis_cli.training.pseudo_video import STRONG, VIDEO, PseudoVideoConfig, RenderedClip, render_clip
from vis_cli.training.structures import TrainClip
from vis_cli.training.targets import FrameObjects

_PASTED_AREA = 0.01  # of its picture: smaller objects are too coarse to cut out


class ClipSource(Protocol):
    """What clips are drawn from."""

    def __len__(self) -> int:
        """Count the items that clips start from."""

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Make a clip of item `index`, a function of the arguments only."""


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
        labelled_only: bool = False,
        crowds: str = AUTO,
        note: Note | None = None,
    ) -> None:
        """Read the annotations.

        Args:
            annotations: the JSON file.
            images: the folder of its pictures.
            label_map: names to labels.
            config: how the clips are changed.
            paste_sources: where cut-outs come from; None: from all.
            labelled_only: leave out pictures without an object that has a label (Propose-Reduce, Sec. 4.2).
            crowds: what `iscrowd` 1 means, see `crowds.settle_crowds`.
            note: gets each assumption as a line.

        Raises:
            VisError: the annotations or a picture cannot be read (see `read_stills`), or no object has a label.
        """
        read = read_stills(annotations, images, crowds=crowds, note=note)
        self.categories = frozenset(item.category for still in read for item in still.objects)
        labelled = [still for still in read if _has_label(still, label_map)]
        if not labelled:
            raise VisError(f"{annotations}: no object is of a category of the model; there is nothing to train on")
        self._stills = labelled if labelled_only else read
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
        masks = {i: item.rle for i, item in enumerate(still.objects, 1) if item.rle is not None}
        objects = _frame_objects(still.objects, [self._label_map.label(item.category) for item in still.objects])
        picture = _picture(still.path, still.width, still.height, masks, objects)
        rendered = render_clip([picture] * num_frames, objects, self.bank, self._config, canvas=canvas, rng=rng)
        labelled = self._label_map.labelled(still.source)
        return _train_clip(rendered, labelled, detect=True, name=str(still.path), notes=picture.notes)


class VideoClips:
    """Annotated videos; an item is a frame that shows an object."""

    def __init__(
        self,
        videos: Sequence[VideoClip],
        label_map: LabelMap,
        config: PseudoVideoConfig = VIDEO,
        *,
        name: str,
        bank: CutoutBank,
        choose_frames: FrameChoice = NEAR_FRAMES,
        detect: bool = True,
    ) -> None:
        """Take the videos.

        Args:
            videos: what `read_video_clips` or `read_davis_clips` read.
            label_map: names to labels.
            config: how the clips are changed.
            name: of the dataset, for error messages.
            bank: objects to paste, possibly none.
            choose_frames: which frames make a clip.
            detect: whether the detector may learn from the clips; if not, their labels say nothing and objects of
                classes that `label_map` lacks are kept (as label 1).

        Raises:
            VisError: no frame shows an object that has a label.
        """
        self._videos = videos
        self._label_map, self._config, self._bank = label_map, config, bank
        self._choose_frames, self._detect = choose_frames, detect
        self.categories = frozenset(item.category for video in videos for item in video.objects)
        self._items = [(video, frame) for video in videos for frame in self._shown_frames(video)]
        if not self._items:
            raise VisError(f"{name}: no frame shows an object of a category of the model; there is nothing to train on")

    def __len__(self) -> int:
        """Count the frames that show an object."""
        return len(self._items)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Make a clip of item `index` and other frames of its video.

        Raises:
            VisError: a frame, or the picture of a pasted object, cannot be read.
        """
        video, item = self._items[index]
        labels = [self._label(entry.category) for entry in video.objects]
        frames = self._choose_frames(video, labels, item, num_frames, rng)
        objects = _frame_objects(video.objects, labels)
        pictures = [self._picture(video, frame, objects) for frame in frames]
        rendered = render_clip(pictures, objects, self._bank, self._config, canvas=canvas, rng=rng)
        name = ", ".join(str(video.frames[frame]) for frame in dict.fromkeys(frames))
        notes = tuple(note for picture in pictures for note in picture.notes)
        return _train_clip(rendered, self._label_map.labelled(""), detect=self._detect, name=name, notes=notes)

    def _label(self, category: str) -> int | None:
        label = self._label_map.label(category)
        return label if self._detect else label or 0

    def _shown_frames(self, video: VideoClip) -> list[int]:
        shown = [o for o in video.objects if not o.is_crowd and self._label(o.category) is not None]
        return [frame for frame in range(len(video.frames)) if any(o.rles[frame] is not None for o in shown)]

    def _picture(self, video: VideoClip, frame: int, objects: FrameObjects) -> Picture:
        masks = {i: rle for i, item in enumerate(video.objects, 1) if (rle := item.rles[frame]) is not None}
        return _picture(video.frames[frame], video.width, video.height, masks, objects)


def _has_label(still: Still, label_map: LabelMap) -> bool:
    return any(not item.is_crowd and label_map.label(item.category) is not None for item in still.objects)


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
    notes: list[str] = []
    return Picture(read_picture(path, width, height, note=notes.append), id_map, tuple(notes))


def _train_clip(
    rendered: RenderedClip, labelled: Tensor, *, detect: bool, name: str, notes: tuple[str, ...]
) -> TrainClip:
    return TrainClip(
        rendered.images, rendered.targets, labelled, detect, rendered.ignore, name, rendered.guided_ids, notes=notes
    )
