"""Plan for an ONNX detector: layout, input size, classes and outputs, before anything runs.

Used by `onnx_detector`, which runs the plan and describes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.zoo.detectors.onnx_categories import ClassTable, choose_classes, read_names
from vis_cli.zoo.detectors.onnx_detection import (
    BOX_AND_OBJECT,
    COCO_IDS,
    ImageInput,
    detect_layout,
    find_inputs,
    find_outputs,
)
from vis_cli.zoo.detectors.onnx_graph import OnnxGraph, Port, read_graph
from vis_cli.zoo.detectors.onnx_layouts import BATCH_COLUMNS, LAYOUTS, Layout, Resize
from vis_cli.zoo.detectors.onnx_override import Override, read_override

COCO_CLASSES = 80
NO_OBJECT = "softmax"  # the activation with a last class for no object


@dataclass(frozen=True)
class OnnxPlan:
    """A graph, and how to use it."""

    graph: OnnxGraph
    image: ImageInput
    other_inputs: dict[str, Port]
    outputs: dict[str, Port]  # by role, as `onnx_decode` uses them
    layout: Layout  # with the entries of the TOML file
    classes: ClassTable
    override: Override

    @property
    def path(self) -> Path:
        """Return the ONNX file."""
        return self.graph.path

    @property
    def sha256(self) -> str:
        """Return the hash of the file. External data and a TOML file with entries change it."""
        own = hashlib.sha256(self.graph.content).hexdigest()
        parts = [own, *map(sha256_of, self.graph.external), *filter(None, [self.override.digest_text])]
        return own if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()


def plan_detector(path: Path) -> OnnxPlan:
    """Read an ONNX file and the TOML file next to it, and decide how to use the graph. Nothing runs.

    Raises:
        VisError: A file is damaged, the graph is not a known kind of detector, or its classes have no names.
    """
    graph = read_graph(path)
    override = read_override(path)
    image, others = find_inputs(graph, override.entries.get("axes"))
    names = override.categories or read_names(graph.metadata)
    name = override.layout or detect_layout(graph, image, others, None if names is None else len(names))
    layout = _with_columns(override.apply(LAYOUTS[name]), graph, override)
    outputs = find_outputs(graph, layout.family)
    layout = _for_input(layout, image, override)
    classes = choose_classes(
        _num_classes(layout, graph, outputs),
        assumed=COCO_IDS if layout.name == "torchvision" else COCO_CLASSES,
        given=override.categories,
        metadata=graph.metadata,
        first_label=layout.first_label,
        spare=layout.spare_classes,
        path=path,
    )
    return OnnxPlan(graph, image, others, outputs, layout, classes, override)


def _with_columns(layout: Layout, graph: OnnxGraph, override: Override) -> Layout:
    """Select the order of the columns by their number."""
    if layout.family != "rows" or "columns" in override.entries:
        return layout
    is_batched = (graph.outputs[0].shape or (None,))[-1] == len(BATCH_COLUMNS)
    return dataclasses.replace(layout, columns=BATCH_COLUMNS) if is_batched else layout


def _for_input(layout: Layout, image: ImageInput, override: Override) -> Layout:
    """Adapt input size, resizing and normalization to the input of the graph."""
    given = override.entries.get("input_size")
    fixed = tuple(image.size)
    if given is not None and any(own not in (None, asked) for own, asked in zip(fixed, given, strict=True)):
        problem = f"is {list(given)}, but the graph has the input {image.port}"
        raise VisError(problem, where=override.path, field="input_size", hint="Remove this line.")
    is_dynamic = fixed == (None, None)
    if layout.resize in ("fit", "none") and not is_dynamic:
        if "resize" in override.entries:
            problem = f"is {layout.resize}, but the input {image.port} has a fixed size"
            raise VisError(problem, where=override.path, field="resize", hint="Use letterbox or squeeze.")
        keep_aspect: Resize = "letterbox"
        layout = dataclasses.replace(layout, resize=keep_aspect)
    height, width = (own or default for own, default in zip(fixed, layout.input_size, strict=True))
    layout = dataclasses.replace(layout, input_size=(height, width), axes=image.axes)
    return _without_normalization(layout, override) if image.port.dtype == "uint8" else layout


def _without_normalization(layout: Layout, override: Override) -> Layout:
    """A graph with a uint8 input normalizes the image itself."""
    for key in ("pixel_range", "mean", "std"):
        if key in override.entries:
            raise VisError("has no meaning for a uint8 input", where=override.path, field=key, hint="Remove this line.")
    return dataclasses.replace(layout, pixel_range=255, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _num_classes(layout: Layout, graph: OnnxGraph, outputs: dict[str, Port]) -> int | None:
    """Return the number of class indices, or None if the graph does not show it."""
    if layout.family == "logits":
        columns = (outputs["logits"].shape or (None,))[-1]
        return columns - 1 if columns and layout.activation == NO_OBJECT else columns
    if layout.family == "grid":
        columns = (outputs["rows"].shape or (None,))[-1]
        return columns - BOX_AND_OBJECT if columns else None
    if layout.family == "rows":
        return None
    return graph.num_box_classes() or graph.label_divisor(outputs["labels"].name)
