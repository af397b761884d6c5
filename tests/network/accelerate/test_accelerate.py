"""The accelerated network computes what the plain one computes, and leaves the plain one as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.engine.fakes import FakeNetwork
from tests.network.factories import make_model
from vis_cli.network.accelerate import accelerate, prop_head
from vis_cli.network.accelerate.prop_head import AcceleratedSeqPropHead
from vis_cli.network.accelerate.winograd import FEWEST_CHANNELS, WinogradConv3x3
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.seq_prop_head import SeqPropHead

CPU = torch.device("cpu")
WIDE = {"fpn_channels": FEWEST_CHANNELS, "decoder_channels": FEWEST_CHANNELS}


def frame(height: int = 90, width: int = 125) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(3)) * 255


def make_masks(num: int, height: int = 90, width: int = 125) -> Tensor:
    return torch.rand(num, height, width, generator=torch.Generator().manual_seed(4))


def make_head(**changes: int) -> SeqPropHead:
    torch.manual_seed(1)
    widths = {"encoder_channels": 8, "key_channels": 4, "value_channels": 8, "decoder_channels": 8} | changes
    return SeqPropHead(fpn_channels=8, c2_channels=6, c3_channels=6, **widths).eval().requires_grad_(False)


def run(network: VideoNetwork, num_objects: int) -> dict[str, Tensor]:
    """Return the outputs of all verbs on a frame, which is memorized twice."""
    features = network.encode_frames(frame())
    found = network.detect(features, score_threshold=0.0, nms_iou=0.5, max_instances=3)
    memory = MemoryBank(network.memorize(features, make_masks(num_objects)), MemoryRule())
    memory.write(network.memorize(features, 1.0 - make_masks(num_objects)))
    query = network.encode_query(features)
    return {
        "p2": features.pyramid[0],
        "p6": features.pyramid[-1],
        "p2 for propagation": network.encode_for_propagation(frame()).pyramid[0],
        "boxes": found.boxes,
        "detected": found.mask_probs,
        "classes": network.class_probs(features, found.boxes),
        "memory key": memory.key,
        "memory value": memory.value,
        "query key": query.key,
        "query value": query.value,
        "skips": query.skip2,
        "probs": network.propagate(query, [memory])[0],
    }


@torch.inference_mode()
@pytest.mark.parametrize("num_objects", [0, 1, 3])
@pytest.mark.parametrize("changes", [{}, WIDE, {"detector_fpn": True, **WIDE}, {"backbone": "r50"}])
def test_every_verb_computes_what_the_plain_network_computes(changes: dict[str, object], num_objects: int) -> None:
    plain = make_model(**changes)
    expected, actual = run(plain, num_objects), run(accelerate(plain, CPU), num_objects)
    assert num_objects == 0 or float(expected["probs"].std()) > 0.001
    for name, value in expected.items():
        largest = float(value.abs().max()) if value.numel() else 0.0
        within = {"rtol": 0.0, "atol": 1e-5 * max(largest, 1.0)}  # rounding is proportional to the largest output
        torch.testing.assert_close(actual[name], value, **within, msg=lambda text, name=name: name + text)


@torch.inference_mode()
@pytest.mark.parametrize("decoder_channels", [8, FEWEST_CHANNELS])
def test_in_float64_the_differences_of_the_head_vanish(decoder_channels: int) -> None:
    plain = make_head(decoder_channels=decoder_channels).double()
    quick = AcceleratedSeqPropHead(copy.deepcopy(plain))
    generator = torch.Generator().manual_seed(6)
    p2, c2, c3 = (
        torch.randn(1, *size, generator=generator).double() for size in ((8, 32, 48), (6, 32, 48), (6, 16, 24))
    )
    entries = [head.memorize(p2, make_masks(3, 128, 192)) for head in (plain, quick)]
    for expected, actual in zip(*entries, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    probs = []
    for head, (key, value) in zip((plain, quick), entries, strict=True):
        query_key, query_value = head.encode_query(p2)
        readout = head.read(query_key, key[:, :, None], value[:, :, None])
        probs.append(head.decode(query_value, head.encode_skips(c3, c2), readout))
    torch.testing.assert_close(probs[1], probs[0], rtol=0, atol=1e-6)  # logits are float32


@torch.inference_mode()
def test_bfloat16_stays_as_close_as_the_plain_network() -> None:
    plain = make_model(**WIDE)
    exact = run(plain, 3)["probs"]
    with torch.autocast("cpu", torch.bfloat16):
        rough, quick = run(plain, 3)["probs"], run(accelerate(plain, CPU), 3)["probs"]
    assert float((quick - exact).abs().max()) < 2 * float((rough - exact).abs().max())


@torch.inference_mode()
def test_wide_layers_are_replaced_and_use_winograd() -> None:
    quick = accelerate(make_model(**WIDE), CPU)
    assert isinstance(quick, SeqMaskRCNN)
    run(quick, 3)
    wide = {name for name, module in quick.named_modules() if getattr(module, "_transformed", None) is not None}
    assert {"fpn.layer_blocks.0.0", "prop_head.plain.refine2.res_merge.conv2"} <= wide
    assert "prop_head.conv_merge" not in wide  # its output is wide, its input is not


def test_the_plain_network_keeps_its_layers_and_shares_its_weights() -> None:
    plain = make_model()
    keys = list(plain.state_dict())
    kinds = [type(module) for module in plain.modules()]
    quick = accelerate(plain, CPU)
    assert isinstance(quick, nn.Module)
    assert not quick.training
    assert list(plain.state_dict()) == keys
    assert [type(module) for module in plain.modules()] == kinds
    assert not any(isinstance(module, (WinogradConv3x3, AcceleratedSeqPropHead)) for module in plain.modules())
    shared, weights = ({id(weight) for weight in network.parameters()} for network in (quick, plain))
    folded = {id(weight) for weight in plain.backbone.parameters()}  # with their norms, in new weights
    assert shared == weights - folded


def test_networks_inside_others_are_accelerated() -> None:
    quick = accelerate(ClassAgnostic(make_model()), CPU)
    assert isinstance(quick, ClassAgnostic)
    assert any(isinstance(module, AcceleratedSeqPropHead) for module in quick.modules())


def test_a_network_without_such_layers_is_returned_as_it_is() -> None:
    network = FakeNetwork()
    assert accelerate(network, CPU) is network


@torch.inference_mode()
@pytest.mark.parametrize("size", [(8, 12), (2, 2), (7, 12), (8, 11)])  # odd ones pad the last row or column, too
def test_objects_of_one_frame_are_memorized_as_each_alone(size: tuple[int, int]) -> None:
    plain = make_head()
    quick = AcceleratedSeqPropHead(copy.deepcopy(plain))
    p2, masks = torch.randn(1, 8, *size), torch.rand(3, 4 * size[0], 4 * size[1])
    alone = [plain.memorize(p2, mask[None]) for mask in masks]
    for together in (plain.memorize(p2, masks), quick.memorize(p2, masks)):
        for part in range(2):
            expected = torch.cat([each[part] for each in alone])
            torch.testing.assert_close(together[part], expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_masks_larger_than_the_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="exceed the frame"):
        AcceleratedSeqPropHead(make_head()).memorize(torch.zeros(1, 8, 8, 8), torch.zeros(1, 33, 32))


@torch.inference_mode()
def test_the_last_convolution_is_the_softmax_of_two_classes() -> None:
    plain = make_head()
    skips, value, readout = (
        (torch.randn(1, 8, 8, 10), torch.randn(1, 8, 16, 20)),
        *torch.randn(4, 8, 4, 5).split([1, 3]),
    )
    expected = plain.decode(value, skips, readout)
    assert expected.std() > 0.01
    actual = AcceleratedSeqPropHead(copy.deepcopy(plain)).decode(value, skips, readout)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("at_once", [1, 2])
def test_objects_decoded_in_groups_are_those_decoded_together(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = accelerate(make_model(), CPU)
    features = network.encode_frames(frame())
    query, memory = network.encode_query(features), MemoryBank(network.memorize(features, make_masks(3)), MemoryRule())
    together = network.propagate(query, [memory])[0]
    decoded = []
    refine2 = network.prop_head.plain.refine2  # type: ignore[attr-defined]
    bytes_per_object = query.skip2.numel() * query.skip2.element_size()
    monkeypatch.setattr(prop_head, "DECODED_BUDGET_BYTES", at_once * bytes_per_object + 1)
    refine2.register_forward_hook(lambda _module, _args, output: decoded.append(len(output)))
    in_groups = network.propagate(query, [memory])[0]
    assert decoded == [at_once, *([1] * (3 - at_once))]
    torch.testing.assert_close(in_groups, together, rtol=1e-4, atol=1e-5)
