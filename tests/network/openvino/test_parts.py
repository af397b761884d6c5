"""Each part in OpenVINO computes what the plain network computes; models are stored, and damaged ones made again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

if find_spec("openvino") is None:  # `importorskip` would import it before `load_package` prevents its telemetry
    pytest.skip("needs the extra openvino: pip install '.[openvino]'", allow_module_level=True)

from tests.network.factories import make_model
from vis_cli.engine.calibration_images import calibration_images
from vis_cli.errors import VisError
from vis_cli.network import openvino as backend
from vis_cli.network.accelerate import accelerate
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.openvino import OpenVinoOptions, use_openvino
from vis_cli.network.openvino import models as models_module
from vis_cli.network.openvino import store as store_module
from vis_cli.network.openvino.network import OpenVinoNetwork
from vis_cli.network.openvino.parts import DETECTOR_INPUTS, DETECTOR_LEVELS, FrameEncoder
from vis_cli.network.openvino.runtime import Part, convert, cpu_options, name_outputs, split
from vis_cli.network.openvino.store import SUFFIX, ModelStore
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import select_frames
from vis_cli.zoo.composition import DetectorAndPropagator

CPU = torch.device("cpu")
FLOAT32 = OpenVinoOptions(torch.float32)
ALL = frozenset({"memory", "decoder"})


class Told:
    """Messages that are kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Convert each network once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "cache_folder", lambda: folder)
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Store converted models in a new folder, and return it."""
    monkeypatch.setattr(store_module, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "openvino"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the conversions by the class of the part."""
    done: list[str] = []

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        done.append(type(module).__name__)
        return convert(module, inputs)

    monkeypatch.setattr(models_module, "convert", count)
    return done


@pytest.fixture(scope="module")
def plain(narrow_backbone: None) -> SeqMaskRCNN:
    return make_model().requires_grad_(False)


def with_openvino(plain: VideoNetwork, options: OpenVinoOptions = FLOAT32) -> Any:
    return use_openvino(plain, accelerate(plain, CPU), options)


def frames(num: int = 1, height: int = 90, width: int = 125) -> Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(3)) * 255


def outputs(network: VideoNetwork, num_objects: int) -> dict[str, Tensor]:
    """Return the outputs of all methods for a frame that is memorized twice."""
    generator = torch.Generator().manual_seed(4)
    features = network.encode_frames(frames())
    masks = torch.rand(num_objects, 90, 125, generator=generator)
    memory = MemoryBank(network.memorize(features, masks), MemoryRule())
    memory.write(network.memorize(features, 1.0 - masks))
    query = network.encode_query(features)
    found = network.detect(features, score_threshold=0.0, nms_iou=0.5, max_instances=3)
    return {
        **{f"p{level}": value for level, value in enumerate(features.pyramid, start=2)},
        **{"c2": features.c2, "c3": features.c3, "key": query.key, "value": query.value},
        **{"skip3": query.skip3, "skip2": query.skip2, "mem_key": memory.key, "mem_value": memory.value},
        **{"boxes": found.boxes, "mask_probs": found.mask_probs, "probs": network.propagate(query, [memory])[0]},
    }


@torch.inference_mode()
@pytest.mark.parametrize("num_objects", [0, 1, 3])
@pytest.mark.parametrize("parts", [ALL, frozenset()])
def test_each_part_computes_what_the_plain_network_computes(
    plain: SeqMaskRCNN, num_objects: int, parts: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "faster_parts", lambda precision: parts)
    expected, actual = outputs(plain, num_objects), outputs(with_openvino(plain), num_objects)
    assert num_objects == 0 or float(expected["probs"].std()) > 0.001
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-3, atol=1e-3, msg=lambda text, name=name: name + text)
        assert value.ndim != 4 or actual[name].is_contiguous(memory_format=torch.channels_last), name


@torch.inference_mode()
def test_frames_of_other_sizes_and_several_frames(plain: SeqMaskRCNN) -> None:
    network = with_openvino(plain)
    for num, height, width in ((2, 64, 96), (1, 33, 40), (3, 64, 64), (2, 32, 32), (1, 64, 96)):
        images = frames(num, height, width)
        expected, actual = plain.encode_frames(images), network.encode_frames(images)
        assert actual.image_size == (height, width)
        torch.testing.assert_close(actual.pyramid[0], expected.pyramid[0], rtol=1e-3, atol=1e-3)
        last = select_frames(actual, [num - 1])
        value = plain.encode_query(select_frames(expected, [num - 1])).value
        torch.testing.assert_close(network.encode_query(last).value, value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("detector_fpn", "levels", "lateral"), [(True, 6, 0), (False, 6, 3)])
def test_the_levels_of_the_detector_are_a_separate_model(detector_fpn: bool, levels: int, lateral: int) -> None:
    """A network with one FPN computes its lateral convolutions in both models."""
    model = name_outputs(
        convert(FrameEncoder(make_model(detector_fpn=detector_fpn)), (frames(1, 64, 96),)),
        DETECTOR_INPUTS,
        removed=("C4", "C5"),
    )
    first, second = split(model, DETECTOR_LEVELS, DETECTOR_INPUTS.values())
    assert (len(model.outputs), len(first.outputs), len(second.outputs)) == (11, 9, 4)
    assert num_convolutions(second) == levels
    assert num_convolutions(first) == num_convolutions(model) - levels + lateral
    assert [parameter.partial_shape[1].get_length() for parameter in second.inputs] == [8, 8, 8]
    whole, encoder = (Part(some, precision=torch.float32, inputs=[torch.float32]) for some in (model, first))
    expected, (p2, _, c3, *_, c4, c5) = whole(frames()), encoder(frames())
    found = Part(second, precision=torch.float32, inputs=[torch.float32] * 3)(c3, c4, c5)
    for actual, level in zip((p2, *found), expected[:5], strict=True):
        assert torch.equal(actual, level)


def num_convolutions(model: Any) -> int:
    return sum(operation.get_type_name() == "Convolution" for operation in model.get_ops())


@torch.inference_mode()
@pytest.mark.parametrize("detector_fpn", [False, True])
def test_frames_for_propagation_equal_the_others(detector_fpn: bool) -> None:
    network = with_openvino(make_model(detector_fpn=detector_fpn).requires_grad_(False))
    complete, alone = network.encode_frames(frames(2)), network.encode_for_propagation(frames(2))
    assert (len(complete.pyramid), len(alone.pyramid), alone.image_size) == (5, 1, (90, 125))
    for one, other in zip(
        (*alone.tensors, *network.encode_query(alone).tensors),
        (*complete.for_propagation().tensors, *network.encode_query(complete).tensors),
        strict=True,
    ):
        assert torch.equal(one, other)


@torch.inference_mode()
def test_bfloat16_inputs_and_outputs(plain: SeqMaskRCNN) -> None:
    """OpenVINO rounds inputs and outputs on each CPU, and the layers between them only where it is fast."""
    part = Part(convert(torch.nn.ReLU(), (frames(),)), precision=torch.bfloat16, inputs=[torch.bfloat16])
    images = frames() - 100.0
    (actual,) = part(images)
    assert actual.dtype == torch.bfloat16
    assert torch.equal(actual, images.bfloat16().relu())


@torch.inference_mode()
def test_a_composition_runs_both_networks_in_openvino(plain: SeqMaskRCNN) -> None:
    composed = DetectorAndPropagator(plain, make_model(value_channels=16)).eval()
    network = with_openvino(composed)
    assert [type(child) for child in network.children()] == [OpenVinoNetwork, OpenVinoNetwork]
    assert not any(
        isinstance(child, OpenVinoNetwork) for child in composed.children()
    )  # the plain network is unchanged
    features = network.encode_frames(frames())
    assert network.encode_query(features) is features.query
    expected = composed.encode_query(composed.encode_frames(frames()))
    torch.testing.assert_close(features.query.value, expected.value, rtol=1e-3, atol=1e-3)


def test_a_converted_model_is_read_from_the_cache(plain: SeqMaskRCNN, conversions: list[str], cache: Path) -> None:
    first = with_openvino(plain).encode_frames(frames())
    num = len(conversions)
    assert conversions == ["FrameEncoder"]  # in float32, torch computes the other parts faster
    again = with_openvino(plain).encode_frames(frames())
    assert len(conversions) == num
    assert torch.equal(again.pyramid[0], first.pyramid[0])
    assert len(list(cache.iterdir())) == num
    other = make_model().requires_grad_(False)
    next(other.parameters()).data += 0.1
    with_openvino(other)  # other weights
    assert len(conversions) == 2 * num


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "folder"])
def test_a_damaged_file_is_made_again(
    plain: SeqMaskRCNN, conversions: list[str], cache: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with_openvino(plain)
    num, path = len(conversions), next(iter(cache.glob(f"*encoder{SUFFIX}")))
    data = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": data[:-1], "flipped": data[:-9] + b"\xff" + data[-8:], "empty": b""}[damage])
    with_openvino(plain).encode_frames(frames())
    assert conversions[num:] == ["FrameEncoder"]
    if damage != "folder":
        with_openvino(plain)
        assert conversions[num:] == ["FrameEncoder"]  # the file is complete again
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_costs_time_only(
    plain: SeqMaskRCNN, conversions: list[str], cache: Path
) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    check_not_stored(plain, conversions)


def test_a_file_in_place_of_the_cache_folder_costs_time_only(
    plain: SeqMaskRCNN, conversions: list[str], cache: Path
) -> None:
    cache.parent.write_text("a file")
    check_not_stored(plain, conversions)


def check_not_stored(plain: SeqMaskRCNN, conversions: list[str]) -> None:
    told = Told()
    for number in (1, 2):
        network = with_openvino(plain, OpenVinoOptions(torch.float32, messages=told))
        assert network.encode_frames(frames()).pyramid[0].isfinite().all()
        assert conversions.count("FrameEncoder") == number
    assert told.warnings
    assert all("cannot write" in text and "converts it again" in text for text in told.warnings)


def test_without_a_home_folder_nothing_is_stored(plain: SeqMaskRCNN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "cache_folder", lambda: None)
    assert with_openvino(plain).encode_frames(frames()).pyramid[0].isfinite().all()


def test_the_store_keeps_the_models_that_were_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_FILES", 2)
    store, model = ModelStore(tmp_path, Told()), convert(torch.nn.ReLU(), (frames(),))
    for age, name in ((30, "a"), (20, "b")):
        store.add(name, model)
        os.utime(tmp_path / f"{name}{SUFFIX}", (1e9 - age, 1e9 - age))
    assert store.load("a") is not None  # now it is younger than b
    store.add("c", model)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{SUFFIX}", f"c{SUFFIX}"]


def test_as_many_threads_as_torch() -> None:
    options = cpu_options(torch.float32)
    core = sys.modules["openvino"].Core()
    model = convert(torch.nn.ReLU(), (frames(),))
    model.reshape([1, 3, 64, 64])
    compiled = core.compile_model(model, "CPU", options)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == torch.get_num_threads()
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("NUM_STREAMS") == 1


def test_nothing_is_sent_to_the_authors_of_openvino() -> None:
    assert sys.modules["openvino_telemetry"] is None
    with pytest.raises(ImportError):
        __import__("openvino_telemetry")


def test_bfloat16_runs_all_parts_in_openvino_and_float32_the_frame_encoder() -> None:
    assert backend.faster_parts(torch.bfloat16) == ALL
    assert backend.faster_parts(torch.float32) == frozenset()


@pytest.fixture
def few_images() -> Callable[[object], Iterator[Tensor]]:
    return lambda config: (frames(1, 64, 96) * brightness for brightness in (0.5, 1.0))


@torch.inference_mode()
def test_int8(
    plain: SeqMaskRCNN, few_images: Any, conversions: list[str], cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = Told()
    options = OpenVinoOptions(torch.float32, few_images, told)
    expected, actual = (
        plain.encode_frames(frames(1, 64, 96)),
        with_openvino(plain, options).encode_frames(frames(1, 64, 96)),
    )
    error = float((actual.pyramid[0] - expected.pyramid[0]).norm() / expected.pyramid[0].norm())
    assert 1e-4 < error < 0.2
    assert [text.partition(" the network")[0] for text in told.notes] == ["quantizing", "converting"]
    assert capfd.readouterr().out == ""
    num = len(conversions)
    stored = with_openvino(plain, OpenVinoOptions(torch.float32, no_images, told))
    again, alone = (encode(frames(1, 64, 96)) for encode in (stored.encode_frames, stored.encode_for_propagation))
    assert (len(again.pyramid), len(alone.pyramid)) == (5, 1)
    assert torch.equal(again.pyramid[0], actual.pyramid[0])
    assert torch.equal(alone.pyramid[0], actual.pyramid[0])
    assert torch.equal(stored.encode_query(alone).key, stored.encode_query(actual).key)
    assert (len(told.notes), len(conversions)) == (2, num)
    both = with_openvino(plain).encode_frames(frames(1, 64, 96))  # the encoder without int8 has its own file
    torch.testing.assert_close(both.pyramid[0], expected.pyramid[0], rtol=1e-3, atol=1e-3)


def no_images(config: object) -> Iterator[Tensor]:
    raise AssertionError("the quantized network is in the cache")


def test_int8_without_nncf_is_a_users_mistake(
    plain: SeqMaskRCNN, few_images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    version = metadata.version

    def find(name: str) -> str:
        if name == "nncf":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", find)
    with pytest.raises(
        VisError, match=r"the package nncf is not installed\. Install it: pip install 'vis-cli\[openvino\]'"
    ):
        with_openvino(plain, OpenVinoOptions(torch.float32, few_images))


def test_the_calibration_images_are_frames_of_both_sample_videos(plain: SeqMaskRCNN) -> None:
    images = list(calibration_images(plain.config))
    assert len(images) == 100
    assert {tuple(image.shape) for image in images} == {(1, 3, 54, 96)}
    assert len({image.sum().item() for image in images}) > 90
