"""The TOML file next to an ONNX file: strict keys and values, and the examples of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.zoo.detectors.onnx_layouts import LAYOUTS, Layout
from vis_cli.zoo.detectors.onnx_override import FIELDS, override_path, read_override

from .onnx_factory import write_onnx, yolox_outputs

PAGE = Path(__file__).parents[3] / "docs/reference/onnx.md"
EXAMPLES = re.findall(r"```toml\n# ([\w-]+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


def error_of(tmp_path: Path, text: str, layout: str = "rows") -> str:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(VisError) as caught:
        read_override(tmp_path / "m.onnx").apply(LAYOUTS[layout])
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'm.toml'}: ")
    assert "\n" not in line
    return line.removeprefix(f"{tmp_path / 'm.toml'}: ")


def test_no_file_has_no_entries(tmp_path: Path) -> None:
    override = read_override(tmp_path / "m.onnx")
    assert override.digest_text == ""
    assert override.apply(LAYOUTS["rows"]) == LAYOUTS["rows"]


def test_the_name_of_the_file() -> None:
    assert override_path(Path("a/yolox.v2.onnx")) == Path("a/yolox.v2.toml")


def test_an_unknown_key(tmp_path: Path) -> None:
    assert error_of(tmp_path, "resizing = 1") == "resizing is not a known key. Did you mean resize?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('layout = "yolo"', 'layout is "yolo". Use one of: yolox-raw'),
        ('resize = "stretch"', 'resize is "stretch". Use one of: letterbox, squeeze, fit, none.'),
        ("pixel_range = true", "pixel_range is true. Use one of: 1, 255."),
        ("pixel_range = 1.0", "pixel_range is 1.0. Use one of: 1, 255."),
        ("pad_value = 256", "pad_value is 256. Use an integer from 0 to 255."),
        ("input_size = 640", "input_size is 640. Use [height, width] from 1 to 8192."),
        ("input_size = [0, 640]", "input_size is [0, 640]. Use [height, width]"),
        ("input_size = [640, 640, 3]", "input_size is [640, 640, 3]. Use [height, width]"),
        ("mean = [0, 0]", "mean is [0, 0]. Use three numbers in RGB order."),
        ("mean = [nan, 0, 0]", "mean is [NaN, 0, 0]. Use three numbers"),
        ("std = [1, 0, 1]", "std is [1, 0, 1]. Use three positive numbers"),
        ("categories = []", "categories is []. Use a list of different names."),
        ('categories = ["a", "a"]', "Use a list of different names."),
        ('categories = ["a", " "]', "Use a list of different names."),
        ('categories = ["a\\u001b"]', "Use a list of different names."),
        ("antialias = 1", "antialias is 1. Use one of: True, False."),
        ('columns = ["x1", "y1"]', "Use a list of x1, y1, x2, y2, score, class, and batch if there is such a column."),
        ("first_label = -1", "first_label is -1. Use an integer from 0"),
        ('activation = "softmax"', "activation has no meaning for the layout rows. Remove this line."),
        ("[table]\nx = 1", "table is not a known key."),
        ("a = ", "not valid TOML"),
    ],
)
def test_an_invalid_value(text: str, expected: str, tmp_path: Path) -> None:
    assert expected in error_of(tmp_path, text)


def test_an_entry_without_meaning_for_the_layout(tmp_path: Path) -> None:
    assert "columns has no meaning for the layout rt-detr" in error_of(
        tmp_path, 'columns = ["x1", "y1", "x2", "y2", "score", "class"]', "rt-detr"
    )
    assert "box_units has no meaning for the layout yolox-raw" in error_of(
        tmp_path, 'box_units = "pixels"', "yolox-raw"
    )


def test_normalization_of_a_uint8_input(tmp_path: Path) -> None:
    from onnx import TensorProto

    from vis_cli.zoo.detectors.onnx_detector import load_onnx_detector

    inputs = {"images": ((1, 3, 64, 96), TensorProto.UINT8)}
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()}, inputs=inputs)
    (tmp_path / "m.toml").write_text("mean = [1, 1, 1]")
    with pytest.raises(VisError, match="mean has no meaning for a uint8 input"):
        load_onnx_detector(path)


def test_every_entry_of_a_layout_can_be_changed() -> None:
    own = set(Layout.__dataclass_fields__) - {"name", "description", "family"}
    assert set(FIELDS) == own | {"layout", "categories"}


def test_the_documentation_lists_every_key_and_an_example_per_layout() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = text.partition("| key | value | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", rows, flags=re.M)))) == set(FIELDS)
    assert [name for name, _ in EXAMPLES] == list(LAYOUTS)


@pytest.mark.parametrize(("layout", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_examples_of_the_documentation_are_valid(layout: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(text)
    override = read_override(tmp_path / "m.onnx")
    assert override.layout in (None, layout)
    override.apply(LAYOUTS[layout])
    assert override.digest_text
