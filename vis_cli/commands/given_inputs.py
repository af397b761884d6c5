"""Masks and detections that the user gives for a video; used by `batch`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from vis_cli.commands.outputs import Job
from vis_cli.commands.own_results import hash_detections, hash_masks, hash_names
from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import counted
from vis_cli.records import detection_file
from vis_cli.records.category_names import find_categories
from vis_cli.records.detection_file import DetectionFile, read_detection_file
from vis_cli.records.detections import VideoDetections
from vis_cli.records.export_messages import shorten
from vis_cli.records.given_masks import is_for_first_frame, read_given_masks, require_objects
from vis_cli.records.given_names import Names, assign_categories, name_instances, require_given
from vis_cli.records.given_result import GivenResult, is_result, read_result_masks
from vis_cli.records.prompts import MAX_FRAME, Prompt, describe_prompts, group_prompts
from vis_cli.records.source_identity import source_difference
from vis_cli.records.types import Category, SourceIdentity, VideoResult
from vis_cli.records.video import Video
from vis_cli.settings import SegmentSettings

LabelMaps: TypeAlias = Mapping[int, NDArray[np.unsignedinteger[Any]]]  # (H, W) by frame index


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """Options for given masks and detections."""

    masks_from: int | None = None  # number of the first frame in the file names of masks; None: automatic
    names: Names | None = None  # of given objects, by id
    has_detections: bool = False  # the detections of another program are given
    detections_from: int | None = None  # number of the first frame in the detections; None: automatic
    images: Path | None = None  # file with the image names and the category names of the detections
    only: tuple[str, ...] = ()  # names of the categories to detect; (): all
    prompts: tuple[Prompt, ...] = ()  # boxes and points of the objects to track
    also_detect: bool = False  # in addition to given objects
    masks_at: tuple[int, ...] = ()  # frames of the masks of a result; (): the first mask of each instance


class GivenHashes(TypedDict):
    """The fields of a result that identify what the user gives. None: not given."""

    given_masks: str | None
    given_names: str | None
    given_detections: str | None
    given_prompts: str | None


NOTHING_GIVEN = GivenOptions()


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """Masks or detections of one video."""

    masks: LabelMaps | None = None
    names: Names | None = None
    detections: DetectionFile | None = None
    detections_from: int | None = None  # number of the first frame in the detections; None: automatic
    only: tuple[str, ...] = ()  # names of the categories to detect; (): all
    masks_start: bool = False  # whether the mask is for the first frame of a part, because its name is no frame
    prompts: tuple[Prompt, ...] = ()  # boxes and points of the objects to track
    also_detect: bool = False  # in addition to given objects
    result: GivenResult | None = None  # the result that contains the masks

    @property
    def detects(self) -> bool:
        """Return whether objects are detected."""
        return self.also_detect or (self.masks is None and not self.prompts)

    @property
    def categories(self) -> Mapping[int, Category]:
        """Return the categories of objects of an earlier result, by id. --names overrides them."""
        stored = {} if self.result is None else self.result.categories
        return {id_: category for id_, category in stored.items() if id_ not in (self.names or {})}

    def name_objects(self, found: VideoResult) -> VideoResult:
        """Return a new result with the names and categories that the user gives."""
        if self.result is None and not self.also_detect:
            return found if self.names is None else name_instances(found, self.names)
        named = {id_: Category(1, name) for id_, name in (self.names or {}).items()}
        return assign_categories(found, {**self.categories, **named})

    @property
    def all_names(self) -> Names:
        """Return the names of the objects, by id."""
        return {id_: category.name for id_, category in self.categories.items()} | (self.names or {})

    @property
    def hashes(self) -> GivenHashes:
        """Return the hashes of these inputs, and the prompts."""
        found = self.detections
        return {
            "given_masks": None if self.masks is None else hash_masks(self.masks),
            "given_names": hash_names(names) if (names := self.all_names) else None,
            "given_detections": None if found is None else hash_detections(found.digest, self.detections_from),
            "given_prompts": describe_prompts(self.only, self.prompts, also_detect=self.also_detect),
        }


def read_given(job: Job, options: GivenOptions, reporter: Reporter) -> GivenInputs:
    """Read the masks or detections of a video.

    Raises:
        VisError: A file cannot be read or does not fit the video, the video has no detections, or they do not have a
            category of --only.
    """
    given = GivenInputs(only=options.only, prompts=options.prompts, also_detect=options.also_detect)
    if job.masks is not None and is_result(job.masks):
        result = read_result_masks(job.masks, at=options.masks_at, messages=reporter)
        if options.names is not None:
            require_given(options.names, result.masks, job.masks)
        given = dataclasses.replace(given, masks=result.masks, names=options.names, result=result)
    elif job.masks is not None:
        masks = read_given_masks(job.masks, job.source, first=options.masks_from, messages=reporter)
        require_objects(masks, job.masks)
        if options.names is not None:
            require_given(options.names, masks, job.masks)
        is_first = is_for_first_frame(job.masks, job.source, first=options.masks_from)
        given = dataclasses.replace(given, masks=masks, names=options.names, masks_start=is_first)
    if job.detections is not None:
        found = read_detection_file(job.detections, images=options.images, messages=reporter)
        find_categories(options.only, found.categories)
        return dataclasses.replace(given, detections=found, detections_from=options.detections_from)
    if options.has_detections:
        hint = "Give the detections the name of the video."
        raise VisError("--detections has no file for this video", where=job.source, hint=hint)
    return given


def locate_masks(given: GivenInputs, video: Video, reporter: Reporter) -> LabelMaps | None:
    """Return the masks by the index of their frame in a video or in a part of it, or None without masks.

    Raises:
        VisError: No mask is in the part.
    """
    part = None if given.masks is None else video.part
    if given.masks is None or part is None or given.masks_start:
        return given.masks
    inside = {part.frames.index(number): mask for number, mask in given.masks.items() if number in part.frames}
    outside = shorten([str(number) for number in sorted(given.masks) if number not in part.frames])
    if not inside:
        problem = f"--masks has no mask in the part of the video ({part}), only for frames {outside}"
        raise VisError(problem, where=video.path, hint="Use a part that contains a mask.")
    if outside:
        reporter.warn(f"{video.path}: masks not used, because these frames are not in the part ({part}): {outside}")
    return inside


def other_source(given: GivenInputs, source: SourceIdentity) -> list[str]:
    """Return a warning if the masks are of a result of other content than the video."""
    stored = None if given.result is None else given.result.video.source
    if given.result is None or stored is None or source_difference(stored, source) is None:
        return []
    name = printable(given.result.video.name)
    return [f"the masks are of another video, or of another version of it: {name}. Check that the objects are the same"]


def report_reach(
    given: GivenInputs, video: Video, masks: LabelMaps | None, config: SegmentSettings, reporter: Reporter
) -> None:
    """Report that windows do not track an object to the first frame, because it is given late in the video.

    Objects of a result are not reported: they appear in the frame of their first mask. Cuts are not known yet, and each
    cut starts a window.

    Args:
        given: Prompts, by frame number.
        video: The video, or a part of it.
        masks: Given masks, by the index of their frame.
        config: Settings of the method.
        reporter: It prints the note.
    """
    window = config.window
    if given.result is not None or window is None:
        return
    numbers = video.part.frames if video.part is not None else range(MAX_FRAME + 1)
    firsts: dict[int, int] = {}  # frame index of the first mask, by the id of the object
    for number, objects in sorted(group_prompts(given.prompts).items(), reverse=True):
        if number in numbers:  # the engine reports the others
            firsts |= {found.id: numbers.index(number) for found in objects}
    for frame, labels in sorted((masks or {}).items(), reverse=True):
        firsts |= {id_: min(frame, firsts.get(id_, frame)) for id_ in np.unique(labels[labels > 0]).tolist()}
    late = max(firsts.values(), default=0)
    if late < 2 * window:
        return
    reach = late - 2 * window + 1 if config.cuts else (late // window - 1) * window
    end = "the start of its shot" if config.cuts else "the first frame"
    reporter.note(
        f"{video.path}: an object is given in frame {numbers[late]}, and windows of {counted(window, 'frame')} track "
        f"it backward to frame {numbers[reach]} at most. To track it to {end}, use --set window=none"
    )


def locate_detections(
    given: GivenInputs, video: Video, config: SegmentSettings, reporter: Reporter
) -> Callable[[int], VideoDetections] | None:
    """Return a function that assigns the detections to the frames of a video, None without detections.

    It needs the number of frames, which is known after decoding. It reports detections that are not used.
    """
    file = given.detections
    if file is None:
        return None

    def locate(num_frames: int) -> VideoDetections:
        located = detection_file.locate_detections(
            file, video, num_frames, first=given.detections_from, messages=reporter
        )
        _report_unused(located, file.path, config, reporter)
        return located

    return locate


def _report_unused(located: VideoDetections, path: Path, config: SegmentSettings, reporter: Reporter) -> None:
    """Report the detections that the settings exclude."""
    scores = [found.scores for found in located.frames.values()]
    threshold, limit = config.detection_score_threshold, config.max_instances
    num_all, num_likely = (sum(int((some > low).sum()) for some in scores) for low in (-1.0, threshold))
    if num_likely < num_all:
        report = reporter.note if num_likely else reporter.warn
        report(
            f"{path}: {num_all - num_likely} of {counted(num_all, 'detection')} not used, because their score is at "
            f"most {threshold:g} (--set detection_score_threshold)"
        )
    most = max((int((some > threshold).sum()) for some in scores), default=0)
    if most > limit:
        reporter.warn(
            f"{path}: a frame has up to {most} detections, but only the best {limit} start sequences. To use all, add "
            f"--set max_instances={most}"
        )
