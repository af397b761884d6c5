"""Parity of the Seq-Prop head with the released implementation, on weights seeded by key (tests/golden)."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.golden.recipe import seeded_tensor
from vis_cli.network.aggregation import aggregate_logits, soft_aggregate
from vis_cli.network.losses import soft_iou_loss
from vis_cli.network.seq_prop_head import SeqPropHead

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4

RELEASED_PREFIXES = {  # our module -> the released key below "prop_head."
    "mask_conv": "enc_pos",
    "memory_encoder.block1": "enc_fuse.0",
    "memory_encoder.block2": "enc_fuse.1",
    "memory_encoder.key": "atn_key",
    "memory_encoder.value": "atn_value",
    "query_encoder.block1": "qry_fuse.0",
    "query_encoder.block2": "qry_fuse.1",
    "query_encoder.key": "qry_atn_key",
    "query_encoder.value": "qry_atn_value",
    "conv_merge": "convFM",
    "res_merge": "ResMM",
    "refine3.conv_skip": "RF3.convFS",
    "refine3.res_skip": "RF3.ResFS",
    "refine3.res_merge": "RF3.ResMM",
    "refine2.conv_skip": "RF2.convFS",
    "refine2.res_skip": "RF2.ResFS",
    "refine2.res_merge": "RF2.ResMM",
    "predict": "pred2",
}


def released_key(name: str) -> str:
    prefix = next(p for p in RELEASED_PREFIXES if name.startswith(p + "."))
    return f"prop_head.{RELEASED_PREFIXES[prefix]}{name[len(prefix) :]}"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "prop_head.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


@pytest.fixture(scope="module")
def head() -> SeqPropHead:
    module = SeqPropHead(
        fpn_channels=256,
        c2_channels=256,
        c3_channels=512,
        encoder_channels=512,
        key_channels=64,
        value_channels=256,
        decoder_channels=256,
    )
    seeded = {n: torch.from_numpy(seeded_tensor(released_key(n), tuple(p.shape))) for n, p in module.named_parameters()}
    module.load_state_dict(seeded)
    return module


def in_float64(head: SeqPropHead, golden: dict[str, Tensor]) -> tuple[SeqPropHead, dict[str, Tensor]]:
    return copy.deepcopy(head).double(), {k: v.double() if v.is_floating_point() else v for k, v in golden.items()}


def memory(head: SeqPropHead, golden: dict[str, Tensor], frames: int) -> tuple[Tensor, Tensor]:
    entries = [head.memorize(golden[f"in.P2_mem{i}"], golden[f"in.masks_mem{i}"]) for i in range(frames)]
    return torch.stack([k for k, _ in entries], dim=2), torch.stack([v for _, v in entries], dim=2)


def segment(head: SeqPropHead, golden: dict[str, Tensor], key: Tensor, value: Tensor) -> Tensor:
    query = head.encode_query(golden["in.P2_query"])
    skips = head.encode_skips(golden["in.C3"], golden["in.C2"])
    return head.decode(query[1], skips, head.read(query[0], key, value))


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected.float(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_memorize_equals_released(head: SeqPropHead, golden: dict[str, Tensor], frame: int) -> None:
    with torch.no_grad():
        key, value = head.memorize(golden[f"in.P2_mem{frame}"], golden[f"in.masks_mem{frame}"])
    assert_close(key, golden[f"out.key_mem{frame}"])
    assert_close(value, golden[f"out.value_mem{frame}"])


def test_query_equals_released(head: SeqPropHead, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        key, value = head.encode_query(golden["in.P2_query"])
    assert_close(key, golden["out.query_key"])
    assert_close(value, golden["out.query_value"])


@pytest.mark.parametrize("frames", [1, 3])
def test_segment_equals_released(head: SeqPropHead, golden: dict[str, Tensor], frames: int) -> None:
    with torch.no_grad():
        probs = segment(head, golden, *memory(head, golden, frames))
    assert_close(probs, golden[f"out.segment_T{frames}"][:, 0])


@pytest.mark.parametrize("frames", [1, 3])
def test_aggregation_equals_released(head: SeqPropHead, golden: dict[str, Tensor], frames: int) -> None:
    """In float64: aggregation enlarges the rounding of a probability tenfold, differently on each kind of CPU."""
    head, golden = in_float64(head, golden)
    with torch.no_grad():
        probs = segment(head, golden, *memory(head, golden, frames))
    assert_close(soft_aggregate(probs), golden[f"out.softmax_T{frames}"][0])


def test_segment_of_one_object_equals_released(head: SeqPropHead, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        key, value = memory(head, golden, 1)
        probs = segment(head, golden, key[:1], value[:1])
    assert_close(probs, golden["out.segment_T1_K1"][:, 0])


def test_saturated_aggregation_equals_released(golden: dict[str, Tensor]) -> None:
    probs = golden["in.softagg_sat"][:, 0]
    assert_close(aggregate_logits(probs), golden["out.softagg_sat_logits"][0])
    assert_close(soft_aggregate(probs), golden["out.softagg_sat_softmax"][0])


def test_loss_and_gradient_norms_equal_released(head: SeqPropHead, golden: dict[str, Tensor]) -> None:
    """In float64, where only the released side's rounding is left."""
    head, golden = in_float64(head, golden)
    aggregated = soft_aggregate(segment(head, golden, *memory(head, golden, 1)))
    rows = golden["in.loss_pids"] > 0
    chosen = aggregated[golden["in.loss_pids"][rows]]
    loss = soft_iou_loss(chosen, golden["in.loss_gt_masks"][rows]).mean()
    assert_close(loss.detach().float()[None], golden["out.loss_prop"])
    loss.backward()
    expected = json.loads((GOLDEN / "prop_head_grad_norms.json").read_text())
    norms = {released_key(n): float(p.grad.norm()) for n, p in head.named_parameters() if p.grad is not None}
    wanted = {k if k.startswith("prop_head.") else f"prop_head.{k}": v for k, v in expected.items()}
    assert norms == pytest.approx({k: wanted[k] for k in norms}, rel=TOLERANCE, abs=1e-7)  # the key bias has none
    assert set(norms) == set(wanted)
