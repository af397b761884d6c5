"""Two models as one: the first finds and names, the second follows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import Category, KeyFrame, ModelInfo
from vis_cli.zoo.composition import DetectorAndPropagator, identify_network, load_network, needed_detector
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks, place
from vis_cli.zoo.detectors.lookup import load_box_detector
from vis_cli.zoo.detectors.picodet_detector import PicoDetDetector
from vis_cli.zoo.detectors.protocol import FoundBoxes
from vis_cli.zoo.weights import LoadedModel, save_model

pytestmark = pytest.mark.usefixtures("narrow_backbone")
BIRDS = (Category(5, "owl"), Category(9, "duck"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    save_model(tmp_path / "birds", make_model(categories=BIRDS, fpn_channels=8, pixel_mean=(100.0, 110.0, 120.0)), {})
    save_model(tmp_path / "follower", make_model(), {})
    return str(tmp_path / "birds"), str(tmp_path / "follower")


def load_two(detector: str, propagator: str) -> LoadedModel:
    return load_network("nosuch", detector=detector, propagator=propagator)


@torch.inference_mode()
def test_each_verb_is_that_of_its_model(folders: tuple[str, str]) -> None:
    detector, propagator = (load_network(folder).model for folder in folders)
    both = load_two(*folders).model
    assert isinstance(both, DetectorAndPropagator)
    assert not both.training
    assert both.config == detector.config
    image = torch.rand(1, 3, 50, 75, generator=torch.Generator().manual_seed(3)) * 255
    features, seen, followed = both.encode_frames(image), detector.encode_frames(image), propagator.encode_frames(image)
    assert len(features.tensors) == len(seen.tensors) + len(followed.for_propagation().tensors)
    for alone in (features.for_propagation(), both.encode_for_propagation(image)):  # nothing of the detector
        assert len(alone.tensors) == 3
        assert all(map(torch.equal, alone.tensors, followed.for_propagation().tensors))
    smaller = features.without_backbone()  # of both networks
    pyramids = (*features.pyramid, *features.seen.pyramid)
    assert sum(tensor.nbytes for tensor in smaller.tensors) == sum(level.nbytes for level in pyramids)
    found, expected = (
        network.detect(frame, score_threshold=0.0, nms_iou=0.5, max_instances=3)
        for network, frame in ((both, smaller), (detector, seen))
    )
    torch.testing.assert_close(found.boxes, expected.boxes)
    torch.testing.assert_close(found.mask_probs, expected.mask_probs)
    boxes = torch.tensor([[2.0, 3.0, 40.0, 30.0]])
    assert both.class_probs(features, boxes).shape == (1, 3)  # background, owl, duck
    torch.testing.assert_close(both.class_probs(features, boxes), detector.class_probs(seen, boxes))
    masks = torch.zeros(2, 50, 75)
    masks[0, 5:20, 5:20], masks[1, 25:45, 40:70] = 1.0, 1.0
    probs = [
        network.propagate(network.encode_query(frame), [MemoryBank(network.memorize(frame, masks), MemoryRule())])[0]
        for network, frame in ((both, features), (propagator, followed))
    ]
    torch.testing.assert_close(*probs)


def test_a_composition_names_both_and_its_hash_depends_on_both(folders: tuple[str, str]) -> None:
    forth, back = load_two(*folders).info, load_two(*reversed(folders)).info
    assert (forth.name, back.name) == ("birds+follower", "follower+birds")
    assert len(forth.sha256) == 64
    assert forth.sha256 != back.sha256


def test_one_name_for_both_is_that_model(folders: tuple[str, str]) -> None:
    assert load_two(folders[0], folders[0]).info.name == "birds"


def test_features_of_another_network_are_refused(folders: tuple[str, str]) -> None:
    both = load_two(*folders).model
    plain = load_network(folders[0]).model.encode_frames(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="not encoded by a composed network"):
        both.class_probs(plain, torch.zeros(1, 4))


@pytest.mark.parametrize("missing", [0, 1])
def test_an_unknown_half_is_named(missing: int, folders: tuple[str, str]) -> None:
    names = [*folders]
    names[missing] = "nosuch"
    with pytest.raises(VisError, match="no model is named nosuch"):
        load_two(*names)


def test_coco_follows_nothing(folders: tuple[str, str]) -> None:
    for detector in (None, folders[0], "coco-r50"):
        with pytest.raises(VisError, match=r"^cannot propagate with coco-r50: it only detects\. Use --propagator lite"):
            load_network(folders[0], detector=detector, propagator="coco-r50")


def test_what_another_finds_coco_lets_its_own_follower_follow(
    folders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vis_cli.zoo.composition.FOLLOWER", folders[1])
    assert load_network("coco-r50", detector=folders[0]).info.name == "birds+follower"


class OwlFinder:
    """A detector of boxes that sees one owl."""

    reads_video = True
    calibration = (2.0, -1.0)
    categories = BIRDS
    info = ModelInfo("owls", "ab" * 32)

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        height, width = key_frame.pixels.shape[:2]
        box = [[0.25 * width, 0.5 * height, 0.75 * width, 1.0 * height]]
        return FoundBoxes(np.array(box, np.float32), np.array([0.7], np.float32), np.array([1]), (None,))


@pytest.fixture
def owls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace all detectors of boxes by `OwlFinder`."""
    lookup = "vis_cli.zoo.composition.load_box_detector"
    monkeypatch.setattr(lookup, lambda name, device: LoadedModel(OwlFinder(), OwlFinder.info))
    monkeypatch.setattr("vis_cli.zoo.composition.identify_box_detector", lambda name: OwlFinder.info)


DETECTORS = ["owls.onnx", "picodet-s", "some/OWLS.ONNX", "coco-r50-v2", "torchvision:fcos_resnet50_fpn"]


@pytest.mark.usefixtures("owls")
@pytest.mark.parametrize("detector", DETECTORS)
def test_the_boxes_of_a_detector_get_the_masks_of_the_model(detector: str, folders: tuple[str, str]) -> None:
    loaded = load_network(folders[1], detector=detector)
    assert isinstance(loaded.model, BoxesAndMasks)
    assert loaded.info.name == "owls+follower"
    network = place(loaded.model, torch.device("cpu"))
    assert network.config.categories == BIRDS
    assert network.config.calibration == OwlFinder.calibration
    assert network.reads_video
    features = network.encode_frames(torch.rand(1, 3, 40, 80) * 255)
    key_frame = KeyFrame(0, np.zeros((80, 160, 3), np.uint8))
    found = network.detect(
        dataclasses.replace(features, key_frame=key_frame), score_threshold=0.5, nms_iou=0.5, max_instances=9
    )
    torch.testing.assert_close(found.boxes, torch.tensor([[20.0, 20.0, 60.0, 40.0]]))
    assert found.labels.tolist() == [1]
    torch.testing.assert_close(found.class_probs, torch.tensor([[0.3, 0.7, 0.0]]))
    torch.testing.assert_close(found.mask_probs, network.box_masks(features, found.boxes))
    assert found.mask_probs.shape == (1, 40, 80)


def test_a_model_can_name_its_detector(tmp_path: Path) -> None:
    model = make_model()
    model.config = dataclasses.replace(model.config, detector="picodet-s")
    save_model(tmp_path / "finder", model, {})
    name = str(tmp_path / "finder")
    loaded = load_network(name)
    assert isinstance(loaded.model, BoxesAndMasks)
    assert loaded.info.name == "picodet-s+finder"
    assert loaded.info == load_network(name, detector="picodet-s").info == identify_network(name).info
    assert not identify_network(name).classifies_boxes
    assert not loaded.model.reads_video
    own = load_network(name, detector=name)
    assert isinstance(own.model, SeqMaskRCNN)
    assert own.info == identify_network(name, detector=name).info


ANIMALS = (Category(7, "otter"), Category(8, "duck"), Category(9, "object"), Category(10, "owl"))


@pytest.mark.parametrize(
    ("own", "probability", "name"),
    [
        ("otter", 0.55, "otter"),  # a category that only the network has
        ("otter", 0.45, "owl"),  # not likely
        ("duck", 0.95, "duck"),
        ("duck", 0.85, "owl"),  # likely, but not certain
        ("object", 0.99, "owl"),  # this says nothing
        ("owl", 0.99, "owl"),
    ],
)
def test_the_model_corrects_categories_of_which_it_is_certain(
    own: str, probability: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_model(categories=ANIMALS)
    column = [category.name for category in ANIMALS].index(own) + 1
    probs = torch.full((1, len(ANIMALS) + 1), (1 - probability) / len(ANIMALS))
    probs[0, column] = probability
    monkeypatch.setattr(SeqMaskRCNN, "class_probs", lambda self, features, boxes: probs)
    both = place(BoxesAndMasks(OwlFinder(), network, second_opinion=True), torch.device("cpu"))
    assert both.config.categories == (*BIRDS, Category(10, "otter"))
    features = network.encode_frames(torch.rand(1, 3, 40, 80) * 255)
    features = dataclasses.replace(features, key_frame=KeyFrame(0, np.zeros((80, 160, 3), np.uint8)))
    found = both.detect(features, score_threshold=0.5, nms_iou=0.5, max_instances=9)
    label = [category.name for category in both.config.categories].index(name) + 1
    assert found.labels.tolist() == [label]
    assert found.class_probs[0, [0, label]].tolist() == pytest.approx([0.3, 0.7])  # the score of the detector
    assert found.class_probs.shape == (1, 4)
    alone = BoxesAndMasks(OwlFinder(), network).detect(features, score_threshold=0.5, nms_iou=0.5, max_instances=9)
    assert alone.labels.tolist() == [1]


def test_two_categories_of_one_object_become_one_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    class OwlOrDuckFinder(OwlFinder):
        def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
            boxes = np.array([[40, 40, 120, 80], [40, 44, 120, 80]], np.float32)
            return FoundBoxes(boxes, np.array([0.6, 0.7], np.float32), np.array([1, 2]), (None, None))

    network = make_model(categories=ANIMALS)
    probs = torch.tensor([[0.0, 0.8, 0.2, 0.0, 0.0]]).repeat(2, 1)  # otter
    monkeypatch.setattr(SeqMaskRCNN, "class_probs", lambda self, features, boxes: probs[: len(boxes)])
    features = network.encode_frames(torch.rand(1, 3, 40, 80) * 255)
    features = dataclasses.replace(features, key_frame=KeyFrame(0, np.zeros((80, 160, 3), np.uint8)))
    limits = {"score_threshold": 0.5, "nms_iou": 0.5, "max_instances": 9}
    alone = BoxesAndMasks(OwlOrDuckFinder(), network).detect(features, **limits)
    assert alone.labels.tolist() == [2, 1]
    both = BoxesAndMasks(OwlOrDuckFinder(), network, second_opinion=True).detect(features, **limits)
    assert both.labels.tolist() == [3]
    assert both.scores.tolist() == pytest.approx([0.7])
    assert both.mask_probs.shape == (1, 40, 80)


def test_no_box_needs_no_second_opinion() -> None:
    network = make_model(categories=ANIMALS)
    both = BoxesAndMasks(OwlFinder(), network, second_opinion=True)
    features = network.encode_frames(torch.rand(1, 3, 40, 80) * 255)
    features = dataclasses.replace(features, key_frame=KeyFrame(0, np.zeros((80, 160, 3), np.uint8)))
    assert len(both.detect(features, score_threshold=0.9, nms_iou=0.5, max_instances=9).labels) == 0


@pytest.mark.parametrize("detector", ["yolo", "", "coco-r50", "a.onnx", "\x1b[31m"])
def test_a_detector_that_is_not_included_is_an_error(tmp_path: Path, detector: str) -> None:
    model = make_model()
    model.config = dataclasses.replace(model.config, detector=detector)
    save_model(tmp_path / "finder", model, {})
    for use in (load_network, identify_network):
        with pytest.raises(VisError, match="which is not included") as error:
            use(str(tmp_path / "finder"))
        assert "\x1b" not in str(error.value)


@pytest.mark.usefixtures("owls")
@pytest.mark.parametrize("detector", DETECTORS)
def test_a_detector_as_the_model_uses_the_follower(
    detector: str, folders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vis_cli.zoo.composition.FOLLOWER", folders[1])
    assert load_network(detector).info.name == "owls+follower"
    identity = identify_network(detector)
    assert identity.info == load_network(detector).info
    assert not identity.classifies_boxes
    assert identify_network(folders[0]).classifies_boxes


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_detector_of_boxes_cannot_propagate(detector: str, folders: tuple[str, str]) -> None:
    with pytest.raises(VisError, match="it only detects"):
        load_network(folders[0], propagator=detector)


@pytest.mark.usefixtures("owls")
def test_a_detector_of_boxes_needs_a_picture(folders: tuple[str, str]) -> None:
    network = load_network(folders[1], detector="owls.onnx").model
    features = network.encode_frames(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="needs the key frame"):
        network.detect(features, score_threshold=0.5, nms_iou=0.5, max_instances=9)
    with pytest.raises(ValueError, match="cannot classify a given box"):
        network.class_probs(features, torch.zeros(1, 4))


def test_the_included_detector_is_on_the_device_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    detector = load_box_detector("picodet-s").model  # on the CPU: the device is not known yet
    monkeypatch.setattr("vis_cli.zoo.detectors.boxes_and_masks._faster", lambda network, device, openvino: network)
    assert isinstance(detector, PicoDetDetector)
    both = BoxesAndMasks(detector, make_model())
    placed = place(both, torch.device("meta"))
    assert isinstance(placed, BoxesAndMasks)
    assert isinstance(placed.detector, PicoDetDetector)
    assert devices(placed.detector) == {"meta"}
    assert (placed.detector.info, placed.detector.calibration) == (detector.info, detector.calibration)
    assert devices(detector) == {"cpu"}  # it can be placed again
    assert both.on_device(torch.device("cpu")).detector is detector


def devices(detector: PicoDetDetector) -> set[str]:
    return {tensor.device.type for tensor in (*detector._model.parameters(), *detector._model.buffers())}


def test_a_detector_with_a_mask_head_is_needed_for_given_boxes(folders: tuple[str, str]) -> None:
    """Its mask head predicts the masks of given boxes. A detector of boxes has none."""
    assert needed_detector("coco-r50") is None
    assert needed_detector(folders[0]) is needed_detector(*folders) is None
    assert needed_detector("picodet-s") == needed_detector("lite") == "lite"
    assert needed_detector("lite", "other") == needed_detector("picodet-s", "other") == "other"
