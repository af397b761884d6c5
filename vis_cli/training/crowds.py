"""Meaning of `iscrowd` 1 in a COCO file: a region to ignore, or one object drawn with a brush.

Used by `annotations`.

COCO marks groups of objects with `iscrowd` 1 and an RLE mask. These are regions to ignore. CVAT
exports each brush mask in the same way, although the mask is one object. Annotations from CVAT have `attributes` with
`occluded`. Annotations from COCO do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError

AUTO, OBJECTS, IGNORE = "auto", "objects", "ignore"  # values of the setting `crowds`


def settle_crowds(data: Mapping[str, Any], annotations: Path, crowds: str) -> str | None:
    """Set `iscrowd` to 0 in the annotations that are objects.

    Args:
        data: Content of the JSON file. It is changed in place.
        annotations: The file, for messages.
        crowds: "objects" and "ignore" apply to all annotations. "auto" reads only annotations from CVAT as objects.

    Returns:
        A line that reports an assumption, or None without an assumption.

    Raises:
        VisError: All annotations are crowds, so no object is left for training.
    """
    entries = data.get("annotations")
    listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    marked = [entry for entry in listed if entry.get("iscrowd") == 1]
    chosen = [entry for entry in marked if crowds == OBJECTS or (crowds == AUTO and _is_of_cvat(entry))]
    for entry in chosen:
        entry["iscrowd"] = 0
    if crowds != AUTO or not marked:
        return None
    if chosen:
        return (
            f"{annotations}: {len(chosen):,} masks with iscrowd 1 and CVAT's attributes are read as objects. "
            f'If they are regions to ignore, set crowds = "{IGNORE}" in [[data]].'
        )
    if len(marked) == len(listed):
        raise VisError(
            f"cannot train on {annotations}: all {len(marked):,} annotations have iscrowd 1, which marks a region to "
            f'ignore. If each is one object, such as a brush mask, set crowds = "{OBJECTS}" in [[data]].'
        )
    return (
        f"{annotations}: {len(marked):,} of {len(listed):,} annotations have iscrowd 1 and are regions to ignore. "
        f'If each is one object, set crowds = "{OBJECTS}" in [[data]].'
    )


def _is_of_cvat(entry: Mapping[str, Any]) -> bool:
    attributes = entry.get("attributes")
    return isinstance(attributes, dict) and "occluded" in attributes
