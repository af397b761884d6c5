"""Options that select the objects of `vis segment`: prompts, given masks, and detectors that exclude each other.

Used by `segment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vis_cli import options
from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.records.category_names import read_only
from vis_cli.records.prompts import Prompt, group_prompts, parse_box, parse_point, uses_detector
from vis_cli.settings import GIVEN_MASKS
from vis_cli.zoo.detectors.kinds import is_box_detector


def read_prompts(prompts: options.PromptOptions) -> tuple[tuple[str, ...], tuple[Prompt, ...], bool]:
    """Return the names of --only, the boxes and points, and whether objects are detected in addition.

    Raises:
        UsageError: A name is empty, a box or point is malformed, or the prompts of a frame contradict each other.
    """
    try:
        boxes, points = map(parse_box, prompts.boxes or ()), map(parse_point, prompts.points or ())
        found: tuple[Prompt, ...] = (*boxes, *points)
        group_prompts(found)
        return read_only(prompts.only or ()), found, prompts.also_detect
    except VisError as error:
        raise UsageError(str(error)) from error


def default_preset(masks: options.MaskOptions, prompts: options.PromptOptions) -> str:
    """Return the preset without --preset: given masks use a larger network input, unless objects are detected."""
    return "default" if masks.masks is None or prompts.also_detect else GIVEN_MASKS


def detector_takes_part(
    masks: options.MaskOptions, detections: options.DetectionOptions, prompts: options.PromptOptions
) -> bool:
    """Return whether these options need the detector of the model."""
    return uses_detector(
        has_masks=masks.masks is not None,
        has_detections=detections.detections is not None,
        has_prompts=bool(prompts.boxes or prompts.points),
        also_detect=prompts.also_detect,
    )


def check_exclusive(
    model: options.ModelOptions,
    masks: options.MaskOptions,
    detections: options.DetectionOptions,
    prompts: options.PromptOptions,
) -> None:
    """Check that no option of the objects excludes another one.

    Raises:
        UsageError: There are two of them, or one has no effect.
    """
    given = _given(masks, prompts)
    _require_one(given)
    _require_one(_set(("--detections", detections.detections), ("--detector", model.detector)))
    if masks.masks is not None and not prompts.also_detect:
        unused = _set(("--detections", detections.detections), ("--detector", model.detector), ("--only", prompts.only))
        if unused:
            problem = f"{given[0]} and {unused[0]} are both given"
            raise UsageError(problem, hint="Omit one of them. To detect other objects, too, add --also-detect.")
    if prompts.also_detect and not given:
        raise UsageError("--also-detect needs --masks, --box or --point. Add one of them, or omit --also-detect.")
    if detections.detections is not None and is_box_detector(model.name):
        hint = "Omit --model: lite predicts the masks."
        raise UsageError(f"--model {model.name} only detects, but --detections replaces the detector", hint=hint)


def check_prompts(prompts: options.PromptOptions, sources: Sequence[Path]) -> None:
    """Check that boxes and points belong to one video.

    Raises:
        UsageError: There are several videos.
    """
    given = _set(("--box", prompts.boxes), ("--point", prompts.points))
    if given and len(sources) != 1:
        raise UsageError(f"{given[0]} needs one video, but there are {len(sources)}. Run the command once per video.")


def _given(masks: options.MaskOptions, prompts: options.PromptOptions) -> list[str]:
    """Return the options that give objects: --masks, and one of --box and --point."""
    boxes_and_points = _set(("--box", prompts.boxes), ("--point", prompts.points))
    return [*_set(("--masks", masks.masks)), *boxes_and_points[:1]]


def _set(*options_: tuple[str, object]) -> list[str]:
    """Return the names of the options with a value."""
    return [option for option, value in options_ if value is not None]


def _require_one(given: Sequence[str]) -> None:
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} are both given. Omit one of them.")
