"""Detection of the layout of an ONNX detector: the role of each input and output, and the row of `onnx_layouts`.

Used by `onnx_plan`. Nothing runs: names, types and shapes decide, and for YOLOX the operators before the output.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from vis_cli.errors import VisError
from vis_cli.zoo.detectors.onnx_graph import INTEGERS, OnnxGraph, Port
from vis_cli.zoo.detectors.onnx_layouts import BATCH_COLUMNS, LAYOUTS, ROW_COLUMNS, Family

STRIDES = ((8, 16, 32), (8, 16, 32, 64))  # of YOLOX, and of its models with four grids
BOX_AND_OBJECT = 5  # columns of YOLOX before the classes
COCO_IDS = 91  # columns for COCO's ids from 0 to 90

NAMES = {
    "boxes": ("boxes", "pred_boxes", "dets", "bboxes"),
    "labels": ("labels", "classes", "class_ids"),
    "scores": ("scores",),
    "logits": ("logits", "pred_logits", "labels", "class_logits"),
    "masks": ("masks",),
}
FORMATS = ("float16", "float32", "uint8")  # of images
SIZES_NAMES = ("orig_target_sizes", "target_sizes")
MASK_NAME = "pixel_mask"


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input for the image."""

    port: Port
    axes: Literal["NCHW", "NHWC"]
    has_batch: bool
    size: tuple[int | None, int | None]  # height and width; None: any


def find_inputs(graph: OnnxGraph, axes: str | None) -> tuple[ImageInput, dict[str, Port]]:
    """Return the input for the image, and the other inputs by role: `sizes` and `mask`.

    Args:
        graph: The graph.
        axes: Order of the axes, if the TOML file contains it.

    Raises:
        VisError: There is no image input, or an input has an unknown role, type or number of images.
    """
    others: dict[str, Port] = {}
    images: list[Port] = []
    for port in graph.inputs:
        if port.name in SIZES_NAMES:
            others["sizes"] = port
        elif port.name == MASK_NAME:
            others["mask"] = port
        else:
            images.append(port)
    if len(images) != 1:
        names = ", ".join(map(str, images)) or "none"
        problem = f"cannot use {graph.path}: a detector has one input for an image, but this graph has: {names}"
        raise VisError(problem, hint="Export the model with one image as its only input.")
    return _image_input(images[0], graph, axes), others


def _image_input(port: Port, graph: OnnxGraph, given_axes: str | None) -> ImageInput:
    shape = port.shape or ()
    if len(shape) not in (3, 4):
        problem = f"cannot use {graph.path}: the input {port} is not an image"
        raise VisError(problem, hint="Pass a detector of objects in images.")
    if port.dtype not in FORMATS:
        problem = f"cannot use {graph.path}: the input {port} has an unsupported type"
        raise VisError(problem, hint="Export the model with a float32, float16 or uint8 input.")
    has_batch = len(shape) == 4
    if has_batch and shape[0] not in (1, None):
        problem = f"cannot use {graph.path}: it detects in {shape[0]} images at a time"
        raise VisError(problem, hint="Export the model with batch size 1 or a dynamic batch size.")
    first, second, third = shape[-3:]
    is_last = given_axes == "NHWC" if given_axes else third == 3 and first != 3
    channels, size = (third, (first, second)) if is_last else (first, (second, third))
    if channels not in (3, None):
        problem = f"cannot use {graph.path}: the input {port} does not have 3 channels"
        raise VisError(problem, hint="Pass a detector for colour images.")
    return ImageInput(port, "NHWC" if is_last else "NCHW", has_batch, size)


def detect_layout(graph: OnnxGraph, image: ImageInput, others: Collection[str], num_names: int | None) -> str:
    """Return the name of the layout of a graph.

    Args:
        graph: The graph.
        image: Its input for the image.
        others: Roles of its other inputs.
        num_names: Number of names of categories. None: the names are unknown.

    Raises:
        VisError: The graph has no known layout.
    """
    if len(graph.outputs) == 1:
        name = _one_output(graph, graph.outputs[0], image)
    else:
        name = _several_outputs(graph.outputs, others, num_names)
    if name is None:
        ports = "; ".join(map(str, graph.outputs))
        problem = f"cannot use {graph.path}: it is not a known kind of detector (outputs: {ports})"
        hint = f"Export it as one of these: {', '.join(LAYOUTS)}. docs/reference/onnx.md describes them."
        raise VisError(problem, hint=hint)
    return name


def find_outputs(graph: OnnxGraph, family: Family) -> dict[str, Port]:
    """Return the outputs of a layout by role.

    Raises:
        VisError: An output is missing.
    """
    if family in ("grid", "rows"):
        return {"rows": graph.outputs[0]}
    roles = _roles(graph.outputs)
    needed = ("boxes", "logits") if family == "logits" else ("boxes", "labels", "scores")
    missing = [role for role in needed if role not in roles]
    if missing:
        ports = "; ".join(map(str, graph.outputs))
        problem = f"cannot use {graph.path}: no output is {' or '.join(missing)} (outputs: {ports})"
        raise VisError(problem, hint=f"Name the outputs {', '.join(needed)} in the export.")
    return {role: roles[role] for role in (*needed, "masks") if role in roles}


def grid_cells(size: tuple[int, int], strides: Sequence[int]) -> int:
    """Return the number of cells of all grids of YOLOX."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def _one_output(graph: OnnxGraph, port: Port, image: ImageInput) -> str | None:
    if port.shape is None or port.dtype not in FORMATS or len(port.shape) not in (2, 3):
        return None
    if len(port.shape) == 3 and port.shape[0] not in (1, None):
        return None
    rows, columns = port.shape[-2:]
    height, width = image.size
    is_dynamic = height is None or width is None or rows is None
    fits = not is_dynamic and rows in {grid_cells((height or 0, width or 0), strides) for strides in STRIDES}
    if columns in (len(ROW_COLUMNS), len(BATCH_COLUMNS)) and not fits:
        return "rows"
    if columns is None or columns <= BOX_AND_OBJECT or len(port.shape) != 3 or not (fits or is_dynamic):
        return None
    return "yolox-decoded" if graph.has_before(port.name, "Exp") else "yolox-raw"


def _several_outputs(outputs: Sequence[Port], others: Collection[str], num_names: int | None) -> str | None:
    roles = _roles(outputs)
    boxes = roles.get("boxes")
    if boxes is None:
        return None
    if "labels" in roles and "scores" in roles:
        return "torchvision" if _rank(boxes) == 2 else "rt-detr"
    logits = roles.get("logits")
    if logits is None:
        return None
    if boxes.name == "dets" and logits.name == "labels":
        return "rf-detr"
    columns = (logits.shape or (None,))[-1]
    num_objects = COCO_IDS if num_names is None else num_names
    if columns == num_objects + 1:  # one more column than categories: no object
        return "detr"
    return "deformable-detr" if columns == COCO_IDS or "mask" in others else "rt-detr-logits"


def _roles(outputs: Sequence[Port]) -> dict[str, Port]:
    """Return the outputs of a detector by role: by name first, otherwise by type and shape."""
    roles: dict[str, Port] = {}
    boxes = _pick(outputs, "boxes", [port for port in outputs if _is_boxes(port)])
    if boxes is None:
        return roles
    roles["boxes"] = boxes
    rest = [port for port in outputs if port is not boxes]
    flat = [port for port in rest if _rank(port) == _rank(boxes) - 1]
    deep = [port for port in rest if port.dtype in FORMATS and _rank(port) == 3]
    masks = [port for port in rest if port.dtype in FORMATS and _rank(port) == 4 and (port.shape or ())[1] in (1, None)]
    candidates = {
        "labels": [port for port in flat if port.dtype in INTEGERS],
        "scores": [port for port in flat if port.dtype in FORMATS],
        "logits": deep if _rank(boxes) == 3 else [],
        "masks": masks if _rank(boxes) == 2 else [],
    }
    for role, ports in candidates.items():
        fitting = [*ports, *(port for port in flat if role == "labels" and port.name == role and port not in ports)]
        port = _pick(rest, role, fitting)
        if port is not None:
            roles[role] = port
    return roles


def _pick(outputs: Sequence[Port], role: str, fitting: Sequence[Port]) -> Port | None:
    for name in NAMES[role]:
        for port in outputs:
            if port.name == name and port in fitting:
                return port
    return fitting[0] if len(fitting) == 1 else None


def _is_boxes(port: Port) -> bool:
    return port.dtype in FORMATS and _rank(port) in (2, 3) and (port.shape or (None,))[-1] in (4, None)


def _rank(port: Port) -> int:
    return len(port.shape or ())
