"""Detectors in ONNX files: YOLOX, RT-DETR, D-FINE, RF-DETR, DETR, torchvision's, and rows of boxes after NMS.

Used by the composition with a propagator, and by `vis models info`. The modules `onnx_*` never import torch, and they
import packages of the extra `onnx` only when a file is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.types import Category, ModelInfo
from vis_cli.zoo.detectors.onnx_decode import Found, decode
from vis_cli.zoo.detectors.onnx_graph import load_package
from vis_cli.zoo.detectors.onnx_image import Placement, image_mask, make_input, place
from vis_cli.zoo.detectors.onnx_layouts import Layout
from vis_cli.zoo.detectors.onnx_plan import OnnxPlan, plan_detector
from vis_cli.zoo.detectors.onnx_session import OnnxSession, providers
from vis_cli.zoo.detectors.protocol import FoundBoxes, KeyFrame

SHOWN_METADATA = ("license", "licence", "author", "description", "version")


class OnnxDetector:
    """A detector in an ONNX file. It implements `BoxDetector`."""

    reads_video = True
    calibration = None

    def __init__(self, plan: OnnxPlan, session: OnnxSession) -> None:
        self.info = ModelInfo(plan.path.stem, plan.sha256)
        self.provider = session.provider  # execution provider of onnxruntime
        self._plan = plan
        self._session = session

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the C categories."""
        return self._plan.classes.categories

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        """Find the objects of a frame.

        Args:
            key_frame: The frame.
            mask_size: (h, w) of the masks to return, if the detector predicts masks.

        Raises:
            VisError: The graph fails, or its outputs do not fit its layout.
        """
        height, width = key_frame.pixels.shape[:2]
        placement = place((height, width), self._plan.layout)
        outputs = self._run(key_frame.pixels, placement)
        try:
            found = decode(outputs, self._plan.layout, placement.input_size, self._plan.classes.labels)
            labels = _labels(found.indices, self._plan.classes.labels)
        except VisError as error:
            raise error.inside(f"{self._plan.path}: frame {key_frame.index}") from error
        return _in_frame(found, labels, placement, mask_size)

    def _run(self, pixels: NDArray[np.uint8], placement: Placement) -> dict[str, NDArray[np.generic]]:
        plan = self._plan
        image = make_input(pixels, placement, plan.layout, dtype=plan.image.port.dtype, has_batch=plan.image.has_batch)
        feeds = {plan.image.port.name: image}
        height, width = placement.input_size
        if sizes := plan.other_inputs.get("sizes"):
            # Width and height. The boxes are then in pixels of the input, as in every other layout.
            feeds[sizes.name] = np.array([[width, height]], np.dtype(sizes.dtype))
        if mask := plan.other_inputs.get("mask"):
            feeds[mask.name] = image_mask(placement).astype(np.dtype(mask.dtype))
        values = self._session.run(feeds, [port.name for port in plan.outputs.values()])
        return dict(zip(plan.outputs, values, strict=True))


def load_onnx_detector(path: Path, *, device: str = "auto") -> OnnxDetector:
    """Load a detector from an ONNX file.

    Args:
        path: The file. `detector.toml` next to `detector.onnx` overrides its layout.
        device: `auto`, `cpu`, `cuda`, `cuda:<number>` or `mps`. Without a GPU provider of onnxruntime, the CPU runs it.

    Raises:
        VisError: The extra `onnx` is not installed, a file is damaged, the graph is not a known kind of detector, or
            its classes have no names.
    """
    plan = plan_detector(path)
    return OnnxDetector(plan, OnnxSession(plan.graph, device))


def describe_onnx(path: Path) -> list[tuple[str, str]]:
    """Return fields and values that describe an ONNX detector. The graph does not run.

    Raises:
        VisError: As `load_onnx_detector`.
    """
    plan = plan_detector(path)
    graph, layout, categories = plan.graph, plan.layout, plan.classes.categories
    runtime = load_package("onnxruntime")
    provider = providers(runtime, "auto")[0]
    unused = [str(port) for port in graph.outputs if port not in plan.outputs.values()]
    metadata = {key: graph.metadata[key] for key in graph.metadata if key.lower() in SHOWN_METADATA}
    rows = [
        ("name", path.stem),
        ("file", str(path)),
        ("sha256", plan.sha256),
        ("layout", f"{layout.name}: {layout.description}"),
        ("inputs", "; ".join(map(str, graph.inputs))),
        ("outputs", "; ".join(map(str, graph.outputs))),
        ("outputs not used", "; ".join(unused)),
        ("input size", _describe_size(layout, is_dynamic=None in plan.image.size)),
        ("channel order", layout.channels.upper()),
        ("normalization", _describe_normalization(layout, plan.image.port.dtype)),
        ("resizing", _describe_resizing(layout)),
        ("masks", "of the detector" if "masks" in plan.outputs else "of the mask head of the model"),
        ("categories", ", ".join(f"{category.id} {category.name}" for category in categories)),
        ("source of categories", plan.classes.source),
        ("override", str(plan.override.path) if plan.override.digest_text else "none"),
        ("external data", ", ".join(file.name for file in graph.external)),
        ("producer", printable(f"{graph.model.producer_name} {graph.model.producer_version}".strip())),
        ("opset", str(graph.opset)),
        ("provider", provider if isinstance(provider, str) else provider[0]),
        *((printable(key).lower(), printable(value)) for key, value in metadata.items()),
        *([] if any(key.lower() in ("license", "licence") for key in metadata) else [("license", "not in the file")]),
    ]
    return [(field, value) for field, value in rows if value]


def _labels(indices: NDArray[np.int64], table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the label of each class index, 0 for an index without a category."""
    outside = indices[(indices < 0) | (indices >= len(table))]
    if len(outside):
        problem = f"a detection has the class {outside[0]}, but the classes are 0 to {len(table) - 1}"
        raise VisError(problem, hint="List the categories and first_label in the TOML file.")
    return table[indices]


def _in_frame(found: Found, labels: NDArray[np.int64], placement: Placement, mask_size: tuple[int, int]) -> FoundBoxes:
    """Return the detections with a category and an area inside of the frame."""
    boxes = placement.to_frame(found.boxes)
    keep = np.flatnonzero((labels > 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    masks: tuple[NDArray[np.float32] | None, ...] = (None,) * len(keep)
    if found.masks is not None:
        masks = tuple(placement.mask_to_frame(found.masks[i], mask_size) for i in keep)
    return FoundBoxes(boxes[keep], found.scores[keep], labels[keep], masks)


def _describe_size(layout: Layout, *, is_dynamic: bool) -> str:
    height, width = layout.input_size
    if layout.resize == "none":
        return "any: the size of the video"
    if layout.resize == "fit":
        return f"any: short side up to {min(height, width)} and long side up to {max(height, width)}"
    return f"{width}x{height}" + (" (default of the layout: the graph accepts any size)" if is_dynamic else "")


def _describe_normalization(layout: Layout, dtype: str) -> str:
    text = f"{dtype} from 0 to {layout.pixel_range}"
    if any(layout.mean):
        text += f", minus {', '.join(map(str, layout.mean))}"
    return text + (f", divided by {', '.join(map(str, layout.std))}" if set(layout.std) != {1.0} else "")


def _describe_resizing(layout: Layout) -> str:
    if layout.resize == "letterbox":
        return f"letterbox: image at the {layout.image_position}, padding {layout.pad_value}"
    return {"squeeze": "squeeze to the input size", "fit": "fit into the input size", "none": "none"}[layout.resize]
