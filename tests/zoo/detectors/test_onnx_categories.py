"""Categories of ONNX detectors: from the TOML file, the metadata, the graph, or COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from vis_cli.errors import VisError
from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.detectors.onnx_categories import choose_classes, coco_classes, read_names
from vis_cli.zoo.detectors.onnx_detector import describe_onnx, load_onnx_detector

from .onnx_factory import floats, labelled_outputs, logits_outputs, write_onnx

PATH = Path("m.onnx")


def choose(num_classes: int | None, **arguments: Any) -> Any:
    defaults: dict[str, Any] = {"given": None, "metadata": {}, "first_label": 0, "spare": 0, "assumed": 80}
    return choose_classes(num_classes, path=PATH, **(defaults | arguments))


@pytest.mark.parametrize(("num_classes", "first"), [(80, None), (90, 1), (91, 0)])
def test_the_numbers_of_classes_of_coco(num_classes: int, first: int | None) -> None:
    table = coco_classes(num_classes, PATH)
    assert table.categories == coco_categories()
    assert len(table.labels) == num_classes
    for index, label in enumerate(table.labels):
        if label and first is not None:
            assert table.categories[label - 1].id == index + first
    assert sorted(table.labels[table.labels > 0]) == list(range(1, 81))


def test_the_order_of_the_sources() -> None:
    metadata = {"names": '["one", "two"]'}
    assert [c.name for c in choose(2, given=("a", "b"), metadata=metadata).categories] == ["a", "b"]
    assert [c.name for c in choose(2, metadata=metadata).categories] == ["one", "two"]
    assert choose(None).categories == coco_categories()
    assert choose(None).source.startswith("COCO, assumed")
    assert choose(80).source == "COCO, because the graph has 80 classes"


def test_names_of_coco_get_the_ids_of_coco() -> None:
    names = [category.name.title() for category in coco_categories()]
    assert choose(80, given=names).categories == coco_categories()


def test_the_first_label_and_spare_classes() -> None:
    assert choose(3, given=("a", "b"), first_label=1).labels.tolist() == [0, 1, 2]
    assert choose(None, given=("a", "b"), first_label=1).labels.tolist() == [0, 1, 2]
    assert choose(3, given=("a", "b"), spare=1).labels.tolist() == [1, 2, 0]
    assert choose(3, given=("a", "b", "c"), spare=1).labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("num_classes", "entries"), [(3, {}), (1, {}), (2, {"first_label": 1}), (4, {"spare": 1})])
def test_a_number_of_names_that_does_not_fit(num_classes: int, entries: dict[str, int]) -> None:
    expected = rf"the graph has {num_classes} classes, but there are 2 names \(categories in m.toml\)"
    with pytest.raises(VisError, match=expected):
        choose(num_classes, given=("a", "b"), **entries)


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"names": "{0: 'person', 1: \"hair drier\"}"}, ("person", "hair drier")),
        ({"names": '{"1": "b", "0": "a"}'}, ("a", "b")),
        ({"classes": '["a", "b"]'}, ("a", "b")),
        ({"class_names": "('a', 'b')"}, ("a", "b")),
        ({"names": "{0: 'a', 2: 'b'}"}, None),
        ({"names": "{'x': 'a'}"}, None),
        ({"names": "['a', 'a']"}, None),
        ({"names": "['a', 3]"}, None),
        ({"names": "['a', '\x1b[31m']"}, None),
        ({"names": "__import__('os').getcwd()"}, None),
        ({"names": "[" * 100_000}, None),
        ({"names": "[]"}, None),
        ({"names": "person, car"}, None),
        ({}, None),
    ],
)
def test_names_in_the_metadata(metadata: dict[str, str], names: tuple[str, ...] | None) -> None:
    assert read_names(metadata) == names


def test_the_metadata_of_a_file_names_its_classes(tmp_path: Path) -> None:
    outputs = logits_outputs(2, 1)
    path = write_onnx(tmp_path / "m.onnx", outputs, metadata={"names": "{0: 'cat', 1: 'dog'}"})
    assert [category.name for category in load_onnx_detector(path).categories] == ["cat", "dog"]
    assert dict(describe_onnx(path))["source of categories"] == "metadata of the file"


@pytest.mark.parametrize("operator", ["Mod", "Div"])
def test_the_divisor_of_the_labels_is_the_number_of_classes(operator: str, tmp_path: Path) -> None:
    """RT-DETR: label = index modulo C, or index - index / C * C."""
    nodes = [helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.INT64, [], [7]))]
    if operator == "Mod":
        nodes += [helper.make_node("Mod", ["labels_value", "c"], ["labels"])]
    else:
        nodes += [
            helper.make_node("Div", ["labels_value", "c"], ["query"]),
            helper.make_node("Mul", ["query", "c"], ["start"]),
            helper.make_node("Sub", ["labels_value", "start"], ["labels"]),
        ]
    path = write_onnx(tmp_path / "m.onnx", labelled_outputs(), nodes=nodes)
    with pytest.raises(VisError, match="the graph has 7 classes, and its metadata has no names"):
        load_onnx_detector(path)
    (tmp_path / "m.toml").write_text('categories = ["a", "b", "c", "d", "e", "f", "g"]')
    assert len(load_onnx_detector(path).categories) == 7


def test_the_class_layer_of_torchvision_has_the_number_of_classes(tmp_path: Path) -> None:
    name = "roi_heads.box_predictor.cls_score.bias"
    nodes = [
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.FLOAT, [], [0.0])),
        helper.make_node("ReduceSum", [name], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["scores_value", "nothing"], ["scores"]),
    ]
    path = write_onnx(
        tmp_path / "m.onnx",
        labelled_outputs(label=1, batch=False),
        nodes=nodes,
        inputs={"input": ((3, "h", "w"), TensorProto.FLOAT)},
        weights={name: np.zeros(3, np.float32)},
    )
    with pytest.raises(VisError, match="the graph has 3 classes, and its metadata has no names"):
        load_onnx_detector(path)
    (tmp_path / "m.toml").write_text('categories = ["ball", "player"]\nfirst_label = 1')
    assert [category.name for category in load_onnx_detector(path).categories] == ["ball", "player"]


def test_rows_do_not_show_their_number_of_classes(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([0, 0, 9, 9, 0.5, 0])})
    assert dict(describe_onnx(path))["source of categories"].startswith("COCO, assumed")
