"""A training run's settings: every field has its one home, default and name here.

Read from TOML by `config_file`; used by everything in `training`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.hints import nearest
from vis_cli.network.config import ModelConfig
from vis_cli.settings import PRESETS
from vis_cli.training.ranges import (
    MAX_CANVASES,
    MAX_CLIP_PIXELS,
    OPTIM_RANGES,
    SCHEDULE_RANGES,
    SOURCE_RANGES,
    TRAIN_RANGES,
    require_ranges,
)

# Names of earlier versions, which TOML files may still have.
OLD_NAMES: Mapping[str, str] = {
    "backbone_share": "backbone_lr_mult",
    "unnormed_share": "unnormed_lr_mult",
    "decoder_share": "decoder_lr_mult",
    "final_share": "final_lr_fraction",
    "detect_share": "detect_fraction",
    "rpn_share": "rpn_fraction",
    "most_pastes": "max_pastes",
    "true_guidance": "ground_truth_guidance",
}
STARTS_WITHOUT_PROP_HEAD = ("imagenet", "coco", "none")  # values of `init` that are no model folder


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Name one dataset of the mix."""

    # "stills": COCO layout, made into pseudo-video; "boxes": COCO layout, masks not needed, for the detector alone;
    # "video": YouTube-VIS, OVIS; "davis": palette PNGs
    kind: str
    annotations: str  # JSON file; of "davis": ImageSets/2017/train.txt, or the folder
    images: str = ""  # folder of pictures; "davis" finds its own
    weight: float = 1.0  # by steps: share of the clips, relative; by epochs: how often an epoch shows each item
    detect: bool = True  # False: only the propagation head learns from it
    category_map: str | dict[str, str] = "names"  # a map of category_maps.py, or a table: its name -> the model's
    unmapped: str = "refuse"  # what has no category in the model: "refuse" the dataset, or call it "background"
    # Image source -> the only names labelled there; "*" are all sources that are not named.
    labelled: dict[str, list[str]] = field(default_factory=dict)
    # Annotations with iscrowd 1: "ignore" the regions, or read them as "objects"; "auto": CVAT's are objects.
    crowds: str = "auto"
    more_annotations: str = ""  # "boxes": a second JSON file about the same images, such as a detector's boxes
    min_score: float = 0.5  # "boxes": a box of a lower score is neither object nor background
    background_weight: float = 1.0  # "boxes": of regions without an object in the detector's losses
    repeat_rare: float = 0.0  # "boxes": images with a class that fewer than this share of them show come more often

    def __post_init__(self) -> None:
        """Refuse words that mean nothing."""
        require_choice("kind", self.kind, ("stills", "boxes", "video", "davis"))
        require_choice("crowds", self.crowds, ("auto", "objects", "ignore"))
        require_choice("unmapped", self.unmapped, ("refuse", "background"))
        _require(self.kind == "davis" or bool(self.images), f"kind {self.kind} needs `images`, the folder of pictures")
        require_ranges(self, SOURCE_RANGES)
        _require(
            self.kind in ("stills", "video") or self.crowds == "auto", 'crowds needs kind = "stills" or kind = "video"'
        )
        _require(self.kind == "boxes" or not self.more_annotations, 'more_annotations needs kind = "boxes"')


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """Hold the optimiser and its rates: linear warm-up, then a cosine or steps down."""

    kind: str = "adamw"  # "adamw" or "sgd"
    learning_rate: float = 3e-4
    backbone_lr_mult: float = 0.3  # learning rate multiplier of the backbone
    # Learning rate multiplier of the FPN and the Seq-Prop head. Nothing normalises their output: at 1e-4 from the
    # start, keys grow until the affinity is one-hot, and no gradient brings it back. 2e-5 to 4e-5 holds.
    unnormed_lr_mult: float = 0.1
    # Learning rate multiplier of the Seq-Prop head's decoder, which no affinity depends on; none: unnormed_lr_mult.
    decoder_lr_mult: float | None = None
    momentum: float = 0.9  # of SGD
    weight_decay: float = 0.02  # of matrices and kernels
    # Weight decay on biases and norms too: docs/explanation/authors-implementation.md#fact-40
    decay_all: bool = False
    warmup_steps: int = 100
    warmup_start: float = 0.0  # share of the rate that the warm-up starts from
    decay: str = "cosine"  # "cosine" down to `final_lr_fraction`, or "steps": times `gamma` at each of `milestones`
    final_lr_fraction: float = 0.02
    milestones: tuple[float, ...] = ()  # shares of the run, such as 0.5
    gamma: float = 0.1
    clip_norm: float = 5.0
    ema_decay: float = 0.998  # of the weights' average, which is what is kept; 0: the weights themselves

    def __post_init__(self) -> None:
        """Refuse words that mean nothing and values outside their range."""
        require_choice("kind", self.kind, ("adamw", "sgd"))
        require_choice("decay", self.decay, ("cosine", "steps"))
        require_ranges(self, OPTIM_RANGES)


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Change some settings from a step or an epoch on; those that are left out stay as they are."""

    from_step: int | None = None
    from_epoch: float | None = None
    num_frames: int | None = None
    canvases: tuple[tuple[int, int], ...] | None = None
    detect_fraction: float | None = None
    cross_entropy_weight: float | None = None
    backbone_lr_mult: float | None = None
    unnormed_lr_mult: float | None = None

    def __post_init__(self) -> None:
        """Require one beginning."""
        _require((self.from_step is None) != (self.from_epoch is None), "give either from_step or from_epoch")
        require_ranges(self, SCHEDULE_RANGES)


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """Say on what the averaged weights are measured; the best ones are kept."""

    kind: str = "video"  # "video": AP of YouTube-VIS or OVIS; "davis": unsupervised J&F
    annotations: str = ""  # "video": the JSON
    images: str = ""  # "video": the folder of the videos' frames; "davis": the DAVIS folder
    split: str = "val"  # "davis": its list of sequences
    sequences: tuple[str, ...] = ()  # only these videos; none: all
    preset: str = "default"
    semi_supervised: bool = False  # "davis": follow the first frame's masks instead

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        require_choice("kind", self.kind, ("video", "davis"))
        require_choice("preset", self.preset, PRESETS)
        _require(bool(self.images), "needs `images`, the folder of the videos' frames or of DAVIS")
        _require(self.kind == "davis" or bool(self.annotations), "kind video needs `annotations`")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Hold a whole run."""

    model: ModelConfig  # in the file, `categories` is a list of names
    data: tuple[SourceConfig, ...]
    steps: int | None = None  # of the run; clips are drawn anew for each
    epochs: float | None = None  # instead of steps: passes over every item of the data
    batch_size: int = 4  # clips a step, over all processes
    micro_batch_size: int | None = None  # clips in memory at once, a process; None: the batch divided by the processes
    canvases: tuple[tuple[int, int], ...] = ((384, 384), (320, 448), (288, 512))  # (height, width)
    num_frames: int = 2
    # "near", "uniform" (Propose-Reduce, Sec. 3.1.3) or "covering" (docs/explanation/authors-implementation.md#fact-41)
    pair_sampling: str = "near"
    max_gap: int = 10  # frames from one frame of a "near" clip to the next
    max_guided: int = 5  # objects a clip that the propagation head is given
    detect_fraction: float = 1.0  # of the clips in memory at once that the detector learns from, rounded up
    anchors_per_frame: int = 128  # that the RPN learns from
    rpn_fraction: float = 1.0  # of the frames that the detector learns from, those that the RPN learns from, rounded up
    regions_per_frame: int = 64  # that the heads learn from; half the released, as RoIAlign costs more than it teaches
    proposals: tuple[int, int] = (1000, 400)  # while training: of a level before the NMS, of the frame after it
    generator: str = "strong"  # "strong", or "paper": whole pictures with turns by -30, 0, 30 degrees and flips alone
    max_pastes: int | None = None  # maximum number of objects pasted into a clip; None: as the generator says
    # Sizes of a picture, such as [0.1, 2.0]; at 1 it covers the canvas ("strong") or just fits into it ("paper").
    scale_jitter: tuple[float, float] | None = None
    ground_truth_guidance: tuple[float, float] = (1.0, 0.3)  # fraction at the start and from half the steps on
    perturbed_guidance: float | tuple[float, float] = 0.2  # likewise, or one share throughout
    cross_entropy_weight: float = 0.0
    truncate: int | None = None  # query frames after which the memory is cut off from the gradient; None: never
    # "imagenet", "coco" (of r50), "none", or a model by name or folder, of the same backbone: what fits of it is taken,
    # classes by their names.
    init: str = "imagenet"
    fresh_prop_head: bool = False  # start the Seq-Prop head anew although `init` is a model that has one
    train_only: tuple[str, ...] = ()  # parts by the start of their name, such as "detector.box"; none: all
    freeze: tuple[str, ...] = ()  # parts that do not learn
    # Freeze the pretrained layers up to C2: docs/explanation/authors-implementation.md#fact-4
    freeze_first_stage: bool = True
    # Batch norms use their running statistics, as in docs/explanation/authors-implementation.md#fact-4.
    # false: batch norms that are trained use the statistics of the batch; frozen ones keep their running statistics.
    norm_eval: bool = True
    seed: int = 0
    num_workers: int = 1
    precision: str = "auto"  # "auto", "float32" or "bfloat16"
    checkpoint_every: int = 200
    keep_checkpoints: int = 2
    report_every: int | None = None  # steps from one validation to the next; None: an epoch, else checkpoint_every
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: tuple[ScheduleConfig, ...] = ()
    validation: ValidationConfig | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range with a VisError that names the field."""
        _require((self.steps is None) != (self.epochs is None), "give either steps or epochs")
        require_ranges(self, TRAIN_RANGES)
        require_choice("generator", self.generator, ("strong", "paper"))
        require_choice("pair_sampling", self.pair_sampling, ("near", "uniform", "covering"))
        require_choice("precision", self.precision, ("auto", "float32", "bfloat16"))
        by_epoch = any(change.from_epoch is not None for change in self.schedule)
        _require(not by_epoch or self.epochs is not None, "schedule uses from_epoch, but the run is counted in steps")
        _require(bool(self.canvases), "canvases is empty; name at least one height and width")
        _require(
            len(self.canvases) <= MAX_CANVASES, f"canvases has {len(self.canvases)} entries. Use at most {MAX_CANVASES}"
        )
        self._require_clip_size()
        low, high = self.scale_jitter or (1.0, 1.0)
        _require(low <= high, f"scale_jitter is {[low, high]}, but must rise")

    def _require_clip_size(self) -> None:
        """Reject clips that no memory holds: a canvas times the number of frames."""
        height, width = max(self.canvases, key=lambda canvas: canvas[0] * canvas[1])
        pixels = height * width * self.num_frames
        _require(
            pixels <= MAX_CLIP_PIXELS,
            f"num_frames {self.num_frames} at canvas {[height, width]} makes clips of {pixels:,} pixels. "
            f"Use at most {MAX_CLIP_PIXELS:,} pixels",
        )

    @property
    def starts_prop_head(self) -> bool:
        """Tell whether the run starts the Seq-Prop head, or `init` brings it."""
        return self.fresh_prop_head or self.init in STARTS_WITHOUT_PROP_HEAD

    @property
    def num_steps(self) -> int:
        """Return the steps of the run, once they are settled."""
        if self.steps is None:
            raise ValueError("the run's length in steps is not settled")
        return self.steps

    def settled(self, epoch_length: int) -> TrainConfig:
        """Turn epochs into steps, given the clips of one; a run that is counted in steps has none."""
        by_epoch = max(1, round(epoch_length / self.batch_size))
        epoch_steps = self.checkpoint_every if self.epochs is None else by_epoch
        schedule = tuple(
            change
            if change.from_epoch is None
            else dataclasses.replace(change, from_step=round(change.from_epoch * epoch_steps), from_epoch=None)
            for change in self.schedule
        )
        return dataclasses.replace(
            self,
            steps=self.steps if self.epochs is None else max(1, round(self.epochs * epoch_steps)),
            epochs=None,
            schedule=tuple(sorted(schedule, key=lambda change: change.from_step or 0)),
            report_every=self.report_every or epoch_steps,
        )

    def at(self, step: int) -> TrainConfig:
        """Return the settings that hold at a step."""
        config = self
        for change in self.schedule:
            if (change.from_step or 0) <= step:
                config = config.changed(change)
        return config

    def changed(self, change: ScheduleConfig) -> TrainConfig:
        """Return the settings with those replaced that `change` gives.

        Raises:
            VisError: one is outside its range.
        """
        values = {f.name: getattr(change, f.name) for f in dataclasses.fields(change)}
        given = {k: v for k, v in values.items() if v is not None and not k.startswith("from_")}
        of_optim = {f.name for f in dataclasses.fields(OptimConfig)} & given.keys()
        optim: dict[str, Any] = {name: given.pop(name) for name in of_optim}
        return dataclasses.replace(self, **given, optim=dataclasses.replace(self.optim, **optim))


def require_choice(name: str, value: str, choices: Collection[str], *, other: str = "") -> None:
    """Require one of some words; `other` says in the complaint what else may stand there.

    Raises:
        VisError: it is none of them; a near one is suggested.
    """
    near = nearest(value, choices)
    hint = f". Did you mean {near}?" if near else ""
    _require(value in choices, f"{name} is {printable(value)!r}, but must be one of {', '.join(choices)}{other}{hint}")


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise VisError(complaint)
