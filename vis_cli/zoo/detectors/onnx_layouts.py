"""The known layouts of ONNX detectors: what each network reads and writes, in one table.

Used by `onnx_plan`. A TOML file next to a model overrides every entry (`onnx_override`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["grid", "rows", "labelled", "logits"]  # shape of the outputs: `onnx_decode` has one function for each
Resize = Literal["letterbox", "squeeze", "fit", "none"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of values from 0 to 1; torchvision's transforms
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Layout:
    """Input and outputs of one kind of detector."""

    name: str
    description: str
    family: Family
    input_size: tuple[int, int]  # height and width for dynamic axes; short and long side with `fit`
    channels: Literal["rgb", "bgr"] = "rgb"
    pixel_range: Literal[1, 255] = 1  # maximum value of a pixel before normalization
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)  # RGB, subtracted
    std: tuple[float, ...] = (1.0, 1.0, 1.0)  # RGB, divisor
    resize: Resize = "squeeze"
    pad_value: int = 114  # of letterbox, from 0 to 255
    image_position: Literal["top-left", "center"] = "top-left"  # of letterbox
    antialias: bool = True  # shrink with Pillow's bilinear filter, otherwise with OpenCV's, which skips pixels
    activation: Literal["sigmoid", "softmax", "none"] = "none"  # of class scores; softmax: the last class is no object
    box_format: Literal["xyxy", "cxcywh"] = "xyxy"
    box_units: Literal["pixels", "normalized"] = "pixels"  # of the input
    columns: tuple[str, ...] = ()  # of rows
    first_label: int = 0  # index of the first category in the class scores, or its label
    spare_classes: int = 0  # columns after the last category that no category uses
    axes: Literal["NCHW", "NHWC"] = "NCHW"  # the graph decides if one of its axes has 3 channels


ROW_COLUMNS = ("x1", "y1", "x2", "y2", "score", "class")
BATCH_COLUMNS = ("batch", "x1", "y1", "x2", "y2", "class", "score")

# References, all read in the repositories of the detectors: YOLOX demo/ONNXRuntime/onnx_inference.py and
# yolox/data/data_augment.py (preproc); RT-DETR rtdetrv2_pytorch/tools/export_onnx.py and references/deploy; D-FINE
# tools/deployment/export_onnx.py and tools/inference/onnx_inf.py; RF-DETR rfdetr/deploy/export.py; DETR and RT-DETR of
# Hugging Face: their image processors; torchvision models/detection/transform.py; YOLOv7 models/experimental.py.
_TABLE = (
    Layout(
        "yolox-raw",
        "YOLOX: offsets in the cells of three grids",
        "grid",
        (640, 640),
        channels="bgr",
        pixel_range=255,
        resize="letterbox",
        antialias=False,
        box_format="cxcywh",
    ),
    Layout(
        "yolox-decoded",
        "YOLOX with --decode_in_inference: boxes in pixels of the input",
        "grid",
        (640, 640),
        channels="bgr",
        pixel_range=255,
        resize="letterbox",
        antialias=False,
        box_format="cxcywh",
    ),
    Layout("rt-detr", "RT-DETR and D-FINE: labels, boxes and scores", "labelled", (640, 640)),
    Layout(
        "rt-detr-logits",
        "RT-DETR and D-FINE: class logits and boxes",
        "logits",
        (640, 640),
        activation="sigmoid",
        box_format="cxcywh",
        box_units="normalized",
    ),
    Layout(
        "rf-detr",
        "RF-DETR: boxes and class logits",
        "logits",
        (560, 560),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        activation="sigmoid",
        box_format="cxcywh",
        box_units="normalized",
        spare_classes=1,
    ),
    Layout(
        "detr",
        "DETR and YOLOS: class logits with a last class for no object, and boxes",
        "logits",
        (800, 1333),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="fit",
        activation="softmax",
        box_format="cxcywh",
        box_units="normalized",
    ),
    Layout(
        "deformable-detr",
        "Deformable and Conditional DETR: class logits and boxes",
        "logits",
        (800, 1333),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="fit",
        activation="sigmoid",
        box_format="cxcywh",
        box_units="normalized",
    ),
    Layout(
        "torchvision",
        "torchvision: boxes, labels and scores of one image, and masks if the model predicts them",
        "labelled",
        (800, 1333),
        resize="none",
        first_label=1,
    ),
    Layout(
        "rows",
        "rows of six or seven values after NMS",
        "rows",
        (640, 640),
        resize="letterbox",
        image_position="center",
        antialias=False,
        columns=ROW_COLUMNS,
    ),
)
LAYOUTS = {layout.name: layout for layout in _TABLE}
