"""Settings of a training run: type, range, default and one-line help of each. The only place of each setting.

`config_file` reads them from TOML. Every module of `training` uses them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic.types import Strict

from vis_cli.files.limits import MAX_STEPS
from vis_cli.network.config import ModelConfig
from vis_cli.settings import PRESETS
from vis_cli.training.config_errors import invalid_choice, one_line_errors

STARTS_WITHOUT_PROP_HEAD = ("imagenet", "coco", "none")  # values of `init` other than a model
# Names and values of earlier versions, which `config_file` still reads.
OLD_NAMES: Mapping[str, str] = {
    "backbone_share": "backbone_lr_mult",
    "unnormed_share": "unnormed_lr_mult",
    "decoder_share": "decoder_lr_mult",
    "final_share": "final_lr_fraction",
    "detect_share": "detect_fraction",
    "rpn_share": "rpn_fraction",
    "most_pastes": "max_pastes",
    "true_guidance": "ground_truth_guidance",
    "min_score": "score_threshold",
}
OLD_VALUES: Mapping[tuple[str, str], str] = {("kind", "stills"): "images", ("unmapped", "refuse"): "reject"}

# The maxima are far above real runs. They stop typing errors and damaged files before these fill the memory or the
# process table.
MAX_CANVASES = 1000
MAX_CLIP_PIXELS = 2**26  # per clip, all frames: 67 million are 32 frames of 1920x1080, 800 MB as float32

Number: TypeAlias = Annotated[float, Strict()]  # an integer is a valid number, a Boolean is not
Fraction: TypeAlias = Annotated[Number, Field(ge=0, le=1)]
Weight: TypeAlias = Annotated[Number, Field(ge=0, le=1_000_000)]
Multiplier: TypeAlias = Annotated[Number, Field(ge=0, le=1000)]  # of the learning rate
Steps: TypeAlias = Annotated[StrictInt, Field(ge=1, le=MAX_STEPS)]
Step: TypeAlias = Annotated[StrictInt, Field(ge=0, le=MAX_STEPS)]
Regions: TypeAlias = Annotated[StrictInt, Field(ge=1, le=100_000)]
Scale: TypeAlias = Annotated[Number, Field(gt=0, le=1000)]
Side: TypeAlias = Annotated[StrictInt, Field(ge=1, le=4096)]  # pixels

# Settings that `[[schedule]]` can change.
NumFrames: TypeAlias = Annotated[StrictInt, Field(ge=1, le=1000, description="Frames per clip (T).")]
Canvases: TypeAlias = Annotated[
    tuple[tuple[Side, Side], ...],
    Field(
        min_length=1,
        max_length=MAX_CANVASES,
        description="Heights and widths of the clips in pixels. One pair is sampled per step.",
    ),
]
DetectFraction: TypeAlias = Annotated[
    Fraction,
    Field(description="Fraction of the clips in memory at once that train the detector, rounded up to a clip."),
]
PixelWeight: TypeAlias = Annotated[
    Weight, Field(description="Weight of the pixel-wise cross-entropy of propagated masks.")
]
BackboneMultiplier: TypeAlias = Annotated[Multiplier, Field(description="Learning rate multiplier of the backbone.")]
UnnormalizedMultiplier: TypeAlias = Annotated[
    Multiplier,
    Field(
        description="Learning rate multiplier of the FPN and the Seq-Prop head, which have no normalization layers. "
        "An effective learning rate of 2e-5 to 4e-5 is stable."
    ),
]

T = TypeVar("T")
_TABLE = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=_TABLE)
class SourceConfig:
    """One dataset of the mix."""

    kind: Annotated[
        Literal["images", "boxes", "video", "davis"],
        Field(
            description="images: made into pseudo-videos; boxes: images with optional masks, which train only the "
            "detector; video: YouTube-VIS or OVIS; davis: palette PNGs."
        ),
    ]
    annotations: Annotated[
        str,
        Field(
            description="JSON file. For yolo-seg: data.yaml; cvat: XML or zip; labelme: folder of the JSON files; "
            "davis: ImageSets/2017/train.txt, or the DAVIS folder."
        ),
    ]
    images: Annotated[
        str,
        Field(
            description="Folder of the images or frames. Not needed for davis and, if the images are in the usual "
            "folder, for yolo-seg, cvat, labelme and datumaro."
        ),
    ] = ""
    weight: Annotated[
        Weight,
        Field(
            description="With steps: relative fraction of the clips. With epochs: number of times that one epoch "
            "contains each item."
        ),
    ] = 1.0
    detect: Annotated[
        StrictBool, Field(description="Train the detector with this dataset. false: train only the Seq-Prop head.")
    ] = True
    category_map: Annotated[
        str | dict[str, str],
        Field(
            description="Name of a map in category_maps.py, or a table from the dataset's categories to the model's."
        ),
    ] = "names"
    unmapped: Annotated[
        Literal["reject", "background"],
        Field(description="Objects without a category of the model: reject the dataset, or train them as background."),
    ] = "reject"
    labelled: Annotated[
        dict[str, tuple[str, ...]],
        Field(
            description="Image collection to the only categories labelled in it. '*' stands for all collections that "
            "the table does not name."
        ),
    ] = field(default_factory=dict)
    crowds: Annotated[
        Literal["auto", "objects", "ignore"],
        Field(
            description="Annotations with iscrowd 1: ignore the regions, or read them as objects. auto: read them as "
            "objects only in files from CVAT."
        ),
    ] = "auto"
    more_annotations: Annotated[
        str,
        Field(description="For boxes: a second JSON file about the same images, for example boxes of a detector."),
    ] = ""
    score_threshold: Annotated[
        Fraction,
        Field(description="For boxes: minimum score of an object. A box below it is neither object nor background."),
    ] = 0.5
    background_weight: Annotated[
        Weight, Field(description="For boxes: weight of regions without an object in the losses of the detector.")
    ] = 1.0
    repeat_rare: Annotated[
        Fraction,
        Field(
            description="For boxes: repeat the images of a class that less than this fraction of the images shows. The "
            "number of repetitions follows LVIS."
        ),
    ] = 0.0
    format: Annotated[
        Literal["auto", "coco", "yolo-seg", "cvat", "labelme", "datumaro"],
        Field(description="For images and boxes: format of the annotations. auto: recognize it."),
    ] = "auto"

    @model_validator(mode="after")
    def _check_kind(self) -> SourceConfig:
        """Check the settings that only some kinds have."""
        if self.kind not in ("images", "boxes") and self.format != "auto":
            raise ValueError('format needs kind = "images" or kind = "boxes".')
        if self.more_annotations and self.format not in ("auto", "coco"):
            raise ValueError('more_annotations needs format = "coco".')
        if self._needs_images and not self.images:
            raise ValueError(f"kind {self.kind} needs the folder of the images. Add `images`.")
        if self.kind not in ("images", "video") and self.crowds != "auto":
            raise ValueError('crowds needs kind = "images" or kind = "video".')
        if self.kind != "boxes" and self.more_annotations:
            raise ValueError('more_annotations needs kind = "boxes".')
        return self

    @property
    def _needs_images(self) -> bool:
        """Check whether the folder of the images has no usual place: of videos, and of COCO files."""
        if self.kind in ("images", "boxes"):
            return self.format == "coco" or (self.format == "auto" and self.annotations.lower().endswith(".json"))
        return self.kind == "video"


@dataclass(frozen=True, slots=True, config=_TABLE)
class OptimConfig:
    """Optimizer and learning rates: linear warm-up, then a cosine or steps down."""

    kind: Annotated[Literal["adamw", "sgd"], Field(description="Optimizer.")] = "adamw"
    learning_rate: Annotated[Number, Field(gt=0, le=100, description="Learning rate after the warm-up.")] = 3e-4
    backbone_lr_mult: BackboneMultiplier = 0.3
    # At a learning rate of 1e-4 from the start, the keys grow until the affinity is one-hot. No gradient reverses that.
    unnormed_lr_mult: UnnormalizedMultiplier = 0.1
    decoder_lr_mult: Annotated[
        Multiplier | None,
        Field(
            description="Learning rate multiplier of the decoder of the Seq-Prop head, which does not affect the "
            "affinity. Without it: unnormed_lr_mult."
        ),
    ] = None
    momentum: Annotated[Fraction, Field(description="Momentum of SGD.")] = 0.9
    weight_decay: Annotated[
        Number, Field(ge=0, le=100, description="Weight decay of matrices and convolution kernels.")
    ] = 0.02
    # The authors' implementation decays all parameters: docs/explanation/authors-implementation.md#fact-40
    decay_all: Annotated[StrictBool, Field(description="Apply the weight decay to biases and norms, too.")] = False
    warmup_steps: Annotated[Step, Field(description="Steps of the linear warm-up.")] = 100
    warmup_start: Annotated[
        Fraction, Field(description="Learning rate at the start of the warm-up, as a fraction of learning_rate.")
    ] = 0.0
    decay: Annotated[
        Literal["cosine", "steps"],
        Field(description="cosine: down to final_lr_fraction; steps: multiply by gamma at each of the milestones."),
    ] = "cosine"
    final_lr_fraction: Annotated[
        Fraction, Field(description="Learning rate at the end of the cosine, as a fraction of learning_rate.")
    ] = 0.02
    milestones: Annotated[
        tuple[Fraction, ...], Field(description="Fractions of the run after which the learning rate falls by gamma.")
    ] = ()
    gamma: Annotated[Multiplier, Field(description="Factor of the learning rate at each milestone.")] = 0.1
    clip_norm: Annotated[Number, Field(gt=0, le=1_000_000_000, description="Maximum norm of the gradient.")] = 5.0
    ema_decay: Annotated[
        Fraction,
        Field(description="Decay of the exponential moving average of the weights, which is saved. 0: no average."),
    ] = 0.998


@dataclass(frozen=True, slots=True, config=_TABLE)
class ScheduleConfig:
    """Settings that change at a step or an epoch. Other settings do not change."""

    from_step: Annotated[Step | None, Field(description="First step with the new values.")] = None
    from_epoch: Annotated[
        Annotated[Number, Field(ge=0, le=1_000_000)] | None, Field(description="First epoch with the new values.")
    ] = None
    num_frames: NumFrames | None = None
    canvases: Canvases | None = None
    detect_fraction: DetectFraction | None = None
    cross_entropy_weight: PixelWeight | None = None
    backbone_lr_mult: BackboneMultiplier | None = None
    unnormed_lr_mult: UnnormalizedMultiplier | None = None

    @model_validator(mode="after")
    def _check_start(self) -> ScheduleConfig:
        """Check that exactly one start is given."""
        if (self.from_step is None) == (self.from_epoch is None):
            raise ValueError("needs exactly one start. Give either from_step or from_epoch.")
        return self


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"preset {invalid_choice(name, PRESETS)}")
    return name


@dataclass(frozen=True, slots=True, config=_TABLE)
class ValidationConfig:
    """Split on which the averaged weights are scored. The best weights are kept."""

    kind: Annotated[
        Literal["video", "davis"],
        Field(description="video: AP as in YouTube-VIS and OVIS; davis: unsupervised J&F as in DAVIS."),
    ] = "video"
    annotations: Annotated[str, Field(description="For video: the JSON file of the split.")] = ""
    images: Annotated[str, Field(description="For video: the folder of the frames. For davis: the DAVIS folder.")] = ""
    split: Annotated[str, Field(description="For davis: name of the split.")] = "val"
    sequences: Annotated[tuple[str, ...], Field(description="Names of the videos to score. Empty: all.")] = ()
    preset: Annotated[str, AfterValidator(_known_preset), Field(description="Preset of the segmentation.")] = "default"
    semi_supervised: Annotated[
        StrictBool, Field(description="For davis: propagate the given masks of the first frame instead of detections.")
    ] = False

    @model_validator(mode="after")
    def _check_split(self) -> ValidationConfig:
        """Check that the split can be found and segmented."""
        if not self.images:
            raise ValueError("needs the folder of the videos' frames or of DAVIS. Add `images`.")
        if self.kind == "video" and not self.annotations:
            raise ValueError("kind video needs the JSON file of the split. Add `annotations`.")
        return self


def _pair(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value, value)


@dataclass(frozen=True, slots=True, config=_TABLE)
class TrainConfig:
    """A complete run."""

    model: InstanceOf[ModelConfig]  # in the file, `categories` is a list of names
    data: Annotated[tuple[SourceConfig, ...], Field(description="Datasets of the mix, one [[data]] per dataset.")]
    steps: Annotated[Steps | None, Field(description="Length of the run in steps.")] = None
    epochs: Annotated[
        Annotated[Number, Field(gt=0, le=1_000_000)] | None,
        Field(description="Length of the run in epochs, instead of steps: passes over all items of the data."),
    ] = None
    batch_size: Annotated[StrictInt, Field(ge=1, le=65_536, description="Clips per step, over all processes.")] = 4
    micro_batch_size: Annotated[
        Annotated[StrictInt, Field(ge=1, le=65_536)] | None,
        Field(
            description="Clips in memory at once, per process. Without it: batch_size divided by the number of "
            "processes."
        ),
    ] = None
    canvases: Canvases = ((384, 384), (320, 448), (288, 512))
    num_frames: NumFrames = 2
    # docs/explanation/authors-implementation.md#fact-41 describes "covering".
    pair_sampling: Annotated[
        Literal["near", "uniform", "covering"],
        Field(
            description="Frames of a clip from a video. near: at most max_gap frames apart; uniform: any frames "
            "(Propose-Reduce, Sec. 3.1.3); covering: as the authors' implementation."
        ),
    ] = "near"
    max_gap: Annotated[
        StrictInt, Field(ge=1, le=1_000_000, description="Maximum distance of neighbouring frames of a near clip.")
    ] = 10
    max_guided: Annotated[
        StrictInt, Field(ge=1, le=1000, description="Maximum number of objects per clip that are propagated.")
    ] = 5
    detect_fraction: DetectFraction = 1.0
    anchors_per_frame: Annotated[Regions, Field(description="Anchors per frame that train the RPN.")] = 128
    rpn_fraction: Annotated[
        Fraction,
        Field(description="Fraction of the frames of the detector that train the RPN, rounded up to a frame."),
    ] = 1.0
    # Half the number of the authors' implementation: the time of RoIAlign grows faster than the accuracy.
    regions_per_frame: Annotated[Regions, Field(description="Regions per frame that train the heads.")] = 64
    proposals: Annotated[
        tuple[Regions, Regions],
        Field(description="Maximum number of RPN proposals in training: per level before NMS, per frame after it."),
    ] = (1000, 400)
    generator: Annotated[
        Literal["strong", "paper"],
        Field(
            description="Pseudo-videos. strong: camera motion, pasted objects, changed colours; paper: rotations by "
            "-30, 0 and 30 degrees and flips of complete images."
        ),
    ] = "strong"
    max_pastes: Annotated[
        Annotated[StrictInt, Field(ge=0, le=1000)] | None,
        Field(description="Maximum number of objects pasted into a clip. Without it: the number of the generator."),
    ] = None
    scale_jitter: Annotated[
        tuple[Scale, Scale] | None,
        Field(
            description="Smallest and largest scale of an image, such as [0.1, 2.0]. At 1 it covers the canvas "
            "(strong) or fits into it (paper). Without it: the scales of the generator."
        ),
    ] = None
    ground_truth_guidance: Annotated[
        tuple[Fraction, Fraction],
        Field(
            description="Fraction of the objects that start from their ground-truth mask: at the start, and from half "
            "of the steps on."
        ),
    ] = (1.0, 0.3)
    perturbed_guidance: Annotated[
        tuple[Fraction, Fraction],
        BeforeValidator(_pair),
        Field(
            description="Fraction of the objects that start from a perturbed ground-truth mask: at the start, and from "
            "half of the steps on. One number is both."
        ),
    ] = (0.2, 0.2)
    cross_entropy_weight: PixelWeight = 0.0
    truncate: Annotated[
        Steps | None,
        Field(description="Query frames after which the memory is detached from the gradient. Without it: never."),
    ] = None
    init: Annotated[
        str,
        Field(
            description="Start of the weights: imagenet, coco (only r50), none, or a model by name or folder with the "
            "same backbone. Classes are matched by name."
        ),
    ] = "imagenet"
    fresh_prop_head: Annotated[
        StrictBool, Field(description="Start the Seq-Prop head as a label copier although init is a model with one.")
    ] = False
    prop_norms: Annotated[
        StrictBool,
        Field(
            description="Train the Seq-Prop head with batch norms, which become a part of its convolutions at the end. "
            "It can then learn at the learning rate of the detector: unnormed_lr_mult = 1."
        ),
    ] = False
    train_only: Annotated[
        tuple[str, ...],
        Field(description='Parts of the network to train, by the start of their name: "detector.box". Empty: all.'),
    ] = ()
    freeze: Annotated[
        tuple[str, ...], Field(description="Parts of the network to freeze, by the start of their name.")
    ] = ()
    # docs/explanation/authors-implementation.md#fact-4 describes this and the next setting.
    freeze_first_stage: Annotated[StrictBool, Field(description="Freeze the pretrained layers up to C2.")] = True
    norm_eval: Annotated[
        StrictBool,
        Field(
            description="Batch norms use their running statistics. false: trained ones use the statistics of the "
            "batch; frozen ones keep their running statistics."
        ),
    ] = True
    seed: Annotated[StrictInt, Field(ge=0, le=2**63 - 1, description="Seed of all random numbers.")] = 0
    num_workers: Annotated[StrictInt, Field(ge=0, le=1024, description="Processes that load clips.")] = 1
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="Precision of the network. auto: bfloat16 on devices that compute it faster."),
    ] = "auto"
    checkpoint_every: Annotated[Steps, Field(description="Steps from one checkpoint to the next.")] = 200
    keep_checkpoints: Annotated[
        StrictInt, Field(ge=1, le=1_000_000, description="Number of last checkpoints to keep.")
    ] = 2
    report_every: Annotated[
        Steps | None,
        Field(description="Steps from one validation to the next. Without it: an epoch, or checkpoint_every."),
    ] = None
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: tuple[ScheduleConfig, ...] = ()
    validation: ValidationConfig | None = None

    @model_validator(mode="after")
    def _check_run(self) -> TrainConfig:
        """Check the settings that depend on each other."""
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("the run needs exactly one length. Give either steps or epochs.")
        if self.epochs is None and any(change.from_epoch is not None for change in self.schedule):
            raise ValueError("[[schedule]] has from_epoch, but the run has steps. Give epochs, or from_step.")
        low, high = self.scale_jitter or (1.0, 1.0)
        if low > high:
            raise ValueError(f"scale_jitter is {[low, high]}. Give the smaller scale first.")
        height, width = max(self.canvases, key=lambda canvas: canvas[0] * canvas[1])
        pixels = height * width * self.num_frames
        if pixels > MAX_CLIP_PIXELS:
            raise ValueError(
                f"num_frames {self.num_frames} at canvas {[height, width]} makes clips of {pixels:,} pixels. "
                f"Use at most {MAX_CLIP_PIXELS:,} pixels."
            )
        return self

    @property
    def starts_prop_head(self) -> bool:
        """Check whether the run starts the Seq-Prop head, instead of taking it from `init`."""
        return self.fresh_prop_head or self.init in STARTS_WITHOUT_PROP_HEAD

    @property
    def num_steps(self) -> int:
        """Return the number of steps of the run, after `settled`."""
        if self.steps is None:
            raise ValueError("the number of steps is unknown before `settled`")
        return self.steps

    def settled(self, epoch_length: int) -> TrainConfig:
        """Convert epochs to steps.

        Args:
            epoch_length: Clips per epoch. It has no effect if the run has steps.

        Raises:
            VisError: The run has more steps than the maximum.
        """
        by_epoch = max(1, round(epoch_length / self.batch_size))
        epoch_steps = self.checkpoint_every if self.epochs is None else by_epoch
        schedule = tuple(
            change
            if change.from_epoch is None
            else _replaced(change, from_step=round(change.from_epoch * epoch_steps), from_epoch=None)
            for change in self.schedule
        )
        return _replaced(
            self,
            steps=self.steps if self.epochs is None else max(1, round(self.epochs * epoch_steps)),
            epochs=None,
            schedule=tuple(sorted(schedule, key=lambda change: change.from_step or 0)),
            report_every=self.report_every or epoch_steps,
        )

    def at(self, step: int) -> TrainConfig:
        """Return the settings of a step."""
        config = self
        for change in self.schedule:
            if (change.from_step or 0) <= step:
                config = config.changed(change)
        return config

    def changed(self, change: ScheduleConfig) -> TrainConfig:
        """Return the settings with the values of `change`.

        Raises:
            VisError: The values do not fit the other settings.
        """
        values = {f.name: getattr(change, f.name) for f in dataclasses.fields(change)}
        given = {k: v for k, v in values.items() if v is not None and not k.startswith("from_")}
        of_optim = {f.name for f in dataclasses.fields(OptimConfig)} & given.keys()
        optim: dict[str, Any] = {name: given.pop(name) for name in of_optim}
        return _replaced(self, **given, optim=dataclasses.replace(self.optim, **optim))


def _replaced(config: T, **values: Any) -> T:
    """Return a config with other values, which are checked."""
    with one_line_errors(type(config)):
        return dataclasses.replace(config, **values)  # type: ignore[type-var]
