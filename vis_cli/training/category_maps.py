"""Maps from COCO categories to the categories of the video benchmarks, and the label map of a dataset.

Used by `sources`. Names are compared without case, spaces and underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

from vis_cli.errors import VisError
from vis_cli.records.categories import plain_name
from vis_cli.training.config import SourceConfig
from vis_cli.training.config_errors import require_choice
from vis_cli.training.labels import LabelMap

BY_NAME, ONE_CLASS = "names", "one-class"

# By meaning, not by name: the mouse of COCO is a computer mouse, and a COCO bird is not always an eagle.
_COCO_IN_ALL = {name: name for name in ("person", "cat", "cow", "horse", "elephant", "bear", "zebra", "giraffe")} | {
    "airplane": "airplane",
    "boat": "boat",
}
_COCO_IN_YOUTUBE_VIS = _COCO_IN_ALL | {
    "dog": "dog",
    "motorcycle": "motorbike",
    "train": "train",
    "truck": "truck",
    "snowboard": "snowboard",
    "skateboard": "skateboard",
    "surfboard": "surfboard",
    "tennis racket": "tennis_racket",
}
MAPS: dict[str, Mapping[str, str]] = {
    "coco-to-ytvis2019": _COCO_IN_YOUTUBE_VIS | {"car": "sedan"},
    "coco-to-ytvis2021": _COCO_IN_YOUTUBE_VIS | {"car": "car", "bird": "bird", "frisbee": "flying_disc"},
    "coco-to-ovis": _COCO_IN_ALL
    | {"dog": "dog", "bird": "bird", "sheep": "sheep", "bicycle": "bicycle", "motorcycle": "motorcycle"}
    | {"car": "vehical", "bus": "vehical", "truck": "vehical"},  # the spelling of OVIS
}


def make_label_map(source: SourceConfig, names: tuple[str, ...]) -> LabelMap:
    """Create the label map of a dataset.

    Args:
        source: Settings of the dataset.
        names: Category names of the model.

    Raises:
        VisError: The map is unknown or does not fit the model, or the model has no category of a name in `labelled`.
    """
    chosen = source.category_map
    if chosen == BY_NAME:
        return LabelMap(names, source.labelled)
    if chosen == ONE_CLASS:
        if len(names) != 1:
            raise VisError(
                f"category_map is {ONE_CLASS!r}, but the model has {len(names)} categories. Use one category."
            )
        return LabelMap(names, source.labelled, one_class=True)
    if isinstance(chosen, str):
        require_choice("category_map", chosen, (BY_NAME, ONE_CLASS, *MAPS))
        return LabelMap(names, source.labelled, renames=MAPS[chosen])
    return LabelMap(names, source.labelled, renames={plain_name(k): v for k, v in chosen.items()})
