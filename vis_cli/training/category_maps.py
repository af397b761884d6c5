"""Which COCO categories are categories of the video benchmarks, and the label map that a source's config asks for.

Used by `sources`. The names are compared without case, blanks and underscores.
"""

from __future__ import annotations

from collections.abc import Mapping

from vis_cli.errors import VisError
from vis_cli.records.categories import plain_name
from vis_cli.training.config import SourceConfig, require_choice
from vis_cli.training.labels import LabelMap

BY_NAME, ONE_CLASS = "names", "one-class"

# By meaning, not by name: COCO's mouse belongs to a computer, its other birds are no eagles.
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
    | {"car": "vehical", "bus": "vehical", "truck": "vehical"},  # OVIS spells it so
}


def make_label_map(source: SourceConfig, names: tuple[str, ...]) -> LabelMap:
    """Make the label map of a source for a model with these categories.

    Raises:
        VisError: the map is unknown, does not fit the model, or a name in `labelled` is no category of the model.
    """
    chosen = source.category_map
    if chosen == BY_NAME:
        return LabelMap(names, source.labelled)
    if chosen == ONE_CLASS:
        if len(names) != 1:
            raise VisError(f"category_map {ONE_CLASS} needs a model with one category, but this one has {len(names)}")
        return LabelMap(names, source.labelled, one_class=True)
    if isinstance(chosen, str):
        require_choice("category_map", chosen, (BY_NAME, ONE_CLASS, *MAPS))
        return LabelMap(names, source.labelled, renames=MAPS[chosen])
    return LabelMap(names, source.labelled, renames={plain_name(k): v for k, v in chosen.items()})
