"""Readers of COCO results, a list of `{image_id, category_id, bbox, score, segmentation?}`, and of COCO datasets.

The upper left corner of the image is (0, 0) (https://cocodataset.org/#format-results).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_DETECTION_BYTES, MAX_JSON_VALUES, MIB
from vis_cli.files.reading import open_limited, read_errors
from vis_cli.messages import Messages, counted
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.detection_formats.companion import Companion, companion_from_json, image_id_from_json, image_name
from vis_cli.records.detection_formats.rows import (
    NAMES_OPTION,
    NO_BOX,
    Box,
    DetectionRows,
    FrameKey,
    Numbering,
    ParsedDetections,
    RowTable,
    listed_names,
    reject_first,
    require_capacity,
)
from vis_cli.records.json_fields import (
    describe,
    is_finite_number,
    parse_json,
    shown,
    take_crowd,
    take_field,
    take_objects,
)
from vis_cli.records.json_stream import iter_json_list, open_json_text
from vis_cli.records.types import Category

NUMBERING = Numbering(first=0, reason="an image_id is a frame index if nothing else is known")
BOX_FORMAT = "'bbox' is left, top, width, height"
EXAMPLE = '{"image_id": 0, "category_id": 1, "bbox": [x, y, width, height], "score": 0.9}'


def require_few_entries(path: Path) -> None:
    """Reject a file with too many entries before they are parsed.

    Raises:
        VisError: The file cannot be read, or has more than MAX_DETECTIONS image ids.
    """
    num_entries = 0
    with open_limited(path, limit=MAX_DETECTION_BYTES) as file, read_errors(path):
        while part := file.read(MIB):
            num_entries += part.count(b'"image_id"')
            require_capacity(num_entries, str(path))


def read_coco_results(path: Path, companion: Companion | None, messages: Messages) -> ParsedDetections:
    """Read a list of COCO results, one entry at a time.

    Args:
        path: The file.
        companion: Names of images and categories, or None.
        messages: Receives notes about assumptions.

    Raises:
        VisError: The file is damaged, an entry is malformed, or names are missing or unknown.
    """
    table, images, num_values = RowTable([str(path)], "entry"), _Images(companion), 0
    with open_limited(path, limit=MAX_DETECTION_BYTES) as file, read_errors(path):
        for index, (entry, text) in enumerate(iter_json_list(open_json_text(file)[0], str(path))):
            where = f"{path}: entry {index}"
            num_values += text.count(",") + 1
            if num_values > MAX_JSON_VALUES:
                raise VisError(f"more than {MAX_JSON_VALUES:,} values", where=path, hint="Use a smaller file.")
            if not isinstance(entry, dict):
                raise VisError(f"the entry is {describe(entry)}", where=where, hint=f"Use {EXAMPLE}.")
            if text.count(":") != len(entry):  # the same key twice, an object inside, or a colon in a string
                parse_json(text, where)
            _require_results(entry, where)
            _add(table, entry, images, index, where, score=take_field(entry, "score", float, where))
    return _finish(path, table.rows(box_format=BOX_FORMAT), images, messages)


def read_coco_dataset(
    data: dict[str, Any], path: Path, companion: Companion | None, messages: Messages
) -> ParsedDetections:
    """Convert a COCO dataset with `annotations`. An annotation without a score gets the score 1.

    Args:
        data: The parsed file.
        path: The file, for messages.
        companion: Names of images and categories that replace the names in the dataset, or None.
        messages: Receives notes about assumptions.

    Raises:
        VisError: An annotation is malformed, or names are missing or unknown.
    """
    own = companion_from_json(data, str(path))
    images = _Images(own if companion is None else _joined(companion, own))
    table, num_crowds, num_without = RowTable([str(path)], "annotations entry"), 0, 0
    for index, (entry, where) in enumerate(take_objects(data, "annotations", str(path))):
        if take_crowd(entry, where):
            num_crowds += 1
            continue
        num_without += "score" not in entry
        score = take_field(entry, "score", float, where) if "score" in entry else 1.0
        _add(table, entry, images, index, where, score=score)
    if num_crowds:
        messages.note(f"{path}: {counted(num_crowds, 'annotation')} of crowds left out")
    if num_without:
        messages.note(f"{path}: {counted(num_without, 'annotation')} without a score, so the score is 1")
    return _finish(path, table.rows(box_format=BOX_FORMAT), images, messages)


class _Images:
    """Frame of each image id."""

    def __init__(self, companion: Companion | None) -> None:
        self.categories = None if companion is None else companion.categories
        self.sizes: dict[FrameKey, tuple[int, int]] = {}
        self._companion = companion
        self._ids: dict[str, int | str] = {}  # name of an image -> the id that uses it
        names = () if companion is None or companion.images is None else companion.images.values()
        self.listed = tuple(name for name, _ in names)

    def key(self, image_id: int | str, where: str) -> FrameKey:
        """Return the number or the name of the frame.

        Raises:
            VisError: The companion has no image of this id, or two images of this name.
        """
        companion = self._companion
        if companion is None or companion.images is None:
            return image_id if isinstance(image_id, int) else image_name(image_id, where)
        if image_id not in companion.images:
            hint = "Use an id of 'images'."
            raise VisError(f"there is no image with the id {shown(image_id)}", where=where, hint=hint)
        name, place = companion.images[image_id]
        if self._ids.setdefault(name, image_id) != image_id:
            problem = f"the images {shown(self._ids[name])} and {shown(image_id)} have the same name {shown(name)}"
            raise VisError(problem, where=place, hint="Use a file with the images of one video.")
        if image_id in companion.sizes:
            self.sizes[name] = companion.sizes[image_id]
        return name


def _joined(companion: Companion, own: Companion) -> Companion:
    images = own if companion.images is None else companion
    return Companion(images.images, images.sizes, companion.categories or own.categories)


def _require_results(entry: Mapping[str, Any], where: str) -> None:
    if "image_id" not in entry and "video_id" in entry:
        hint = "Use COCO results with an 'image_id', one entry per frame and object."
        raise VisError("the entry is a result of YouTube-VIS", where=where, hint=hint)


def _add(table: RowTable, entry: Mapping[str, Any], images: _Images, index: int, where: str, *, score: float) -> None:
    mask = entry.get("segmentation")
    has_mask = mask is not None and mask != []
    if has_mask and not isinstance(mask, (list, dict)):
        raise VisError(f"the mask is {shown(mask)}", where=where, hint="Use an RLE, or a list of polygons.")
    if not has_mask and "bbox" not in entry:
        raise VisError("'bbox' is missing", where=where, hint=f"Use {EXAMPLE}.")
    table.add(
        images.key(image_id_from_json(entry, "image_id", where), where),
        box=NO_BOX if has_mask else _box(entry, where),
        score=score,
        category_id=take_field(entry, "category_id", int, where),
        mask=mask if has_mask else None,
        position=index,
    )


def _box(entry: Mapping[str, Any], where: str) -> Box:
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite_number, box)):
        hint = "Use [x, y, width, height] in pixels, as finite numbers."
        raise VisError(f"'bbox' is {shown(box)}", where=where, hint=hint)
    x, y, width, height = box
    return float(x), float(y), float(x) + float(width), float(y) + float(height)


def _finish(path: Path, rows: DetectionRows, images: _Images, messages: Messages) -> ParsedDetections:
    categories = images.categories
    if categories is None:
        categories = _assume_coco(path, rows, messages)
    return ParsedDetections(rows, categories, NUMBERING, images.sizes, listed=images.listed)


def _assume_coco(path: Path, rows: DetectionRows, messages: Messages) -> tuple[Category, ...]:
    """Return COCO's categories if all ids belong to them."""
    categories = coco_categories()
    known = {category.id: category.name for category in categories}
    ids = sorted(set(rows.category_ids.tolist()))
    unknown = [category for category in ids if category not in known]
    hint = f"Pass a COCO file with 'categories' as {NAMES_OPTION}."
    if 0 in unknown:
        hint = f"Are the ids class numbers from 0? Use the ids of COCO, or pass names for all ids as {NAMES_OPTION}."
    bad = (rows.category_ids == (unknown[0] if unknown else -1)) & bool(unknown)
    reject_first(bad, rows.places, lambda row: f"the category {rows.category_ids[row]} has no name", hint)
    if ids:
        what = "id {} is an id" if len(ids) == 1 else "ids {} are ids"
        messages.note(
            f"{path}: the file has no category names. The {what.format(listed_names(ids, known))} of COCO, so COCO's "
            f"names are used. For other names, use {NAMES_OPTION} with a COCO file"
        )
    return categories
