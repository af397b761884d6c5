"""Methods of `VideoResult` that need files or other packages; `types` imports this module when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vis_cli.errors import VisError
from vis_cli.records.categories import category_names
from vis_cli.records.exports.clip import Clip
from vis_cli.records.exports.tables import FLAG, FRAME_COLUMNS, INTEGER, NUMBER, frame_table
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.rle import rle_boxes
from vis_cli.records.types import VideoResult

if TYPE_CHECKING:
    import pandas
    import supervision

NO_CATEGORY = -1  # class_id of an instance without a category
COMPLETE_COLUMNS = ("frame", "instance")  # integers without NaN; pandas has no NaN for integers


def load(path: str | Path) -> VideoResult:
    """Read a result. See `VideoResult.load`."""
    return read_result(Path(path))


def save(result: VideoResult, path: str | Path) -> None:
    """Write a result. See `VideoResult.save`."""
    write_result(result, Path(path))


def detections(result: VideoResult, frame: int) -> supervision.Detections:
    """Return the visible instances of a frame. See `VideoResult.detections`."""
    try:
        import supervision
    except ImportError as error:
        hint = "Install it with `pip install supervision`."
        raise VisError("cannot make supervision.Detections: the package supervision is missing", hint=hint) from error
    masks = result.masks(frame)
    visible = np.flatnonzero(masks.any(axis=(1, 2)))
    names = category_names(result.categories)
    shown = [result.instances[index] for index in visible]
    ids = [NO_CATEGORY if instance.category_id is None else instance.category_id for instance in shown]
    boxes = rle_boxes([rle for instance in shown if (rle := instance.segmentations[frame]) is not None])
    boxes[:, 2:] += boxes[:, :2]
    return supervision.Detections(
        xyxy=boxes.astype(np.float32),
        mask=masks[visible],
        confidence=np.array([instance.score for instance in shown], np.float32),
        class_id=np.array(ids, np.int64),
        tracker_id=np.array([instance.id for instance in shown], np.int64),
        data={"class_name": np.array([names[instance.category_id] for instance in shown], np.str_)},
    )


def to_pandas(result: VideoResult) -> pandas.DataFrame:
    """Return the table of frames. See `VideoResult.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        hint = "Install it with `pip install 'vis-cli[pandas]'`."
        raise VisError("cannot make a table: the package pandas is missing", hint=hint) from error
    table = pandas.DataFrame(frame_table(Clip(result, result.video.frame_numbers)), columns=list(FRAME_COLUMNS))
    types = {INTEGER: "float64", NUMBER: "float64", FLAG: "bool"}
    dtypes = {name: types[kind] for name, kind in FRAME_COLUMNS.items() if kind in types}
    return table.astype(dtypes | dict.fromkeys(COMPLETE_COLUMNS, "int64"))
