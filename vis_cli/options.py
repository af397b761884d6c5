"""Options that several commands share, and the groups of options of `vis segment` and `vis eval`.

`settings` defines the ranges, choices and defaults of the settings. An option adds its name and its panel.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.models import OptionInfo

from vis_cli.console import Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.hints import did_you_mean
from vis_cli.records.part import PartRequest, make_request
from vis_cli.setting_fields import settings_of
from vis_cli.settings import (
    EXACT_PRESETS,
    PRESETS,
    Backend,
    Precision,
    RunSettings,
    SegmentSettings,
    parse_run_overrides,
    split_overrides,
)

OUTPUT_PANEL = "Output"
MESSAGE_PANEL = "Messages"
INPUT_PANEL = "Input"
PROMPT_PANEL = "Prompts"
DETECTOR_PANEL = "Detectors"
OVERLAY_PANEL = "Overlay"
RUN_PANEL = "Run"
# Only `--help-all` lists the options of these panels.
RARE_PANELS = (INPUT_PANEL, PROMPT_PANEL, DETECTOR_PANEL, OVERLAY_PANEL, RUN_PANEL)

FRACTION = "0..1"  # metavar of a value from 0 to 1
METAVARS = {int: "N", float: FRACTION}
DEFAULT_MODEL = "lite"
RUN = RunSettings()


def examples(*lines: str) -> str:
    """Return the example commands at the end of a help page."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {line}" for line in lines)


def flag_of(name: str) -> str:
    """Return the option name of a setting, such as `--short-side`."""
    return f"--{name.replace('_', '-')}"


def complete_preset() -> list[str]:
    """Return the shell completions of --preset."""
    return list(PRESETS)


def complete_setting() -> list[str]:
    """Return the shell completions of --set."""
    return [f"{name}=" for kind in (SegmentSettings, RunSettings) for name in settings_of(kind)]


def _setting(name: str, metavar: str | None = None) -> OptionInfo:
    """Return the option of a setting of the method. If the user omits it, the preset applies."""
    setting = settings_of(SegmentSettings)[name]
    default = "none" if setting.default is None else setting.default
    info: OptionInfo = typer.Option(
        flag_of(name),
        metavar=metavar or METAVARS[setting.kind],
        help=f"{setting.help} [dim]\\[default: {default}][/dim]",
        show_default=False,
    )
    return info


def _run(name: str, metavar: str, panel: str | None = RUN_PANEL) -> OptionInfo:
    text = settings_of(RunSettings)[name].help
    info: OptionInfo = typer.Option(flag_of(name), metavar=metavar, help=text, rich_help_panel=panel)
    return info


def _flag_option(flags: str, text: str, panel: str | None = None) -> OptionInfo:
    info: OptionInfo = typer.Option(flags, metavar="", help=text, rich_help_panel=panel)
    return info


def min_score_option(text: str, panel: str | None = None) -> OptionInfo:
    """Return the option `--min-score` of a command that draws instances."""
    info: OptionInfo = typer.Option(
        "--min-score",
        metavar=FRACTION,
        min=0.0,
        max=1.0,
        help=f"{text} [dim]\\[default: confident instances][/dim]",
        show_default=False,
        rich_help_panel=panel,
    )
    return info


Quiet: TypeAlias = Annotated[bool, _flag_option("--quiet", "Print warnings and errors only.")]
Debug: TypeAlias = Annotated[bool, _flag_option("--debug", "Print the traceback of every error.", MESSAGE_PANEL)]
RareDebug: TypeAlias = Annotated[bool, _flag_option("--debug", "Print the traceback of every error.", RUN_PANEL)]
Overwrite: TypeAlias = Annotated[
    bool, _flag_option("--overwrite", "Replace existing results of the input videos. Results of other videos are kept.")
]
Device: TypeAlias = Annotated[str, _run("device", "DEVICE", None)]

Inputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Video files, folders of frames, folders that contain videos or frame folders, or quoted glob "
        "patterns such as 'day?/*.mp4'. With --live: a camera number, a URL, or - for a pipe.",
        show_default=False,
    ),
]
OutFolder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="DIR", file_okay=False, help="Folder of the results. It is created if missing."
    ),
]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options that select the network."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME|DIR",
            help="Model: a name that `vis models` lists, or a model folder. coco-r50-v2 is larger and more "
            f"accurate; torchvision downloads its weights at the first use. [dim]\\[default: {DEFAULT_MODEL}][/dim]",
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            metavar="NAME|FILE",
            rich_help_panel=DETECTOR_PANEL,
            help="Detector of the objects: a model, torchvision:NAME, or the path of an ONNX file. --model predicts "
            "the masks of its boxes, and propagates them.",
        ),
    ] = None
    propagator: Annotated[
        str | None,
        typer.Option(
            "--propagator",
            metavar="NAME|DIR",
            rich_help_panel=DETECTOR_PANEL,
            help="Model that propagates masks. Its classes are not used. Overrides --model.",
        ),
    ] = None

    @property
    def name(self) -> str:
        """Return the model, or the default model."""
        return self.model or DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Options for the detections of another program."""

    detections: Annotated[
        Path | None,
        typer.Option(
            "--detections",
            metavar="FILE|DIR",
            exists=True,
            rich_help_panel=DETECTOR_PANEL,
            help="Detections of another program, used instead of a detector: COCO results, MOTChallenge text, YOLO "
            "text or NAME.json. For several videos: a folder with one file or folder per video, paired by name.",
        ),
    ] = None
    detections_from: Annotated[
        int | None,
        typer.Option(
            "--detections-from",
            metavar="N",
            min=0,
            rich_help_panel=DETECTOR_PANEL,
            help="Number of the first frame in --detections, such as 0 or 1. [dim]\\[default: automatic; the choice is "
            "printed][/dim]",
        ),
    ] = None
    detection_names: Annotated[
        Path | None,
        typer.Option(
            "--detection-names",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            rich_help_panel=DETECTOR_PANEL,
            help="Category names, and image names if needed, of --detections: a COCO file with categories and images, "
            "or a data.yaml.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """Options that select the objects of a video."""

    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAMES",
            rich_help_panel=PROMPT_PANEL,
            help="Categories to detect and track, such as person,car. Objects of other categories are left out. "
            "[dim]\\[default: all categories of the detector][/dim]",
            show_default=False,
        ),
    ] = None
    boxes: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="FRAME:x1,y1,x2,y2",
            rich_help_panel=PROMPT_PANEL,
            help="Box around an object to track, in pixels of the displayed video, in a frame counted from 0, such as "
            "'30:100,50,220,180'. Repeatable. #ID at the end gives the id of the object.",
            show_default=False,
        ),
    ] = None
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            metavar="FRAME:x,y",
            rich_help_panel=PROMPT_PANEL,
            help="Point inside of an object to track, such as '30:120,90'. Repeatable. '-30:150,90' is a negative "
            "point: it removes the area under it. #ID at the end gives the id of the object.",
            show_default=False,
        ),
    ] = None
    also_detect: Annotated[
        bool,
        _flag_option(
            "--also-detect", "Detect other objects, too, in addition to --masks, --box and --point.", PROMPT_PANEL
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Options for the settings of the method. `commands.method_settings` reads them."""

    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help=f"Named group of settings: {', '.join(PRESETS)}. The presets released-* reproduce "
            "the authors' implementation. "
            "[dim]\\[default: default; given-masks for given masks; live for --live; davis-uvos for DAVIS "
            "unsupervised][/dim]",
            autocompletion=complete_preset,
        ),
    ] = None
    num_key_frames: Annotated[int | None, _setting("num_key_frames")] = None
    short_side: Annotated[int | None, _setting("short_side", "PIXELS")] = None
    score_threshold: Annotated[float | None, _setting("score_threshold")] = None
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Setting of the method and its value, such as memory_frames=none. Repeatable. `vis settings` lists "
            "all settings.",
            autocompletion=complete_setting,
        ),
    ] = None
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE.toml",
            exists=True,
            dir_okay=False,
            rich_help_panel=RUN_PANEL,
            help="TOML file of settings, with lines NAME = VALUE. They override --preset; --set overrides them.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """Options for given masks and for the video stream."""

    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            metavar="PNG|DIR|JSON",
            exists=True,
            help="Masks of the objects to track instead of detected objects. `vis` does not classify these objects. "
            "Either a palette PNG for the first frame: "
            "pixel value = object id, 0 = background. Or a folder of such PNGs, named by frame index or like the "
            "images of the video. Or NAME.json: the objects of an earlier result.",
        ),
    ] = None
    masks_from: Annotated[
        int | None,
        typer.Option(
            "--masks-from",
            metavar="N",
            min=0,
            rich_help_panel=PROMPT_PANEL,
            help="Number of the first frame in the file names of --masks. Use 1 if 00001.png belongs to the first "
            "frame. [dim]\\[default: 0; in a folder of numbered images, the masks have the images' numbers][/dim]",
        ),
    ] = None
    masks_at: Annotated[
        str | None,
        typer.Option(
            "--masks-at",
            metavar="FRAMES",
            rich_help_panel=PROMPT_PANEL,
            help="Frames of --masks NAME.json whose masks are given, such as 0,300. [dim]\\[default: the first mask of "
            "each object][/dim]",
            show_default=False,
        ),
    ] = None
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="ID=NAME",
            rich_help_panel=PROMPT_PANEL,
            help="Names of the objects of --masks, such as 1=dog,2=rider. Or a JSON file, such as names.json with "
            '{"1": "dog", "2": "rider"}. Objects without a name have no category.',
            show_default=False,
        ),
    ] = None
    stream: Annotated[
        int | None,
        typer.Option(
            "--stream",
            metavar="N",
            min=0,
            rich_help_panel=INPUT_PANEL,
            help="Index of the video stream in each file, counted from 0. [dim]\\[default: FFmpeg's choice][/dim]",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class PartOptions:
    """Options for a part of the videos."""

    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="POSITION",
            rich_help_panel=INPUT_PANEL,
            help="Start of the part to segment: a frame number such as 120, seconds such as 5s or 5.5, or a timecode "
            "such as 1:20 or 0:01:20.5. Frame numbers begin with 0. [dim]\\[default: start of the video][/dim]",
        ),
    ] = None
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            metavar="POSITION",
            rich_help_panel=INPUT_PANEL,
            help="End of the part. The frame at this position does not belong to the part. [dim]\\[default: end of the "
            "video][/dim]",
        ),
    ] = None
    every: Annotated[
        int,
        typer.Option(
            "--every",
            metavar="N",
            min=1,
            rich_help_panel=INPUT_PANEL,
            help="Use every N-th frame, from the first frame of the part. Results keep the original frame numbers and "
            "timestamps.",
        ),
    ] = 1

    @property
    def request(self) -> PartRequest | None:
        """Return the part, or None for complete videos.

        Raises:
            UsageError: A value is invalid, or the part is empty.
        """
        try:
            return make_request(self.start, self.end, self.every)
        except VisError as error:
            raise UsageError(error.problem, field=flag_of(error.field), hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Options for live video."""

    live: Annotated[
        bool,
        _flag_option(
            "--live",
            "Segment live video: INPUT is a camera number such as 0, a URL such as rtsp://HOST/PATH, or - for a pipe. "
            "Writes NAME.jsonl with one line per frame, and NAME.mp4 that plays while it is written. If the machine is "
            "too slow, frames are dropped.",
            INPUT_PANEL,
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options for the device, the precision, the memory and the library of a run."""

    device: Device = RUN.device
    precision: Annotated[Precision, _run("precision", "FORMAT")] = RUN.precision
    feature_budget_mb: Annotated[int, _run("feature_budget_mb", "MB")] = RUN.feature_budget_mb
    frame_budget_mb: Annotated[int, _run("frame_budget_mb", "MB")] = RUN.frame_budget_mb
    backend: Annotated[Backend, _run("backend", "LIBRARY")] = RUN.backend

    def settings(self, preset: str | None, overrides: Sequence[str] = ()) -> RunSettings:
        """Return the settings of a run. The presets that reproduce published results compute in float32.

        Args:
            preset: Name of the preset.
            overrides: The values of --set, of which the settings of the method are ignored.

        Raises:
            UsageError: The device name or another value is invalid, or an option and --set are both given.
        """
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        try:
            own = parse_run_overrides(split_overrides(overrides)[1])
        except VisError as error:
            raise UsageError(str(error)) from error
        if twice := [name for name in own if values[name] != getattr(RUN, name)]:
            raise UsageError(f"{flag_of(twice[0])} and --set {twice[0]} are both given. Omit one of them.")
        values |= own
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", values["device"]):
            known = ("auto", "cpu", "cuda", "cuda:0", "mps")
            raise UsageError(f"no device {values['device']!r}", hint=did_you_mean(values["device"], known))
        if values["precision"] == "auto" and preset in EXACT_PRESETS:
            values["precision"] = "float32"
        try:
            return RunSettings(**values)
        except VisError as error:
            raise UsageError(error.problem, field=flag_of(error.field), hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Options for the output of `vis segment`."""

    no_render: Annotated[bool, _flag_option("--no-render", "Write no overlay video.")] = False
    overwrite: Overwrite = False
    min_score: Annotated[
        float | None,
        min_score_option(
            "Minimum score of an instance in the overlay video and in the table. NAME.json contains all instances.",
            OVERLAY_PANEL,
        ),
    ] = None
    as_json: Annotated[bool, _flag_option("--json", "Print one line of JSON per video on stdout.")] = False


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """Options for the messages on stderr."""

    quiet: Quiet = False
    debug: RareDebug = False

    @property
    def reporter(self) -> Reporter:
        """Return the printer of the messages."""
        return Reporter(self.quiet, self.debug)
