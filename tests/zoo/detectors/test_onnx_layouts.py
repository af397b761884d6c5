"""Each layout of ONNX detectors: from constant outputs to exact boxes, scores and categories in a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.detectors.onnx_detector import describe_onnx, load_onnx_detector
from vis_cli.zoo.detectors.onnx_layouts import LAYOUTS
from vis_cli.zoo.detectors.protocol import FoundBoxes

from .onnx_factory import (
    BOX,
    CELLS,
    CENTRED,
    FRAME,
    INPUT,
    LETTERBOX,
    SQUEEZED,
    decoded_nodes,
    detect,
    floats,
    labelled_outputs,
    logits_outputs,
    write_onnx,
    yolox_outputs,
)

DOG = 17  # label: the dog has the index 16 of 80
SIGMOID_4 = 1 / (1 + np.exp(-4.0))
ANY_SIZE = {"input": ((3, "height", "width"), TensorProto.FLOAT)}


def layout_of(path: Path) -> str:
    return dict(describe_onnx(path))["layout"].partition(":")[0]


def best(found: FoundBoxes) -> tuple[list[float], float, int]:
    i = int(found.scores.argmax())
    return found.boxes[i].tolist(), float(found.scores[i]), int(found.labels[i])


def require_best(path: Path, layout: str, *, score: float, label: int = DOG, box: tuple[float, ...] = BOX) -> None:
    assert layout_of(path) == layout
    own_box, own_score, own_label = best(detect(path))
    assert own_box == pytest.approx(box, abs=1e-3)
    assert (own_score, own_label) == (pytest.approx(score, abs=1e-5), label)


def test_yolox_raw(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()})
    require_best(path, "yolox-raw", score=0.72)
    assert len(detect(path).scores) <= CELLS


def test_yolox_decoded_has_an_exp_before_its_output(tmp_path: Path) -> None:
    outputs = {"output": yolox_outputs(decoded=True)}
    path = write_onnx(tmp_path / "m.onnx", outputs, nodes=decoded_nodes())
    require_best(path, "yolox-decoded", score=0.72)


def test_an_exp_before_the_last_convolution_does_not_decode(tmp_path: Path) -> None:
    """An activation of the backbone may use Exp."""
    nodes = [
        helper.make_node("Constant", [], ["side"], value_ints=[85, 85]),
        helper.make_node("ConstantOfShape", ["side"], ["square"]),
        helper.make_node("EyeLike", ["square"], ["identity"]),
        helper.make_node("Exp", ["output_value"], ["powers"]),
        helper.make_node("Log", ["powers"], ["plain"]),
        helper.make_node("MatMul", ["plain", "identity"], ["output"]),
    ]
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()}, nodes=nodes)
    require_best(path, "yolox-raw", score=0.72)


def test_yolox_with_one_class_has_six_columns_but_is_not_rows(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs(label=0, num_classes=1)})
    (tmp_path / "m.toml").write_text('categories = ["ball"]')
    require_best(path, "yolox-raw", score=0.72, label=1)


def test_yolox_with_dynamic_axes_uses_640(tmp_path: Path) -> None:
    rows = np.zeros((1, 8400, 85), np.float32)
    rows[0, 80 * 80 + 40 * 40, :4] = 0, 0, np.log(10), np.log(5)  # first cell of stride 32: 320x160 around the corner
    rows[0, 80 * 80 + 40 * 40, 4:7] = 1
    inputs = {"images": (("n", 3, "h", "w"), TensorProto.FLOAT)}
    path = write_onnx(tmp_path / "m.onnx", {"output": rows}, inputs=inputs, shapes={"output": ("n", "rows", 85)})
    require_best(path, "yolox-raw", score=1.0, label=1, box=(0.0, 0.0, 160 / 3.2, 80 / 3.2))
    assert dict(describe_onnx(path))["input size"].startswith("640x640 (default of the layout")


@pytest.mark.parametrize("names", [("labels", "boxes", "scores"), ("scores", "labels", "boxes"), ("a", "b", "c")])
@pytest.mark.parametrize("with_sizes", [True, False])
def test_labels_boxes_scores_in_any_order(names: tuple[str, ...], with_sizes: bool, tmp_path: Path) -> None:
    outputs = labelled_outputs(label=16)
    ordered = dict(zip(names, outputs.values(), strict=True)) if "a" in names else {n: outputs[n] for n in names}
    inputs: dict[str, Any] = {"images": ((1, 3, *INPUT), TensorProto.FLOAT)}
    if with_sizes:
        inputs["orig_target_sizes"] = (("N", 2), TensorProto.INT64)
    path = write_onnx(tmp_path / "m.onnx", ordered, inputs=inputs)
    require_best(path, "rt-detr", score=0.75)
    assert len(detect(path).scores) == 1  # not the padding


def test_orig_target_sizes_are_width_and_height_of_the_input(tmp_path: Path) -> None:
    """The boxes of RT-DETR are from 0 to 1, times the sizes."""
    nodes = [
        helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["sizes", "sizes"], ["limits"], axis=1),
        helper.make_node("Mul", ["boxes_value", "limits"], ["boxes"]),
    ]
    outputs = labelled_outputs(label=16, box=(0.25, 0.25, 0.75, 0.75))
    inputs = {
        "images": ((1, 3, *INPUT), TensorProto.FLOAT),
        "orig_target_sizes": ((1, 2), TensorProto.INT64),
    }
    require_best(write_onnx(tmp_path / "m.onnx", outputs, inputs=inputs, nodes=nodes), "rt-detr", score=0.75)


def test_logits_of_80_classes_are_sigmoids(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", logits_outputs(80, 16))
    require_best(path, "rt-detr-logits", score=SIGMOID_4)


def test_logits_of_92_classes_are_a_softmax_with_no_object(tmp_path: Path) -> None:
    outputs = logits_outputs(92, 18)
    outputs["logits"][0, 0, 91] = 9.0  # no object
    path = write_onnx(tmp_path / "m.onnx", outputs)
    (tmp_path / "m.toml").write_text('resize = "squeeze"')
    require_best(path, "detr", score=np.exp(4) / (np.exp(4) + 91 * np.exp(-6)))
    found = detect(path)
    assert len(found.scores) == 3
    assert found.scores[0] < 1e-3


@pytest.mark.parametrize("source", ["toml", "metadata"])
def test_one_more_column_than_names_is_no_object(source: str, tmp_path: Path) -> None:
    metadata = {"names": '["cat", "dog"]'} if source == "metadata" else {}
    path = write_onnx(tmp_path / "m.onnx", logits_outputs(3, 1), metadata=metadata)
    names = 'categories = ["cat", "dog"]\n' if source == "toml" else ""
    (tmp_path / "m.toml").write_text(f'{names}resize = "squeeze"')
    require_best(path, "detr", score=np.exp(4) / (np.exp(4) + 2 * np.exp(-6)), label=2)


@pytest.mark.parametrize(("columns", "column"), [(91, 18), (80, 16)])
def test_detr_gets_the_mask_of_the_padding(columns: int, column: int, tmp_path: Path) -> None:
    """A graph whose box is the extent of its pixel mask, in a letterbox."""
    axis = {"axes": [1, 2], "keepdims": 0}
    nodes = [
        helper.make_node("Cast", ["pixel_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["mask"], ["fraction"], **axis),
        helper.make_node("Mul", ["pred_boxes_value", "fraction"], ["pred_boxes"]),
    ]
    inputs = {
        "pixel_values": ((1, 3, *INPUT), TensorProto.FLOAT),
        "pixel_mask": ((1, *INPUT), TensorProto.INT64),
    }
    path = write_onnx(tmp_path / "m.onnx", logits_outputs(columns, column), inputs=inputs, nodes=nodes)
    fraction = 48 / 64  # the frame fills 48 of 64 rows
    box = np.multiply([0.25, 0.25, 0.75, 0.75], fraction) * [96, 64, 96, 64] / 0.48
    require_best(path, "deformable-detr", score=SIGMOID_4, box=tuple(box))


def test_rf_detr_has_boxes_first_and_the_ids_of_coco(tmp_path: Path) -> None:
    outputs = logits_outputs(91, 18, names=("labels", "dets"))
    path = write_onnx(tmp_path / "m.onnx", {"dets": outputs["dets"], "labels": outputs["labels"]})
    require_best(path, "rf-detr", score=SIGMOID_4)


def test_rf_detr_with_own_classes_has_a_spare_column(tmp_path: Path) -> None:
    outputs = logits_outputs(3, 1, names=("labels", "dets"))
    outputs["labels"][0, 2, 2] = 9.0  # the spare column
    path = write_onnx(tmp_path / "m.onnx", outputs)
    (tmp_path / "m.toml").write_text('categories = ["cat", "dog"]')
    require_best(path, "rf-detr", score=SIGMOID_4, label=2)


def test_a_column_without_category_is_ignored(tmp_path: Path) -> None:
    outputs = logits_outputs(91, 18)
    outputs["logits"][0, 2, [0, 12, 83]] = 9.0  # ids that COCO does not use
    path = write_onnx(tmp_path / "m.onnx", outputs)
    (tmp_path / "m.toml").write_text('resize = "squeeze"')
    require_best(path, "deformable-detr", score=SIGMOID_4)


def test_one_query_can_have_two_categories(tmp_path: Path) -> None:
    outputs = logits_outputs(80, 16)
    outputs["logits"][0, 1, 15] = 3.0
    found = detect(write_onnx(tmp_path / "m.onnx", outputs))
    first, second = np.argsort(-found.scores)[:2]
    assert found.labels[[first, second]].tolist() == [17, 16]
    assert found.boxes[first].tolist() == found.boxes[second].tolist()


@pytest.mark.parametrize("with_masks", [True, False])
@pytest.mark.parametrize("frame", [FRAME, (64, 96)])
def test_torchvision(with_masks: bool, frame: tuple[int, int], tmp_path: Path) -> None:
    outputs = labelled_outputs(label=18, box=(10, 20, 30, 40), batch=False)
    shapes: dict[str, Any] = {"labels": ("n",), "boxes": ("n", 4), "scores": ("n",)}
    if with_masks:
        masks = np.zeros((2, 1, *frame), np.float32)
        masks[0, 0, : frame[0] // 2] = 1  # the upper half
        outputs["masks"], shapes["masks"] = masks, ("n", "m", "h", "w")
    path = write_onnx(tmp_path / "m.onnx", outputs, inputs=ANY_SIZE, shapes=shapes)
    found = detect(path, frame=frame, mask_size=(10, 20))
    assert layout_of(path) == "torchvision"
    assert (found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()) == ([[10, 20, 30, 40]], [0.75], [DOG])
    (mask,) = found.masks
    if with_masks:
        assert mask is not None
        assert np.allclose(mask, np.repeat(floats(1, 0), 5)[:, None].repeat(20, axis=1))
    else:
        assert mask is None


@pytest.mark.parametrize(("position", "box", "top"), [("top-left", LETTERBOX, 0), ("center", CENTRED, 8)])
def test_masks_of_a_fixed_size_lose_their_padding(
    position: str, box: tuple[float, ...], top: int, tmp_path: Path
) -> None:
    masks = np.zeros((2, 1, *INPUT), np.float32)
    masks[0, 0, top : top + 24] = 1  # the upper half of the image
    outputs = labelled_outputs(label=18, box=box, batch=False) | {"masks": masks}
    path = write_onnx(tmp_path / "m.onnx", outputs)
    (tmp_path / "m.toml").write_text(f'image_position = "{position}"')
    require_best(path, "torchvision", score=0.75)
    (mask,) = detect(path, mask_size=(10, 20)).masks
    assert mask is not None
    assert np.allclose(mask[:5], 1)
    assert np.allclose(mask[5:], 0, atol=0.01)


@pytest.mark.parametrize("batch", [True, False])
def test_rows_of_six(batch: bool, tmp_path: Path) -> None:
    rows = floats([*CENTRED, 0.5, 16], [0, 0, 0, 0, 0, 0])
    require_best(write_onnx(tmp_path / "m.onnx", {"output": rows[None] if batch else rows}), "rows", score=0.5)


def test_rows_of_seven_begin_with_the_image(tmp_path: Path) -> None:
    rows = floats([0, *CENTRED, 16, 0.5], [1, 0, 0, 9, 9, 1, 0.9])
    path = write_onnx(tmp_path / "m.onnx", {"output": rows}, shapes={"output": ("n", 7)})
    require_best(path, "rows", score=0.5)
    assert len(detect(path).scores) == 1


def test_rows_in_another_order(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([16, 0.5, *CENTRED])})
    (tmp_path / "m.toml").write_text('columns = ["class", "score", "x1", "y1", "x2", "y2"]')
    require_best(path, "rows", score=0.5)


@pytest.mark.parametrize(
    ("override", "box"),
    [
        ('resize = "squeeze"', SQUEEZED),
        ('resize = "letterbox"\nimage_position = "top-left"', LETTERBOX),
        ('resize = "squeeze"\nbox_units = "normalized"', (0.25, 0.25, 0.75, 0.75)),
        ('resize = "squeeze"\nbox_format = "cxcywh"', (48, 32, 48, 32)),
    ],
)
def test_the_toml_file_changes_the_geometry(override: str, box: tuple[float, ...], tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([*box, 0.5, 16])})
    (tmp_path / "m.toml").write_text(override)
    require_best(path, "rows", score=0.5)


@pytest.mark.parametrize("kind", ["rows", "labelled", "torchvision"])
def test_zero_detections(kind: str, tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"output": np.zeros((1, 0, 6), np.float32)}
    shapes: dict[str, Any] = {"output": (1, "n", 6)}
    if kind != "rows":
        batch = kind == "labelled"
        outputs = {
            name: values[..., :0, :] if name == "boxes" else values[..., :0]
            for name, values in labelled_outputs(batch=batch).items()
        }
        shapes = {"boxes": (1, "n", 4) if batch else ("n", 4)}
    if kind == "torchvision":
        outputs["masks"] = np.zeros((0, 1, *INPUT), np.float32)
        shapes["masks"] = ("n", 1, *INPUT)
    found = detect(write_onnx(tmp_path / "m.onnx", outputs, shapes=shapes))
    assert (found.boxes.shape, found.scores.shape, found.labels.shape, found.masks) == ((0, 4), (0,), (0,), ())


def test_boxes_are_clipped_and_boxes_outside_of_the_frame_are_removed(tmp_path: Path) -> None:
    rows = floats(
        [-50, -50, 48, 32, 0.9, 0],  # leaves the input at the upper left
        [0, 0, 10, 8, 0.8, 0],  # in the padding above the image
        [60, 30, 50, 40, 0.7, 0],  # inverted
        [60, 30, 60, 40, 0.6, 0],  # empty
    )
    found = detect(write_onnx(tmp_path / "m.onnx", {"output": rows}))
    assert found.boxes.tolist() == [[0, 0, 100, 50]]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.UINT8])
def test_other_number_formats_of_the_input(kind: int, tmp_path: Path) -> None:
    """The score is the first value of the input."""
    shape = {"images": ((1, 3, *INPUT), kind)}
    scale = 255.0 if kind == TensorProto.UINT8 else 1.0
    nodes = [
        helper.make_node("Slice", ["images", "low", "high"], ["pixel"]),
        helper.make_node("Cast", ["pixel"], ["value"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["value", "one"], ["flat"]),
        helper.make_node("Div", ["flat", "scale"], ["score"]),
        helper.make_node("Concat", ["box", "score", "zero"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "six"], ["output"]),
    ]
    constants = {
        "low": [0, 0, 0, 0],
        "high": [1, 1, 1, 1],
        "one": [1],
        "six": [1, 6],
    }
    made = [helper.make_node("Constant", [], [name], value_ints=values) for name, values in constants.items()]
    reals = {"scale": [scale], "zero": [0.0], "box": list(SQUEEZED)}
    made += [helper.make_node("Constant", [], [name], value_floats=values) for name, values in reals.items()]
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([0] * 6)}, inputs=shape, nodes=[*made, *nodes])
    (tmp_path / "m.toml").write_text('resize = "squeeze"')
    assert best(detect(path))[1] == pytest.approx(90 / 255, abs=1e-3)


def test_an_input_with_channels_last(tmp_path: Path) -> None:
    inputs = {"images": ((1, *INPUT, 3), TensorProto.FLOAT)}
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()}, inputs=inputs)
    require_best(path, "yolox-raw", score=0.72)


def test_the_detector_names_itself_and_its_categories(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "nano.onnx", {"output": yolox_outputs()})
    detector = load_onnx_detector(path, device="cpu")
    assert detector.categories == coco_categories()
    assert detector.info.name == "nano"
    plain = detector.info.sha256
    assert len(plain) == 64
    (tmp_path / "nano.toml").write_text("# nothing\n")
    assert load_onnx_detector(path).info.sha256 == plain
    (tmp_path / "nano.toml").write_text("pad_value = 0\n")
    assert load_onnx_detector(path).info.sha256 != plain


def test_the_table_has_a_row_for_each_name() -> None:
    assert all(name == layout.name for name, layout in LAYOUTS.items())


def test_padding_is_not_a_detection(tmp_path: Path) -> None:
    """Padding has score 0 or label -1, with a box that could be a detection."""
    rows = floats([*CENTRED, 0.5, 16], [*CENTRED, 0.0, 99])
    assert len(detect(write_onnx(tmp_path / "rows.onnx", {"output": rows})).scores) == 1
    outputs = {
        "labels": np.array([[16, 99, -1]]),
        "boxes": floats([SQUEEZED, SQUEEZED, SQUEEZED]),
        "scores": floats([0.75, 0.0, 0.5]),
    }
    assert detect(write_onnx(tmp_path / "labels.onnx", outputs)).scores.tolist() == [0.75]


def test_large_logits_do_not_overflow(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", logits_outputs(92, 18, value=500.0))
    assert detect(path).scores.max() == 1.0
    path = write_onnx(tmp_path / "s.onnx", logits_outputs(80, 16, value=-500.0))
    assert np.isfinite(detect(path).scores).all()


def test_scores_that_round_above_1_are_1(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([*CENTRED, 1.0005, 16])})
    assert detect(path).scores.tolist() == [1.0]


def test_yolox_ignores_classes_without_category(tmp_path: Path) -> None:
    """COCO's ids from 0 to 90: index 12 has no category, although its score is the highest."""
    outputs = yolox_outputs(label=18, num_classes=91)
    outputs[0, 8 * 12 + 2 * 6 + 1, 5 + 12] = 1.0
    require_best(write_onnx(tmp_path / "m.onnx", {"output": outputs}), "yolox-raw", score=0.72)


@pytest.mark.parametrize("label", [0, 12])
def test_a_label_without_category_is_ignored(label: int, tmp_path: Path) -> None:
    """COCO's ids from 0 to 90 in a layout with labels: 0 is the background, and 12 is not used."""
    outputs = labelled_outputs(label=label, batch=False)
    assert len(detect(write_onnx(tmp_path / "m.onnx", outputs)).scores) == 0
