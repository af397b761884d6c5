"""Detections from the outputs of an ONNX detector: one function for each family of layouts.

Used by `onnx_detector`. Boxes stay in pixels of the input, and classes stay indices of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.zoo.detectors.onnx_detection import BOX_AND_OBJECT, STRIDES, grid_cells
from vis_cli.zoo.detectors.onnx_layouts import Family, Layout

Floats = NDArray[np.float32]
Outputs = dict[str, NDArray[np.generic]]  # by role
TOLERANCE = 1e-3  # of scores outside of 0 to 1: float16 and quantized graphs round
NORMALIZED_LIMIT = 2.0  # boxes in pixels of an input are larger


@dataclass(frozen=True, slots=True)
class Found:
    """N detections."""

    boxes: Floats  # (N, 4) xyxy, pixels of the input
    scores: Floats  # (N,) from 0 to 1
    indices: NDArray[np.int64]  # (N,) class indices of the network
    masks: Floats | None = None  # (N, h, w) from 0 to 1, of the complete input


def decode(outputs: Outputs, layout: Layout, input_size: tuple[int, int], labels: NDArray[np.int64]) -> Found:
    """Return the detections of one image.

    Args:
        outputs: Outputs of the graph by role.
        layout: What the outputs mean.
        input_size: Height and width of the input in pixels.
        labels: (K,) label of each class index; 0: the index has no category.

    Raises:
        VisError: An output has a wrong shape, a value that is not finite, or a score outside of 0 to 1.
    """
    for role, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise VisError(f"the output {role} contains values that are not finite", hint=EXPORT_AGAIN)
    found = DECODERS[layout.family](outputs, layout, input_size, labels)
    low, high = (found.scores.min(), found.scores.max()) if len(found.scores) else (0.0, 1.0)
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        problem = f"the scores are from {low:.3g} to {high:.3g}, not from 0 to 1"
        raise VisError(problem, hint="Set layout, columns or activation in the TOML file.")
    if not np.isfinite(found.boxes).all():
        raise VisError("boxes are not finite", hint=EXPORT_AGAIN)
    return Found(found.boxes, found.scores.clip(0, 1), found.indices, found.masks)


EXPORT_AGAIN = "Export the model again, or set its layout in the TOML file."


def _decode_grid(outputs: Outputs, layout: Layout, input_size: tuple[int, int], labels: NDArray[np.int64]) -> Found:
    """Decode YOLOX: (N, 5 + C) centre, size, objectness and class scores of each cell."""
    rows = _floats(outputs, "rows", (None, BOX_AND_OBJECT + len(labels)))
    boxes = rows[:, :4] if layout.name == "yolox-decoded" else _decode_cells(rows[:, :4], input_size)
    columns = np.flatnonzero(labels)
    class_scores = rows[:, BOX_AND_OBJECT:][:, columns]
    best = class_scores.argmax(axis=1)
    scores = rows[:, 4] * class_scores[np.arange(len(rows)), best]
    return Found(_corners(boxes), scores, columns[best])


def _decode_cells(values: Floats, input_size: tuple[int, int]) -> Floats:
    """Return centres and sizes in pixels from offsets in cells. Reference: YOLOX, utils/demo_utils.py."""
    strides = next((strides for strides in STRIDES if grid_cells(input_size, strides) == len(values)), None)
    if strides is None:
        problem = f"the output has {len(values)} rows, but the grids of an input of {input_size[1]}x{input_size[0]}"
        raise VisError(f"{problem} have {grid_cells(input_size, STRIDES[0])} cells", hint=EXPORT_AGAIN)
    corners, steps = [], []
    for stride in strides:
        height, width = input_size[0] // stride, input_size[1] // stride
        y, x = np.mgrid[:height, :width]
        corners.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        steps.append(np.full((height * width, 1), stride))
    corner, step = np.concatenate(corners).astype(np.float32), np.concatenate(steps).astype(np.float32)
    with np.errstate(over="ignore"):  # `decode` rejects boxes that are not finite
        return np.concatenate([(values[:, :2] + corner) * step, np.exp(values[:, 2:]) * step], axis=1)


def _decode_rows(outputs: Outputs, layout: Layout, input_size: tuple[int, int], labels: NDArray[np.int64]) -> Found:
    """Decode rows of box, score and class."""
    rows = _floats(outputs, "rows", (None, len(layout.columns)))
    if "batch" in layout.columns:
        rows = rows[rows[:, layout.columns.index("batch")] == 0]
    rows = rows[rows[:, layout.columns.index("score")] > 0]  # others are padding
    boxes = rows[:, [layout.columns.index(name) for name in ("x1", "y1", "x2", "y2")]]
    indices = rows[:, layout.columns.index("class")].round().astype(np.int64)
    return Found(_in_pixels(boxes, layout, input_size), rows[:, layout.columns.index("score")], indices)


def _decode_labelled(outputs: Outputs, layout: Layout, input_size: tuple[int, int], labels: NDArray[np.int64]) -> Found:
    """Decode boxes (N, 4), labels (N,), scores (N,), and optional masks (N, 1, h, w)."""
    boxes = _floats(outputs, "boxes", (None, 4))
    scores = _floats(outputs, "scores", (len(boxes),))
    indices = _without_batch(outputs, "labels", (len(boxes),)).astype(np.int64)
    keep = (scores != 0) & (indices >= 0)  # exporters pad with score 0 or label -1
    masks = None
    if "masks" in outputs:
        masks = _floats(outputs, "masks", (len(boxes), 1, *input_size))[keep, 0]
    return Found(_in_pixels(boxes[keep], layout, input_size), scores[keep], indices[keep], masks)


def _decode_logits(outputs: Outputs, layout: Layout, input_size: tuple[int, int], labels: NDArray[np.int64]) -> Found:
    """Decode class logits (Q, K) and boxes (Q, 4) of Q queries.

    With a sigmoid, the Q best pairs of query and class are detections, as in Deformable DETR. With a softmax, each
    query is one detection of its best class, as in DETR.
    """
    boxes = _in_pixels(_floats(outputs, "boxes", (None, 4)), layout, input_size)
    extra = 1 if layout.activation == "softmax" else 0
    logits = _floats(outputs, "logits", (len(boxes), len(labels) + extra))
    columns = np.flatnonzero(labels)
    scores = _activate(logits, layout.activation)[:, columns]
    if layout.activation == "softmax":
        queries, best = np.arange(len(boxes)), scores.argmax(axis=1)
    else:
        order = np.argsort(-scores, axis=None, kind="stable")[: len(boxes)]
        queries, best = np.divmod(order, len(columns))
    return Found(boxes[queries], scores[queries, best], columns[best])


DECODERS: dict[Family, Callable[[Outputs, Layout, tuple[int, int], NDArray[np.int64]], Found]] = {
    "grid": _decode_grid,
    "rows": _decode_rows,
    "labelled": _decode_labelled,
    "logits": _decode_logits,
}


def _activate(logits: Floats, activation: str) -> Floats:
    if activation == "none":
        return logits
    if activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)  # never overflows
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _in_pixels(boxes: Floats, layout: Layout, input_size: tuple[int, int]) -> Floats:
    """Return xyxy boxes in pixels of the input."""
    if layout.box_format == "cxcywh":
        boxes = _corners(boxes)
    if layout.box_units == "normalized":
        height, width = input_size
        return boxes * np.array([width, height, width, height], np.float32)
    if len(boxes) and min(input_size) > 2 * NORMALIZED_LIMIT and np.abs(boxes).max() <= NORMALIZED_LIMIT:
        problem = "no box is larger than two pixels, so the boxes are probably from 0 to 1"
        raise VisError(problem, hint='Write box_units = "normalized" into the TOML file.')
    return boxes


def _corners(boxes: Floats) -> Floats:
    centre, half = boxes[:, :2], boxes[:, 2:4] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _floats(outputs: Outputs, role: str, shape: tuple[int | None, ...]) -> Floats:
    return _without_batch(outputs, role, shape).astype(np.float32)


def _without_batch(outputs: Outputs, role: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return an output without the axis of the batch, after a check of its shape. None is any number."""
    values: NDArray[Any] = outputs[role]
    if values.ndim == len(shape) + 1 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
        expected = ", ".join("N" if n is None else str(n) for n in shape)
        problem = f"the output {role} has the shape {tuple(outputs[role].shape)}, expected ({expected})"
        raise VisError(problem, hint=EXPORT_AGAIN)
    return values
