"""A training run as one TOML file: its fields, their defaults, and a near name for every mistyped one.

Read by the trainer; the shipped model's own file lies in its model folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from vis_cli.errors import VisError
from vis_cli.network.config import ModelConfig
from vis_cli.records.types import Category

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Name one dataset of the mix."""

    kind: str  # "stills" (COCO layout, made into pseudo-video) or "video" (YouTube-VIS layout)
    annotations: str
    images: str
    weight: float = 1.0  # share of the clips, relative to the other sources
    detect: bool = True  # False: only the propagation head learns from it
    labelled: dict[str, list[str]] = field(default_factory=dict)  # image source -> the only names labelled there


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """Hold the optimiser and its schedule: linear warm-up, then a cosine to `final_share` of the rate."""

    learning_rate: float = 3e-4
    backbone_share: float = 0.3  # of the learning rate
    # Of the learning rate, for the FPN and the Seq-Prop head. Nothing normalises what they compute: at 1e-4 from the
    # start, keys grow until the affinity is one-hot, and no gradient brings it back. 2e-5 to 4e-5 holds.
    unnormed_share: float = 0.1
    weight_decay: float = 0.02
    warmup_steps: int = 100
    final_share: float = 0.02
    clip_norm: float = 5.0
    ema_decay: float = 0.998


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Hold a whole run."""

    model: dict[str, Any]  # ModelConfig's fields; `categories` is a list of names
    data: tuple[SourceConfig, ...]
    steps: int
    batch_size: int = 4
    canvases: tuple[tuple[int, int], ...] = ((384, 384), (320, 448), (288, 512))  # (height, width)
    num_frames: int = 2
    max_guided: int = 5  # objects a clip that the propagation head is given
    detect_share: float = 1.0  # of a batch's clips that the detector learns from, rounded up
    generator: str = "strong"  # pseudo-videos of stills: "strong", or "paper" (rotation of up to 30 degrees only)
    true_guidance: tuple[float, float] = (1.0, 0.3)  # share at the start and from half the steps on
    perturbed_guidance: float = 0.2
    cross_entropy_weight: float = 0.0
    init: str = "imagenet"  # "imagenet", "coco" (of r50), "none" or a model folder
    fresh_prop_head: bool = False  # start the Seq-Prop head anew although `init` is a model that has one
    train_only: tuple[str, ...] = ()  # parts by the start of their name, such as "detector.box"; none: all
    seed: int = 0
    num_workers: int = 1
    precision: str = "auto"
    checkpoint_every: int = 200
    optim: OptimConfig = field(default_factory=OptimConfig)

    @property
    def starts_prop_head(self) -> bool:
        """Tell whether the run starts the Seq-Prop head, or `init` brings it."""
        return self.fresh_prop_head or self.init in ("imagenet", "coco", "none")

    def model_config(self) -> ModelConfig:
        """Build the network's config; the category ids are 1..C in the order of their names."""
        fields = dict(self.model)
        names = fields.pop("categories", [])
        categories = tuple(Category(i, name) for i, name in enumerate(names, 1))
        tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return _build(ModelConfig, {**tuples, "categories": categories}, "model")


def read_train_config(path: Path) -> TrainConfig:
    """Read a run's TOML file; relative data paths are taken from the file's own folder.

    Raises:
        VisError: the file is missing or not TOML, or a field is unknown, missing or of a wrong type.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VisError(f"{path}: cannot read this training config ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise VisError(f"{path}: not valid TOML ({error})") from error
    sources = tuple(_resolve(_build(SourceConfig, entry, "data"), path.parent) for entry in raw.pop("data", []))
    if not sources:
        raise VisError(f"{path}: no [[data]] is given; name at least one dataset")
    optim = _build(OptimConfig, raw.pop("optim", {}), "optim")
    for name in ("canvases", "true_guidance", "train_only"):
        if name in raw:
            raw[name] = tuple(tuple(v) if isinstance(v, list) else v for v in raw[name])
    config = _build(TrainConfig, {**raw, "data": sources, "optim": optim}, path.name)
    config.model_config()
    return config


def _resolve(source: SourceConfig, folder: Path) -> SourceConfig:
    return dataclasses.replace(source, annotations=str(folder / source.annotations), images=str(folder / source.images))


def _build(kind: type[T], fields: dict[str, Any], where: str) -> T:
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, value in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known fields: {', '.join(sorted(known))}"
            raise VisError(f"[{where}] has no field {name}; {hint}")
        _check_type(get_type_hints(kind)[name], value, f"[{where}] {name}")
    missing = [
        n
        for n, f in known.items()
        if n not in fields and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise VisError(f"[{where}] lacks the field {missing[0]}")
    return kind(**fields)


def _check_type(hint: object, value: object, where: str) -> None:
    expected = {int: int, float: (int, float), str: str, bool: bool}.get(hint)  # type: ignore[call-overload]
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and hint is not bool)):
        raise VisError(f"{where} is {value!r}, but must be of type {getattr(hint, '__name__', hint)}")
