"""torchvision's detectors: the boxes, scores, labels and masks of torchvision's own inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import get_model_builder
from torchvision.models.detection import MaskRCNN

from tests.zoo.torchvision_factory import use_empty_cache
from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.records.coco_categories import UNUSED_IDS, coco_categories
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.detectors.protocol import BoxDetector, FoundBoxes, KeyFrame
from vis_cli.zoo.detectors.torchvision_detector import (
    TorchvisionDetector,
    identify_torchvision_detector,
    load_torchvision_detector,
)
from vis_cli.zoo.torchvision_names import TORCHVISION_DETECTORS, TorchvisionFacts, torchvision_facts

HEIGHT, WIDTH = 96, 176
NO_THRESHOLD = {"score_thresh": 0.0, "min_size": 96, "max_size": 160}
FEW_REGIONS = {"rpn_post_nms_top_n_test": 60, "box_score_thresh": 0.0, "box_detections_per_img": 30}
SMALL = {  # arguments that let a random model find objects, in a small image
    "maskrcnn_resnet50_fpn_v2": FEW_REGIONS | {"min_size": 64, "max_size": 160},
    "retinanet_resnet50_fpn_v2": NO_THRESHOLD,
    "fcos_resnet50_fpn": NO_THRESHOLD,
    "fasterrcnn_mobilenet_v3_large_fpn": FEW_REGIONS | {"min_size": 96, "max_size": 160},
    "ssdlite320_mobilenet_v3_large": {},
}
DROPPED = ("maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")  # find unused ids here
SSDLITE = torchvision_facts("torchvision:ssdlite320_mobilenet_v3_large")
ALL = pytest.mark.parametrize("facts", TORCHVISION_DETECTORS, ids=lambda facts: facts.function)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_empty_cache(tmp_path, monkeypatch)


def make_random_model(function: str, **arguments: Any) -> nn.Module:
    """Return a model of torchvision with random weights that finds different classes."""
    torch.manual_seed(3)
    model: nn.Module = get_model_builder(function)(weights=None, weights_backbone=None, **arguments)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # so that one batch sets the statistics, and features keep their variance
        if name.endswith(("cls_score", "cls_logits")) and isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.detach().mul_(20)  # so that scores differ by more than rounding
    if isinstance(model, MaskRCNN):
        model.roi_heads.box_predictor.cls_score.bias.detach()[list(UNUSED_IDS)] += 2  # so that some have no category
    with torch.no_grad():
        model.train().backbone(torch.randn(2, 3, 96, 160))
    return model.eval()


def make_key_frame(height: int = HEIGHT, width: int = WIDTH) -> KeyFrame:
    pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels.flags.writeable = False  # as frames of a video can be
    return KeyFrame(0, pixels)


@torch.inference_mode()
def run_torchvision(model: nn.Module, key_frame: KeyFrame) -> dict[str, NDArray[Any]]:
    """Run a model of torchvision as its documentation does."""
    image = torch.from_numpy(key_frame.pixels.astype(np.float32) / 255).permute(2, 0, 1)
    return {key: value.numpy() for key, value in model([image])[0].items()}


def select_used(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the detections of COCO's categories."""
    used = [category.id for category in coco_categories()]
    return {key: value[np.isin(found["labels"], used)] for key, value in found.items()}


def assert_agree(found: FoundBoxes, expected: dict[str, NDArray[Any]], detector: TorchvisionDetector) -> None:
    assert len(found.scores) == len(expected["scores"]) > 10
    np.testing.assert_allclose(found.boxes, expected["boxes"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    assert [detector.categories[label - 1].id for label in found.labels] == expected["labels"].tolist()
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)


def wrap(model: nn.Module) -> TorchvisionDetector:
    return TorchvisionDetector(model, ModelInfo("small", "0" * 64))


@ALL
def test_detections_are_torchvisions(facts: TorchvisionFacts) -> None:
    model = make_random_model(facts.function, **SMALL[facts.function])
    detector: BoxDetector = wrap(model)
    key_frame = make_key_frame()
    found = detector.detect(key_frame, mask_size=(HEIGHT, WIDTH))
    everything = run_torchvision(model, key_frame)
    expected = select_used(everything)
    assert_agree(found, expected, wrap(model))
    if facts.function in DROPPED:
        assert len(everything["labels"]) > len(expected["labels"])
    if facts.mask_ap is None:
        assert found.masks == (None,) * len(found.scores)
    else:
        np.testing.assert_allclose(np.stack(found.masks), expected["masks"][:, 0], atol=1e-4)
        assert np.stack(found.masks).max() > 0.4


def test_masks_have_the_given_size_and_boxes_the_key_frame() -> None:
    model = make_random_model("maskrcnn_resnet50_fpn_v2", **SMALL["maskrcnn_resnet50_fpn_v2"])
    outputs: list[Any] = []
    model.roi_heads.register_forward_hook(lambda _, inputs, output: outputs.append((output[0][0], inputs[2])))
    size = (2 * HEIGHT, 3 * WIDTH)
    found = wrap(model).detect(make_key_frame(), mask_size=size)
    (regions, input_sizes) = outputs[0]  # torchvision's masks of 28x28 pixels, and boxes at the input size
    pasted = model.transform.postprocess([regions], input_sizes, [size])[0]
    expected = select_used({key: value.numpy() for key, value in pasted.items()})
    assert len(found.masks) > 10
    np.testing.assert_array_equal(np.stack(found.masks), expected["masks"][:, 0])
    np.testing.assert_allclose(found.boxes * (3, 2, 3, 2), expected["boxes"], atol=1e-3)
    for mask, box in zip(found.masks, found.boxes, strict=True):
        assert mask is not None
        rows, columns = np.nonzero(mask)
        margin = 2 + (box[2:] - box[:2]) * (3, 2) / 28  # torchvision pads a mask, and rounds its box to pixels
        assert (np.abs((columns.min(), rows.min()) - box[:2] * (3, 2)) <= margin).all()
        assert (np.abs((columns.max(), rows.max()) - box[2:] * (3, 2)) <= margin).all()


@pytest.mark.parametrize("function", ["maskrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_a_picture_without_objects(function: str) -> None:
    threshold = {"score_thresh": 1.1} if function.startswith("fcos") else {"box_score_thresh": 1.1}
    model = make_random_model(function, **SMALL[function] | threshold)
    found = wrap(model).detect(make_key_frame(), mask_size=(24, 44))
    assert (found.boxes.shape, found.scores.shape, found.labels.shape, found.masks) == ((0, 4), (0,), (0,), ())


def test_autocast_does_not_change_the_result() -> None:
    detector, key_frame = wrap(make_random_model(SSDLITE.function)), make_key_frame()
    expected = detector.detect(key_frame, mask_size=(1, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = detector.detect(key_frame, mask_size=(1, 1))
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_picture_can_be_too_narrow() -> None:
    fcos = wrap(make_random_model("fcos_resnet50_fpn", **SMALL["fcos_resnet50_fpn"]))
    with pytest.raises(VisError, match=r"^small cannot read a frame of 400x2 pixels: it is too narrow\. Use another"):
        fcos.detect(make_key_frame(2, 400), mask_size=(1, 1))
    assert fcos.detect(make_key_frame(3, 400), mask_size=(1, 1)).boxes.shape[1] == 4
    ssdlite = wrap(make_random_model(SSDLITE.function))  # squeezes each key frame into a square
    assert len(ssdlite.detect(make_key_frame(1, 400), mask_size=(1, 1)).scores) > 0


def write_weights(cache: Path, facts: TorchvisionFacts) -> None:
    """Write random weights to torchvision's cache, as it would download them."""
    torch.save(make_random_model(facts.function).state_dict(), cache / facts.file.name)


def test_the_weights_file_becomes_torchvisions_model(cache: Path) -> None:
    write_weights(cache, SSDLITE)
    detector = load_torchvision_detector(SSDLITE.name)
    theirs = get_model_builder(SSDLITE.function)(weights="COCO_V1").eval()
    assert_agree(
        detector.detect(make_key_frame(), mask_size=(1, 1)),
        select_used(run_torchvision(theirs, make_key_frame())),
        detector,
    )
    assert detector.info == ModelInfo(SSDLITE.name, sha256_of(cache / SSDLITE.file.name))
    assert detector.categories == coco_categories()


@pytest.mark.slow
@ALL
def test_each_weights_file_becomes_torchvisions_model(facts: TorchvisionFacts, cache: Path) -> None:
    """Compare at torchvision's input size. Only the score threshold is lower than torchvision's."""
    write_weights(cache, facts)
    theirs = get_model_builder(facts.function)(weights="COCO_V1").eval()
    detector = load_torchvision_detector(facts.name)
    for model in (theirs, detector._model):
        getattr(model, "roi_heads", model).score_thresh = 0.0
    key_frame = make_key_frame(180, 320)
    found = detector.detect(key_frame, mask_size=(180, 320))
    expected = select_used(run_torchvision(theirs, key_frame))
    assert_agree(found, expected, detector)
    if facts.mask_ap is not None:
        np.testing.assert_allclose(np.stack(found.masks), expected["masks"][:, 0], atol=1e-4)


def test_identification_builds_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("no network is to be built")

    monkeypatch.setattr("vis_cli.zoo.detectors.torchvision_detector.get_model_builder", refuse)
    (cache / SSDLITE.file.name).write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert identify_torchvision_detector(SSDLITE.name) == ModelInfo(SSDLITE.name, digest)


def test_identification_fetches_missing_weights(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(url: str, path: str, *_: object, **__: object) -> None:
        assert url == SSDLITE.url
        torch.save({}, path)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    assert identify_torchvision_detector(SSDLITE.name).sha256 == sha256_of(cache / SSDLITE.file.name)
    captured = capsys.readouterr()
    assert captured.out == ""  # the results of `vis segment --json` are there
    assert SSDLITE.url in captured.err


@pytest.mark.parametrize("function", [load_torchvision_detector, identify_torchvision_detector])
def test_without_a_network_one_line_names_the_file_and_its_folder(
    function: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(VisError) as caught:
        function(SSDLITE.name)
    assert str(caught.value) == (
        f"cannot fetch {SSDLITE.url}: Name or service not known. Fetch it on another machine, and put it into {cache}."
    )


class Code:
    """An object that would create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_the_cached_file_is_not_run(cache: Path, tmp_path: Path) -> None:
    torch.save(Code(tmp_path / "run"), cache / SSDLITE.file.name)
    with pytest.raises(VisError, match=r"\.pth: it is damaged\. Delete it, then run the command again\.$"):
        load_torchvision_detector(SSDLITE.name)
    assert not (tmp_path / "run").exists()


def test_a_truncated_cached_file(cache: Path) -> None:
    write_weights(cache, SSDLITE)
    path = cache / SSDLITE.file.name
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(VisError, match=r"\.pth: it is damaged\. Delete it, then run the command again\.$"):
        load_torchvision_detector(SSDLITE.name)


@pytest.mark.parametrize("content", [{}, [1], {"x": 2}, {3: 4}, {"x": torch.zeros(1)}], ids=str)
def test_another_model_in_the_cached_file(content: object, cache: Path) -> None:
    torch.save(content, cache / SSDLITE.file.name)
    with pytest.raises(VisError, match=r"\.pth: it contains another model\. Delete it, then run the command again\.$"):
        load_torchvision_detector(SSDLITE.name)


@pytest.mark.parametrize("function", [load_torchvision_detector, identify_torchvision_detector])
def test_an_unknown_name(function: Any) -> None:
    with pytest.raises(VisError, match=r"^no detector is named torchvision:yolo\."):
        function("torchvision:yolo")
