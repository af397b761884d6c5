"""The options that commands share: one annotated type for every field of SegmentConfig and RunConfig, named as the field.

Used by the commands' signatures; defaults, ranges and presets stay in `config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import typer
from typer.models import OptionInfo

from vis_cli.config import (
    PRESETS,
    KeyFrameSpacing,
    Reduction,
    RunConfig,
    ScoreFrames,
    SegmentConfig,
    with_overrides,
)
from vis_cli.console import UsageError
from vis_cli.errors import VisError

ZERO_MEANS_NONE = ("short_side", "long_side", "memory_frames")  # an option cannot be None: that is "not given"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name nearest to `name`, or the whole list where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"


def segment_config(preset: str, given: Mapping[str, Any]) -> SegmentConfig:
    """Return the preset with those of its fields replaced that are `given`, by name and not None.

    Raises:
        UsageError: no such preset, or a value outside its range.
    """
    if preset not in PRESETS:
        raise UsageError(f"no preset {preset!r}: {did_you_mean(preset, PRESETS)}")
    overrides = {field.name: given[field.name] for field in dataclasses.fields(SegmentConfig)}
    cleared: dict[str, Any] = {name: None for name in ZERO_MEANS_NONE if overrides[name] == 0}
    try:
        config = with_overrides(PRESETS[preset], {k: v for k, v in overrides.items() if k not in cleared})
    except VisError as error:
        name, _, rest = str(error).partition(" ")
        raise UsageError(f"{_flag(name)} {rest}") from error
    return dataclasses.replace(config, **cleared)


def run_config(given: Mapping[str, Any]) -> RunConfig:
    """Return the RunConfig of the options `given` by name.

    Raises:
        UsageError: the device is none that the option knows.
    """
    run = RunConfig(**{field.name: given[field.name] for field in dataclasses.fields(RunConfig)})
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", run.device):
        raise UsageError(f"no device {run.device!r}: {did_you_mean(run.device, ('auto', 'cpu', 'cuda', 'cuda:0', 'mps'))}")
    return run


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _method(name: str, text: str, *, zero: str = "", **limits: Any) -> OptionInfo:
    """Describe the option of a SegmentConfig field; None stands for what the preset says."""
    default = getattr(SegmentConfig(), name)
    shown = zero if default is None else default
    if isinstance(default, bool):
        shown = "yes" if default else "no"
    if zero:
        text, limits = f"{text} 0: {zero}.", {**limits, "min": 0}
    flags = f"{_flag(name)}/--no-{_flag(name)[2:]}" if isinstance(default, bool) else _flag(name)
    info: OptionInfo = typer.Option(
        flags,
        help=f"{text} [dim]\\[default: {shown}][/dim]",
        rich_help_panel="The method, where it shall depart from the preset",
        show_default=False,
        **limits,
    )
    return info


def _run(name: str, text: str, **limits: Any) -> OptionInfo:
    info: OptionInfo = typer.Option(_flag(name), help=text, rich_help_panel="Where and how it runs", **limits)
    return info


def _messages(flag: str, text: str) -> OptionInfo:
    info: OptionInfo = typer.Option(flag, help=text, rich_help_panel="Messages")
    return info


Quiet: TypeAlias = Annotated[bool, _messages("--quiet", "Print warnings and errors only.")]
Debug: TypeAlias = Annotated[bool, _messages("--debug", "Print the traceback of every error.")]

Preset: TypeAlias = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Settings of the method that belong together: {', '.join(PRESETS)}.",
        autocompletion=lambda: list(PRESETS),
    ),
]

NumKeyFrames: TypeAlias = Annotated[
    int | None,
    _method("num_key_frames", "Frames in which objects are looked for (K); more of them find more and take longer.", min=1),
]
KeyFrames: TypeAlias = Annotated[
    KeyFrameSpacing | None,
    _method("key_frame_spacing", "even: every T/K frames from the first (the paper); endpoints: the last frame is one, too."),
]
ShortSide: TypeAlias = Annotated[
    int | None,
    _method("short_side", "Pixels of the shorter side that the network sees.", zero="as the model was trained"),
]
LongSide: TypeAlias = Annotated[
    int | None,
    _method("long_side", "Pixels of the longer side, at most.", zero="as the model was trained"),
]
DetectionScore: TypeAlias = Annotated[
    float | None,
    _method("detection_score", "Lowest score at which an object counts as found in a key frame.", min=0.0, max=1.0),
]
BoxNmsIou: TypeAlias = Annotated[
    float | None,
    _method("box_nms_iou", "Of two objects whose boxes overlap more than this, the weaker is dropped.", min=0.0, max=1.0),
]
MaxInstances: TypeAlias = Annotated[
    int | None, _method("max_instances", "Objects taken from one key frame, at most (O).", min=1)
]
MaskNmsIou: TypeAlias = Annotated[
    float | None,
    _method("mask_nms_iou", "Of two objects whose masks overlap more than this, the weaker is dropped.", min=0.0, max=1.0),
]
ClassAgnostic: TypeAlias = Annotated[
    bool | None, _method("class_agnostic", "Ask only whether something is an object, not of which class, as DAVIS does.")
]
ResegmentKeyFrame: TypeAlias = Annotated[
    bool | None,
    _method("resegment_key_frame", "Let the propagation draw the key frame's own masks anew, too."),
]
MemoryStride: TypeAlias = Annotated[
    int | None, _method("memory_stride", "Every so many frames one enters the memory.", min=1)
]
MemoryFrames: TypeAlias = Annotated[
    int | None,
    _method(
        "memory_frames",
        "Frames that the memory holds at most, the key frame included.",
        zero="all of them (the paper), which grows with the video",
    ),
]
ScoreFramesOption: TypeAlias = Annotated[
    ScoreFrames | None,
    _method("score_frames", "Average an object's class scores over all frames (the paper) or those that show it."),
]
ReductionOption: TypeAlias = Annotated[
    Reduction | None,
    _method("reduction", "How the findings of several key frames become one an object; category-aware: class by class."),
]
SequenceIou: TypeAlias = Annotated[
    float | None,
    _method("sequence_iou", "Findings that overlap more than this through the video are one object.", min=0.0, max=1.0),
]
SequenceScore: TypeAlias = Annotated[
    float | None, _method("sequence_score", "Lowest score of an object in the result.", min=0.0, max=1.0)
]
SoftNmsSigma: TypeAlias = Annotated[
    float | None,
    _method("soft_nms_sigma", "Width of the Gaussian of soft-nms; greater values take less off an overlapping object."),
]
MaxSequences: TypeAlias = Annotated[int | None, _method("max_sequences", "Objects a video, at most.", min=1)]
MaskThreshold: TypeAlias = Annotated[
    float | None,
    _method("mask_threshold", "Lowest probability at which a pixel belongs to an object.", min=0.0, max=1.0),
]

Device: TypeAlias = Annotated[
    str, _run("device", "auto, cpu, cuda, cuda:N or mps; auto takes a GPU where there is one.", metavar="DEVICE")
]
Precision: TypeAlias = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    _run("precision", "Number format of the network; auto takes the fastest that the device does well."),
]
FeatureBudgetMb: TypeAlias = Annotated[
    int, _run("feature_budget_mb", "Megabytes for encoded frames kept for the second sweep.", min=0)
]
FrameBudgetMb: TypeAlias = Annotated[
    int, _run("frame_budget_mb", "Megabytes for decoded frames kept at the network's size.", min=0)
]
