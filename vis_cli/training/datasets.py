"""Two kinds of training data: pseudo-videos from images, and frames of real videos.

Used by `pairs` and `sources`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.records.datasets import formats
from vis_cli.records.datasets.image import AnnotatedImage, ImageObject, Note
from vis_cli.records.rle import Rle, decode_rle
from vis_cli.training.annotations import (
    VideoClip,
    VideoObject,
    read_images,
    read_training_image,
)
from vis_cli.training.crowds import AUTO
from vis_cli.training.cutouts import CutoutBank, LabelledImage, paste_candidates
from vis_cli.training.frame_choice import NEAR_FRAMES, FrameChoice
from vis_cli.training.labels import LabelMap
from vis_cli.training.pseudo_video import STRONG, VIDEO, PseudoVideoConfig, RenderedClip, render_clip
from vis_cli.training.structures import TrainClip
from vis_cli.training.targets import FrameObjects

_PASTED_AREA = 0.01  # fraction of the image; smaller objects are too coarse for cut-outs


class ClipSource(Protocol):
    """A dataset of training clips."""

    def __len__(self) -> int:
        """Return the number of items."""

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Create a clip of item `index`. It depends only on the arguments."""


class PseudoVideos:
    """Annotated images. A clip is a pseudo-video of one image."""

    def __init__(
        self,
        annotations: Path,
        images: Path | None,
        label_map: LabelMap,
        config: PseudoVideoConfig = STRONG,
        *,
        paste_sources: Sequence[str] | None = None,
        labelled_only: bool = False,
        file_format: str = formats.AUTO,
        crowds: str = AUTO,
        note: Note | None = None,
    ) -> None:
        """Read the annotations.

        Args:
            annotations: File or folder of the annotations.
            images: Folder of the images. None: the usual folder of the format.
            label_map: Mapping from category names to labels.
            config: Generator of the pseudo-videos.
            paste_sources: Image collections of the cut-outs. None: all.
            labelled_only: Skip images without an object that has a label (Propose-Reduce, Sec. 4.2).
            file_format: Format of the annotations. "auto": recognize it.
            crowds: Meaning of `iscrowd` 1: "auto", "objects" or "ignore" (`crowds.settle_crowds`).
            note: Is called with one line per assumption.

        Raises:
            VisError: The annotations are damaged, an image is missing, or no object has a label.
        """
        read = read_images(annotations, images, file_format=file_format, crowds=crowds, note=note)
        self.categories = frozenset(item.category for annotated in read for item in annotated.objects)
        labelled = [annotated for annotated in read if _has_label(annotated, label_map)]
        if not labelled:
            raise VisError(f"cannot train on {annotations}: no object has a category of the model. Check category_map.")
        self._images = labelled if labelled_only else read
        self._label_map = label_map
        self._config = config
        chosen = [s for s in self._images if paste_sources is None or s.source in paste_sources]
        self.bank = _cutout_bank(chosen, label_map)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Create a pseudo-video of image `index`.

        Raises:
            VisError: The image, or the image of a pasted object, cannot be read.
        """
        annotated = self._images[index]
        masks = {i: item.rle for i, item in enumerate(annotated.objects, 1) if item.rle is not None}
        objects = _frame_objects(
            annotated.objects, [self._label_map.label(item.category) for item in annotated.objects]
        )
        image_with_ids = _labelled_image(annotated.path, annotated.width, annotated.height, masks, objects)
        rendered = render_clip([image_with_ids] * num_frames, objects, self.bank, self._config, canvas=canvas, rng=rng)
        labelled = self._label_map.labelled(annotated.source)
        return _train_clip(rendered, labelled, detect=True, name=str(annotated.path), notes=image_with_ids.notes)


class VideoClips:
    """Annotated videos. An item is a frame that shows an object."""

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
        """List the frames that show an object.

        Args:
            videos: Result of `read_video_clips` or `read_davis_clips`.
            label_map: Mapping from category names to labels.
            config: Changes of the frames.
            name: Name of the dataset, for error messages.
            bank: Objects to paste. It can be empty.
            choose_frames: Selection of the frames of a clip.
            detect: Train the detector with the clips. If false, labels have no meaning, and objects without a label
                are kept with label 1.

        Raises:
            VisError: No frame shows an object that has a label.
        """
        self._videos = videos
        self._label_map, self._config, self._bank = label_map, config, bank
        self._choose_frames, self._detect = choose_frames, detect
        self.categories = frozenset(item.category for video in videos for item in video.objects)
        self._items = [(video, frame) for video in videos for frame in self._shown_frames(video)]
        if not self._items:
            raise VisError(
                f"cannot train on {name}: no frame shows an object with a category of the model. Check category_map."
            )

    def __len__(self) -> int:
        """Return the number of frames that show an object."""
        return len(self._items)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Create a clip of item `index` and other frames of its video.

        Raises:
            VisError: A frame, or the image of a pasted object, cannot be read.
        """
        video, item = self._items[index]
        labels = [self._label(entry.category) for entry in video.objects]
        frames = self._choose_frames(video, labels, item, num_frames, rng)
        objects = _frame_objects(video.objects, labels)
        images_with_ids = [self._labelled_image(video, frame, objects) for frame in frames]
        rendered = render_clip(images_with_ids, objects, self._bank, self._config, canvas=canvas, rng=rng)
        name = ", ".join(str(video.frames[frame]) for frame in dict.fromkeys(frames))
        notes = tuple(note for image_with_ids in images_with_ids for note in image_with_ids.notes)
        return _train_clip(rendered, self._label_map.labelled(""), detect=self._detect, name=name, notes=notes)

    def _label(self, category: str) -> int | None:
        label = self._label_map.label(category)
        return label if self._detect else label or 0

    def _shown_frames(self, video: VideoClip) -> list[int]:
        shown = [o for o in video.objects if not o.is_crowd and self._label(o.category) is not None]
        return [frame for frame in range(len(video.frames)) if any(o.rles[frame] is not None for o in shown)]

    def _labelled_image(self, video: VideoClip, frame: int, objects: FrameObjects) -> LabelledImage:
        masks = {i: rle for i, item in enumerate(video.objects, 1) if (rle := item.rles[frame]) is not None}
        return _labelled_image(video.frames[frame], video.width, video.height, masks, objects)


def _has_label(annotated: AnnotatedImage, label_map: LabelMap) -> bool:
    return any(not item.is_crowd and label_map.label(item.category) is not None for item in annotated.objects)


def _cutout_bank(annotated_images: Sequence[AnnotatedImage], label_map: LabelMap) -> CutoutBank:
    candidates: dict[int, list[tuple[AnnotatedImage, ImageObject]]] = {}
    for annotated in annotated_images:
        for item in paste_candidates(annotated, _PASTED_AREA):
            label = label_map.label(item.category)
            if label:
                candidates.setdefault(label, []).append((annotated, item))
    return CutoutBank(candidates)


def _frame_objects(items: Sequence[ImageObject | VideoObject], labels: Sequence[int | None]) -> FrameObjects:
    """Number the objects from 1. Objects without a label are background, except crowds."""
    known = {i: label for i, label in enumerate(labels, 1) if label is not None}
    crowds = frozenset(i for i, item in enumerate(items, 1) if item.is_crowd)
    return FrameObjects({i: label for i, label in known.items() if i not in crowds}, crowds)


def _labelled_image(
    path: Path, width: int, height: int, masks: Mapping[int, Rle], objects: FrameObjects
) -> LabelledImage:
    """Read an image and draw its masks: first the crowds, then the objects from large to small."""
    decoded = {i: decode_rle(rle) for i, rle in masks.items()}
    order = sorted(decoded, key=lambda i: (i not in objects.crowds, -int(decoded[i].sum())))
    id_map = np.zeros((height, width), np.uint16)
    for i in order:
        if i in objects.crowds or i in objects.labels:
            id_map[decoded[i]] = i
    notes: list[str] = []
    return LabelledImage(read_training_image(path, width, height, note=notes.append), id_map, tuple(notes))


def _train_clip(
    rendered: RenderedClip, labelled: Tensor, *, detect: bool, name: str, notes: tuple[str, ...]
) -> TrainClip:
    return TrainClip(
        rendered.images, rendered.targets, labelled, detect, rendered.ignore, name, rendered.guided_ids, notes=notes
    )
