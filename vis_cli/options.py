"""The options of the commands, among them one for every field of SegmentConfig and RunConfig, named as the field.

Used by the commands' signatures; defaults, ranges and presets stay in `config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from typer.models import OptionInfo

from vis_cli.config import (
    EXACT_PRESETS,
    PRESETS,
    KeyFrameSpacing,
    MaskCanvas,
    Reduction,
    RunConfig,
    ScoreFrames,
    SegmentConfig,
    with_overrides,
)
from vis_cli.console import UsageError
from vis_cli.errors import VisError

METHOD_PANEL = "The method (defaults are those of the preset named default)"
SWITCH_PANEL = "Switches of the method"
RUN_PANEL = "Where and how it runs"
OUTPUT_PANEL = "What is written"
MESSAGE_PANEL = "Messages"

SHARE = "0..1"  # what help shows for a value between them
RUN = RunConfig()
# An option cannot be None: that is "not given".
ZERO_MEANS_NONE = ("short_side", "long_side", "memory_divisions", "memory_frames")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name nearest to `name`, or the whole list where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"


def examples(*lines: str) -> str:
    """Lay out example commands for the end of a help page."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)


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
    """Return the RunConfig of the options `given` by name; a preset that is to be exact rules out fast rounding.

    Raises:
        UsageError: the device is none that the option knows.
    """
    run = RunConfig(**{field.name: given[field.name] for field in dataclasses.fields(RunConfig)})
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", run.device):
        raise UsageError(
            f"no device {run.device!r}: {did_you_mean(run.device, ('auto', 'cpu', 'cuda', 'cuda:0', 'mps'))}"
        )
    if run.precision == "auto" and given.get("preset") in EXACT_PRESETS:
        return dataclasses.replace(run, precision="float32")
    return run


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _method(name: str, text: str, metavar: str) -> OptionInfo:
    """Describe the option of a SegmentConfig field; None stands for what the preset says."""
    default = getattr(SegmentConfig(), name)
    info: OptionInfo = typer.Option(
        _flag(name),
        metavar=metavar,
        help=f"{text} [dim]\\[default: {0 if default is None else default}][/dim]",
        rich_help_panel=METHOD_PANEL,
        show_default=False,
    )
    return info


def _switch(name: str, opposite: str, text: str) -> OptionInfo:
    """Describe the option of a SegmentConfig field that is a bool."""
    default = "yes" if getattr(SegmentConfig(), name) else "no"
    text = f"{text} [dim]\\[default: {default}][/dim]"
    info: OptionInfo = typer.Option(
        f"{_flag(name)}/{opposite}", metavar="", help=text, rich_help_panel=SWITCH_PANEL, show_default=False
    )
    return info


def _run(name: str, text: str, metavar: str, **limits: Any) -> OptionInfo:
    info: OptionInfo = typer.Option(_flag(name), metavar=metavar, help=text, rich_help_panel=RUN_PANEL, **limits)
    return info


def _flag_option(flags: str, text: str, panel: str) -> OptionInfo:
    info: OptionInfo = typer.Option(flags, metavar="", help=text, rich_help_panel=panel)
    return info


def complete_preset() -> list[str]:
    """Return what the shell may complete after --preset."""
    return list(PRESETS)


Quiet: TypeAlias = Annotated[bool, _flag_option("--quiet", "Print warnings and errors only.", MESSAGE_PANEL)]
Debug: TypeAlias = Annotated[bool, _flag_option("--debug", "Print the traceback of every error.", MESSAGE_PANEL)]

Inputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Videos, folders of frames, folders of either, or quoted patterns such as 'day?/*.mp4'.",
        show_default=False,
    ),
]
OutFolder: TypeAlias = Annotated[
    Path, typer.Option("-o", "--out", metavar="DIR", file_okay=False, help="Folder of the results; made if missing.")
]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        help="A model that `vis models` lists, the folder of another, or "
        "coco-r50: COCO's 80 classes, fetched by torchvision at its first use.",
    ),
]
Detector: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME|DIR",
        help="Look for objects with this model, and name them as it does, whatever --model is.",
        show_default=False,
    ),
]
Propagator: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--propagator",
        metavar="NAME|DIR",
        help="Follow objects with this model, whatever --model is; following knows no classes.",
        show_default=False,
    ),
]
Masks: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        metavar="PNG|DIR",
        exists=True,
        help="Follow these objects instead of looking for any: a palette PNG for the first frame (pixel value = "
        "object, 0 = background), or a folder of PNGs named by frame number, from 0, or as the video's images.",
    ),
]
MasksFrom: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--masks-from",
        metavar="N",
        min=0,
        help="Number of the first frame in the names of --masks. Use 1 if 00001.png is the mask of the first frame. "
        "[dim]\\[default: the numbers of the video's images, or 0][/dim]",
    ),
]
Stream: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--stream",
        metavar="N",
        min=0,
        help="Video stream of each file, counted from 0. [dim]\\[default: the best][/dim]",
    ),
]
Render: TypeAlias = Annotated[bool, _flag_option("--render/--no-render", "Write the overlay video, too.", OUTPUT_PANEL)]
Overwrite: TypeAlias = Annotated[
    bool, _flag_option("--overwrite", "Replace the results of these videos; never those of others.", OUTPUT_PANEL)
]
AsJson: TypeAlias = Annotated[
    bool, _flag_option("--json", "Print a line of JSON for each video on stdout, for scripts.", OUTPUT_PANEL)
]

Preset: TypeAlias = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Settings of the method that belong together: {', '.join(PRESETS)}. All but the first are named after "
        "the benchmark that they suit; those that begin with released do as the paper's authors' own program does.",
        autocompletion=complete_preset,
    ),
]

NumKeyFrames: TypeAlias = Annotated[
    int | None,
    _method("num_key_frames", "Frames in which objects are looked for (K): more find more and take longer.", "N"),
]
KeyFrames: TypeAlias = Annotated[
    KeyFrameSpacing | None,
    _method(
        "key_frame_spacing", "even: from the first frame on (the paper); endpoints: up to the last frame, too.", "WAY"
    ),
]
ShortSide: TypeAlias = Annotated[
    int | None,
    _method("short_side", "Shorter side of what the network sees; 0: as the model was trained.", "PIXELS"),
]
LongSide: TypeAlias = Annotated[
    int | None, _method("long_side", "Longer side, at most; 0: as the model was trained.", "PIXELS")
]
DetectionScore: TypeAlias = Annotated[
    float | None,
    _method("detection_score", "Lowest score of an object in a key frame.", SHARE),
]
BoxNmsIou: TypeAlias = Annotated[
    float | None,
    _method("box_nms_iou", "Boxes in a key frame that overlap more are one object.", SHARE),
]
MaxInstances: TypeAlias = Annotated[
    int | None, _method("max_instances", "Objects taken from one key frame, at most (O).", "N")
]
MaskNmsIou: TypeAlias = Annotated[
    float | None,
    _method("mask_nms_iou", "Masks in a key frame that overlap more are one object.", SHARE),
]
FollowedIou: TypeAlias = Annotated[
    float | None,
    _method(
        "followed_iou",
        "Leave out a detection whose IoU with an object followed already exceeds this; 1: none (the paper).",
        SHARE,
    ),
]
ClassAgnostic: TypeAlias = Annotated[
    bool | None,
    _switch(
        "class_agnostic", "--class-aware", "Ask whether something is an object, not of which class, as DAVIS does."
    ),
]
ResegmentKeyFrame: TypeAlias = Annotated[
    bool | None,
    _switch(
        "resegment_key_frame",
        "--keep-key-frame",
        "Propagate into the key frame, too, instead of keeping its detected masks.",
    ),
]
MemoryStride: TypeAlias = Annotated[int | None, _method("memory_stride", "Every N-th frame enters the memory.", "N")]
MemoryDivisions: TypeAlias = Annotated[
    int | None,
    _method(
        "memory_divisions",
        "Let the memory take the N-th part of a video as its stride instead; 0: it is --memory-stride.",
        "N",
    ),
]
MemoryPrevious: TypeAlias = Annotated[
    bool | None,
    _switch(
        "memory_previous",
        "--no-memory-previous",
        "Hold the frame before in the memory, too: slower, but objects that turn or grow are followed better.",
    ),
]
MemoryFrames: TypeAlias = Annotated[
    int | None,
    _method(
        "memory_frames",
        "Frames that the memory holds, at most; 0: all (the paper), so that it grows with the video.",
        "N",
    ),
]
ScoreFramesOption: TypeAlias = Annotated[
    ScoreFrames | None,
    _method(
        "score_frames",
        "all: an object's class scores are averaged over all frames (the paper); visible: over those that show it.",
        "WHICH",
    ),
]
ReductionOption: TypeAlias = Annotated[
    Reduction | None,
    _method(
        "reduction",
        "How one object, found from several key frames, becomes one again: nms, soft-nms, category-aware (nms at an "
        "IoU of 0.9 of what scores 0.05 or more, then soft-nms within each class) or none.",
        "WAY",
    ),
]
SequenceIou: TypeAlias = Annotated[
    float | None,
    _method("sequence_iou", "Sequences of masks that overlap more are one object.", SHARE),
]
SequenceScore: TypeAlias = Annotated[
    float | None,
    _method(
        "sequence_score",
        "Lowest score of an object in the result, and of its other classes; nms keeps the best object however low.",
        SHARE,
    ),
]
SoftNmsSigma: TypeAlias = Annotated[
    float | None,
    _method("soft_nms_sigma", "Width of soft-nms: a greater one takes less off what overlaps.", "SIGMA"),
]
MaxSequences: TypeAlias = Annotated[int | None, _method("max_sequences", "Objects in a video, at most.", "N")]
MaskThreshold: TypeAlias = Annotated[
    float | None,
    _method("mask_threshold", "Lowest probability of a pixel that belongs to an object.", SHARE),
]

MaskCanvasOption: TypeAlias = Annotated[
    MaskCanvas | None,
    _method(
        "mask_canvas",
        "video: masks are cut at the video's size; network: on the network's padded input, and then enlarged (as the "
        "paper's authors do).",
        "WHERE",
    ),
]

Device: TypeAlias = Annotated[
    str, _run("device", "auto, cpu, cuda, cuda:N or mps; auto takes a GPU where there is one.", "DEVICE")
]
Precision: TypeAlias = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    _run(
        "precision",
        "auto, float32, bfloat16 or float16; auto takes the fastest that the device does well, and float32 for "
        "the presets released-ytvis and released-davis.",
        "FORMAT",
    ),
]
FeatureBudgetMb: TypeAlias = Annotated[
    int, _run("feature_budget_mb", "Memory for encoded frames; those beyond it are encoded twice.", "MB", min=0)
]
FrameBudgetMb: TypeAlias = Annotated[
    int, _run("frame_budget_mb", "Memory for decoded frames; those beyond it are decoded again.", "MB", min=0)
]
