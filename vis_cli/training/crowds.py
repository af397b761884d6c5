"""Decide what `iscrowd` 1 means in a COCO file: a region to ignore, or one object drawn with a brush.

Used by `annotations`. COCO marks groups of objects with `iscrowd` 1 and an RLE mask; they are regions to ignore. CVAT
exports each brush mask in the same way, although the mask is one object. CVAT's annotations have `attributes` with
`occluded`, and COCO's have not.
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
        data: Content of the JSON file; changed in place.
        annotations: The file, for messages.
        crowds: "objects" and "ignore" decide for all annotations. "auto" reads CVAT's as objects and others as regions.

    Returns:
        A line that reports an assumption; None: nothing was assumed.

    Raises:
        VisError: Each annotation is a crowd, so that nothing is left to train on.
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
            f"{annotations}: {len(chosen):,} masks with iscrowd 1 and CVAT's attributes are read as objects; "
            f'set crowds = "{IGNORE}" in [[data]] if they are regions to ignore'
        )
    if len(marked) == len(listed):
        raise VisError(
            f"cannot train on {annotations}: each of its {len(marked):,} annotations has iscrowd 1, which marks a "
            f'region to ignore. Set crowds = "{OBJECTS}" in [[data]] if each is one object, such as a brush mask.'
        )
    return (
        f"{annotations}: {len(marked):,} of {len(listed):,} annotations have iscrowd 1 and are regions to ignore; "
        f'set crowds = "{OBJECTS}" in [[data]] if each is one object'
    )


def _is_of_cvat(entry: Mapping[str, Any]) -> bool:
    attributes = entry.get("attributes")
    return isinstance(attributes, dict) and "occluded" in attributes
