"""Settings of the method and of a run, with type, range, default and meaning, and the presets.

Each setting is defined once, in this file. Options, `--set`, TOML files, NAME.json, `vis settings` and the settings
page of the documentation are derived from the fields below.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from vis_cli.errors import VisError
from vis_cli.hints import did_you_mean
from vis_cli.setting_fields import Setting, check_settings, settings_of

KeyFrameSpacing: TypeAlias = Literal["even", "endpoints"]
ScoreSource: TypeAlias = Literal["eq2", "detection", "product", "support"]
SUPPORT: ScoreSource = "support"  # of a detector that cannot classify the box of a mask
SCORES_OF_DETECTIONS: tuple[ScoreSource, ...] = ("detection", SUPPORT)  # no box of another frame is classified
ScoreFrames: TypeAlias = Literal["all", "visible", "lifetime"]
Overlap: TypeAlias = Literal["exclusive", "keep"]
MaskCanvas: TypeAlias = Literal["video", "network"]
Reduction: TypeAlias = Literal["nms", "soft-nms", "category-aware", "none"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16", "int8"]
INT8: Literal["int8"] = "int8"
Backend: TypeAlias = Literal["auto", "torch", "openvino"]

# Names of earlier versions. TOML files and results with these names are still read.
OLD_NAMES: Mapping[str, str] = {
    "detection_score": "detection_score_threshold",
    "followed_iou": "early_reduction_iou",
    "sequence_iou": "sequence_nms_iou",
    "sequence_score": "score_threshold",
}
MAX_COUNT = 1_000_000  # upper limit of frames, instances and pixels; rejects typing errors
MAX_BUDGET_MB = 10_000_000


def _fraction(step: str, text: str) -> Setting:
    return Setting(step, text, low=0, high=1)


def _count(step: str, text: str) -> Setting:
    return Setting(step, text, low=1, high=MAX_COUNT)


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """Every setting of the inference (Propose-Reduce, Sec. 3)."""

    short_side: Annotated[
        int | None, _count("input", "Short side of the network input in pixels. none: the input size of the model.")
    ] = None
    long_side: Annotated[
        int | None,
        _count("input", "Maximum long side of the network input in pixels. none: the input size of the model."),
    ] = None
    input_scale: Annotated[
        float,
        Setting(
            "input",
            "Factor of the input size of the model. short_side and long_side override it.",
            low=0.1,
            high=10,
        ),
    ] = 1.0

    window: Annotated[
        int | None,
        _count(
            "windows",
            "Number of frames of a window. Alg. 1 runs in each window, and sequences continue from window to window. "
            "none: the complete video, as in the paper.",
        ),
    ] = 128
    cuts: Annotated[
        bool, Setting("windows", "Detect cuts. A window ends at a cut, and no object is propagated across it.")
    ] = True
    num_key_frames: Annotated[
        int,
        _count(
            "key frames",
            "Number of frames per window in which objects are detected (K). A larger value detects more objects and is "
            "slower.",
        ),
    ] = 4
    key_frame_spacing: Annotated[
        KeyFrameSpacing,
        Setting(
            "key frames",
            "Position of the key frames. even: even spacing from the first frame, as in the paper; endpoints: even "
            "spacing that includes the first and the last frame.",
        ),
    ] = "even"

    class_agnostic: Annotated[
        bool, Setting("detection", "Ignore the classes: detect all objects as one class. Used for DAVIS.")
    ] = False
    detection_score_threshold: Annotated[
        float, _fraction("detection", "Minimum class score of a detection in a key frame.")
    ] = 0.3
    box_nms_iou: Annotated[float, _fraction("detection", "IoU threshold of box NMS in a key frame.")] = 0.5
    max_instances: Annotated[int, _count("detection", "Maximum number of detections per key frame (O).")] = 10
    mask_nms_iou: Annotated[float, _fraction("detection", "IoU threshold of mask NMS in a key frame.")] = 0.2
    mask_quality: Annotated[
        bool,
        Setting(
            "detection",
            "Multiply the class scores of a detection by the expected IoU of its mask, so that detections with clear "
            "masks come first.",
        ),
    ] = False
    early_reduction_iou: Annotated[
        float,
        _fraction(
            "detection",
            "IoU threshold: skip a detection that overlaps an already propagated mask by more than this. "
            "1 keeps all detections, as in the paper.",
        ),
    ] = 0.7

    resegment_key_frame: Annotated[
        bool, Setting("propagation", "Replace the detected masks of a key frame by masks of the propagation head.")
    ] = False
    memory_stride: Annotated[
        int, _count("propagation", "Stride N of the memory bank: every N-th frame is memorized.")
    ] = 5
    memory_divisions: Annotated[
        int | None,
        _count(
            "propagation",
            "Divisor N of the memory stride: for T frames, the stride is max(T // N, 1). none: use memory_stride.",
        ),
    ] = None
    memory_previous: Annotated[
        bool,
        Setting(
            "propagation",
            "Also keep the previous frame in the memory bank. Slower; improves masks of objects that rotate or grow.",
        ),
    ] = False
    memory_frames: Annotated[
        int | None,
        _count("propagation", "Maximum number of frames in the memory bank. none: no limit, as in the paper."),
    ] = 6

    score_source: Annotated[
        ScoreSource,
        Setting(
            "scoring",
            "Source of the class scores. eq2: mask in each frame (Eq. 2); detection: detection in the key frame; "
            "product: geometric mean of both; support: matching detections in all key frames.",
        ),
    ] = "product"
    score_frames: Annotated[
        ScoreFrames,
        Setting(
            "scoring",
            "Frames over which class scores are averaged (Eq. 2). all: as in the paper; visible: frames with a mask; "
            "lifetime: from the first to the last frame with a mask.",
        ),
    ] = "lifetime"
    calibrate: Annotated[
        bool,
        Setting(
            "scoring",
            "Convert scores to probabilities if the model has a calibration for this score_source. Then about half of "
            "all instances with a score of 0.5 are correct.",
        ),
    ] = True

    reduction: Annotated[
        Reduction,
        Setting(
            "reduction",
            "Method that removes duplicate sequences: nms, soft-nms, category-aware (NMS at an IoU of 0.9, then "
            "soft-NMS per class) or none.",
        ),
    ] = "nms"
    sequence_nms_iou: Annotated[float, _fraction("reduction", "IoU threshold of sequence NMS (Eq. 3).")] = 0.5
    soft_nms_sigma: Annotated[
        float,
        Setting("reduction", "Width of the Gaussian decay of soft-NMS. A smaller value suppresses more.", above=0),
    ] = 0.5
    score_threshold: Annotated[
        float,
        _fraction(
            "reduction",
            "Minimum score of a new instance of a window, and of each further class of an instance. The reduction nms "
            "keeps the best instance of a video at any score until there is another one.",
        ),
    ] = 0.05
    containment: Annotated[
        float,
        _fraction(
            "reduction",
            "For nms: remove a sequence if more than this fraction of it lies in a better sequence of its category, "
            "or the reverse (intersection over the smaller one). 1 keeps it.",
        ),
    ] = 0.8
    max_sequences: Annotated[int, _count("reduction", "Maximum number of new instances per window.")] = 100

    mask_threshold: Annotated[float, _fraction("output", "Minimum probability of a mask pixel.")] = 0.5
    overlap: Annotated[
        Overlap,
        Setting(
            "output",
            "Pixels that several masks contain. exclusive: the most probable instance gets the pixel, as DAVIS "
            "requires; keep: all of them contain it, as in YouTube-VIS.",
        ),
    ] = "exclusive"
    confident_score: Annotated[
        float,
        _fraction(
            "output",
            "Minimum score of a confident instance. Overlay videos and tables show confident instances only.",
        ),
    ] = 0.25
    # Class scores always use masks at the size of the network input.
    mask_canvas: Annotated[
        MaskCanvas,
        Setting(
            "output",
            "Size at which masks are thresholded and compared. video: the size of the video; network: the padded "
            "network input, as in the authors' implementation.",
        ),
    ] = "video"

    def __post_init__(self) -> None:
        """Raise a VisError that names the setting if a value has another type or is outside its range."""
        check_settings(self)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Device, precision, memory and library of a run. All values except int8 change the result only by rounding."""

    device: Annotated[
        str, Setting("run", "Device: auto, cpu, cuda, cuda:N or mps. auto selects a GPU if available.")
    ] = "auto"
    precision: Annotated[
        Precision,
        Setting(
            "run",
            "Number format: auto, float32, bfloat16, float16 or int8. The value auto selects the fastest format of "
            "the device except int8. For the presets released-ytvis and released-davis, it selects float32. The value "
            "int8 encodes frames with 8 bits; it needs a CPU and the extra openvino.",
        ),
    ] = "auto"
    feature_budget_mb: Annotated[
        int,
        Setting(
            "run",
            "Memory in MB for encoded frames that wait for propagation backward in time. Frames beyond the limit are "
            "encoded twice.",
            low=0,
            high=MAX_BUDGET_MB,
        ),
    ] = 220
    frame_budget_mb: Annotated[
        int,
        Setting(
            "run",
            "Memory for the decoded frames of a window in MB. Up to two windows are stored. Frames beyond the limit "
            "are in a temporary file.",
            low=0,
            high=MAX_BUDGET_MB,
        ),
    ] = 256
    backend: Annotated[
        Backend,
        Setting(
            "run",
            "Library that runs the network: auto, torch or openvino. auto selects openvino on a CPU if the extra "
            "openvino is installed.",
        ),
    ] = "auto"

    def __post_init__(self) -> None:
        """Raise a VisError that names the setting if a value has another type or is outside its range."""
        check_settings(self)


# The complete video as one window, and the scores and the reduction of the paper. Benchmarks rank all instances, and
# their masks can overlap.
PAPER = SegmentSettings(
    window=None,
    cuts=False,
    score_source="eq2",
    score_frames="all",
    calibrate=False,
    containment=1.0,
    overlap="keep",
    confident_score=0.0,
)

# The inference of the authors' implementation, which differs from the paper.
# See docs/explanation/authors-implementation.md#inference.
RELEASED = dataclasses.replace(
    PAPER,
    num_key_frames=5,
    key_frame_spacing="endpoints",
    detection_score_threshold=0.2,
    early_reduction_iou=1.0,
    resegment_key_frame=True,
    memory_stride=1,
    memory_frames=None,
    score_frames="visible",
    mask_canvas="network",
)

YOUTUBE_VIS = dataclasses.replace(
    PAPER,
    num_key_frames=6,
    score_source="product",
    reduction="category-aware",
    # The value of the authors' implementation: unlikely categories increase AP.
    # See docs/explanation/authors-implementation.md#fact-35.
    score_threshold=0.001,
    detection_score_threshold=0.2,
    mask_quality=True,
    early_reduction_iou=1.0,
    memory_previous=True,
)

GIVEN_MASKS = "given-masks"  # preset of --masks. Propagation profits from a larger input: docs/explanation/presets.md

LIVE = "live"  # preset of --live: short windows. Reasons: docs/explanation/presets.md

# Values that a result has without naming them: it was written before these settings existed.
BEFORE_SETTING = {"mask_quality": False}

PRESETS: dict[str, SegmentSettings] = {
    "default": SegmentSettings(),
    GIVEN_MASKS: SegmentSettings(cuts=False, input_scale=1.5, memory_previous=True),
    LIVE: SegmentSettings(window=16, cuts=False, num_key_frames=1),
    "ytvis2019": YOUTUBE_VIS,
    "ytvis2021": YOUTUBE_VIS,
    "ovis": dataclasses.replace(YOUTUBE_VIS, max_instances=20),
    "davis-uvos": dataclasses.replace(
        PAPER,
        num_key_frames=4,
        class_agnostic=True,
        reduction="soft-nms",
        max_sequences=20,
        detection_score_threshold=0.2,
        early_reduction_iou=1.0,
        memory_previous=True,
        input_scale=1.5,
    ),
    "released-ytvis": RELEASED,
    "released-davis": dataclasses.replace(
        RELEASED, num_key_frames=8, class_agnostic=True, memory_divisions=10, reduction="soft-nms", max_sequences=20
    ),
}

EXACT_PRESETS = ("released-ytvis", "released-davis")  # reproduce published results; they use float32 by default


def find_preset(name: str) -> SegmentSettings:
    """Return a preset by its name.

    Raises:
        VisError: There is no preset of this name; the nearest name is suggested.
    """
    if name not in PRESETS:
        raise VisError(f"no preset {name!a}", hint=did_you_mean(name, PRESETS))
    return PRESETS[name]


def find_setting(name: str) -> Setting:
    """Return a setting of the method by its name.

    Raises:
        VisError: There is no setting of this name; its new name or the nearest name is suggested.
    """
    known = settings_of(SegmentSettings)
    if name in OLD_NAMES:
        raise VisError(f"{name} is now {OLD_NAMES[name]}", hint="Use the new name.")
    if name in settings_of(RunSettings):
        raise VisError(f"{name} is a setting of the run", hint=f"Use --set {name}=VALUE.")
    if name not in known:
        raise VisError(f"no setting {name!a}", hint=did_you_mean(name, [*known, *settings_of(RunSettings)]))
    return known[name]


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of strings such as 'num_key_frames=6', by name.

    Raises:
        VisError: A string is not NAME=VALUE, a name is unknown or repeated, or a value is outside its range.
    """
    return _parse(texts, find_setting)


def parse_run_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of strings such as 'backend=torch', by name.

    Raises:
        VisError: A name is repeated, or a value is outside its range.
    """
    return _parse(texts, settings_of(RunSettings).__getitem__)


def split_overrides(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the strings NAME=VALUE for settings of the method, and the strings for settings of a run."""
    of_run = [text for text in texts if text.partition("=")[0].strip() in settings_of(RunSettings)]
    return [text for text in texts if text not in of_run], of_run


def _parse(texts: Sequence[str], find: Callable[[str], Setting]) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise VisError(f"{text!a} has no '='", hint="Use NAME=VALUE, such as num_key_frames=6.")
        setting = find(name.strip())
        if setting.name in overrides:
            raise VisError("is set twice", field=setting.name, hint="Set it once.")
        overrides[setting.name] = setting.parse(value.strip())
    return overrides


def rename_old(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a stored result under their current names."""
    return {OLD_NAMES.get(name, name): value for name, value in values.items()}
