"""A config that finetunes `lite` on a folder of annotated images, written without torch. Used by `vis train --new`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CONFIG_CHARACTERS
from vis_cli.files.names import printable
from vis_cli.messages import counted
from vis_cli.network.config import ModelConfig
from vis_cli.records.categories import plain_name
from vis_cli.records.datasets.folder import FoundDataset, find_dataset
from vis_cli.records.datasets.formats import COCO, READERS
from vis_cli.records.datasets.image import ImageDataset, Note, used_counts
from vis_cli.records.json_fields import read_json_object, take_categories
from vis_cli.training.annotations import read_annotated_images, read_boxes
from vis_cli.zoo.folder import find_model, read_summary

INIT = "lite"
PASSES = 5  # over the images; 150 steps for 60 images
BATCH_SIZE = 2
FEWEST_STEPS, MOST_STEPS = 150, 3000
MAX_LISTED = 20  # categories in the comments
OWN_FIELDS = ("name", "categories", "calibration", "detector")  # of `lite`; they are not valid for another model

# Values that were used for the last stages of `lite`, with a lower learning rate (models/lite/boxes.toml).
SETTINGS = """\
steps = {steps}
batch_size = {batch_size}
canvases = [[256, 384], [288, 384], [320, 320], [384, 256]]
num_frames = 1             # only the detector is trained, so one frame per clip is enough
init = {init}              # categories of lite keep their weights; other categories start from random weights
train_only = ["detector"]  # propagation stays as in lite
regions_per_frame = 64
proposals = [600, 300]
checkpoint_every = 50

[optim]
learning_rate = 3e-4
unnormed_lr_mult = 0.6     # of the FPN of the detector
warmup_steps = 30
ema_decay = 0.99
"""


@dataclass(frozen=True, slots=True)
class NewConfig:
    """A config as TOML, and the contents of its dataset."""

    text: str
    format: str
    num_images: int
    categories: tuple[str, ...]


def make_config(path: Path, config: Path, note: Note) -> NewConfig:
    """Describe a run that finetunes `lite` on a dataset.

    Args:
        path: The folder of the dataset, or the file of its annotations.
        config: The file to write. Paths in the text are relative to its folder.
        note: Is called with one line per assumption.

    Raises:
        VisError: The dataset is not recognized or damaged, or no object is annotated.
    """
    found = find_dataset(path)
    dataset = _read(found, note)
    counts = _merge_names(used_counts(dataset))
    if not counts:
        raise VisError("no object is annotated", where=found.annotations, hint="Annotate at least one object.")
    only_boxes = any(item.rle is None for image in dataset.images for item in image.objects)
    parts = [
        _comments(found, dataset, counts),
        SETTINGS.format(steps=_num_steps(dataset), batch_size=BATCH_SIZE, init=_quoted(INIT)),
        _data_table(found, config.parent, "boxes" if only_boxes else "images"),
        _model_table(config.stem, list(counts)),
    ]
    return NewConfig("\n".join(parts), found.format, len(dataset.images), tuple(counts))


def _read(found: FoundDataset, note: Note) -> ImageDataset:
    if found.format != COCO or found.images is None:
        return READERS[found.format](found.annotations, found.images, note)
    images = read_boxes(found.annotations, found.images)
    if all(item.rle is not None for image in images for item in image.objects):
        images = read_annotated_images(found.annotations, found.images, note=note)
    categories = take_categories(read_json_object(found.annotations), str(found.annotations))
    return ImageDataset(tuple(images), tuple(category.name for category in categories))


def _merge_names(counts: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Merge names that the training does not distinguish, such as "Cat" and "cat". The first spelling stays."""
    spelling: dict[str, str] = {}
    merged: dict[str, tuple[int, int]] = {}
    for name, (objects, images) in counts.items():
        kept = spelling.setdefault(plain_name(name), name)
        before = merged.get(kept, (0, 0))
        merged[kept] = before[0] + objects, before[1] + images
    return merged


def _num_steps(dataset: ImageDataset) -> int:
    return min(max(PASSES * len(dataset.images) // BATCH_SIZE, FEWEST_STEPS), MOST_STEPS)


def _comments(found: FoundDataset, dataset: ImageDataset, counts: Mapping[str, tuple[int, int]]) -> str:
    """Return the comments at the top: number of images and objects."""
    empty = sum(not image.objects for image in dataset.images)
    head = f"Finetune {INIT} on {counted(len(dataset.images), 'image')} ({found.format})"
    lines = [f"{head}, {counted(empty, 'image')} without an object:"]
    lines += [
        f"  {printable(name)}: {counted(objects, 'object')} in {counted(images, 'image')}"
        for name, (objects, images) in list(counts.items())[:MAX_LISTED]
    ]
    if len(counts) > MAX_LISTED:
        lines.append(f"  and {len(counts) - MAX_LISTED} more categories")
    used = {plain_name(name) for name in counts}
    unused = sorted({printable(name) for name in dataset.categories if plain_name(name) not in used})
    if unused:
        more = f", and {len(unused) - MAX_LISTED} more" if len(unused) > MAX_LISTED else ""
        lines.append(
            f"The model does not get these categories without an object: {', '.join(unused[:MAX_LISTED])}{more}"
        )
    return "".join(f"# {line}\n" for line in lines)


def _data_table(found: FoundDataset, folder: Path, kind: str) -> str:
    lines = ["[[data]]", f"kind = {_quoted(kind)}", f"format = {_quoted(found.format)}"]
    lines.append(f"annotations = {_quoted(_relative(found.annotations, folder))}")
    if found.images is not None:
        lines.append(f"images = {_quoted(_relative(found.images, folder))}")
    return "\n".join([*lines, ""])


def _model_table(name: str, categories: list[str]) -> str:
    """Return the table of the network: the categories, and the widths of `lite`."""
    config = read_summary(find_model(INIT)).config
    fields = [field for field in dataclasses.fields(ModelConfig) if field.name not in OWN_FIELDS]
    changed = {field.name: getattr(config, field.name) for field in fields}
    kept = {field.name: changed[field.name] for field in fields if changed[field.name] != field.default}
    values = [f"{key} = {json.dumps(value)}" for key, value in kept.items()]
    names = "".join(f"  {_quoted(category)},\n" for category in categories)
    return "\n".join(
        ["[model]", f"name = {_quoted(name)}", f"categories = [\n{names}]", "# The network of lite:", *values, ""]
    )


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _quoted(text: str) -> str:
    """Return a string of TOML. JSON has the same escapes.

    Raises:
        VisError: TOML or `read_toml` rejects a character, or the string is too long.
    """
    has_surrogates = any("\ud800" <= character <= "\udfff" for character in text)
    if "\0" in text or has_surrogates or len(text) > MAX_CONFIG_CHARACTERS:
        hint = f"Rename it: use at most {MAX_CONFIG_CHARACTERS:,} characters of Unicode, and not NUL."
        raise VisError(f"a config cannot contain the name {printable(text)!r}", hint=hint)
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
