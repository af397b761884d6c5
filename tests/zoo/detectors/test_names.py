"""Facts about torchvision's detectors agree with torchvision."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.models import get_model_weights

from tests.zoo.torchvision_factory import use_empty_cache
from vis_cli.errors import VisError
from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.torchvision_names import (
    COCO_V2_NAME,
    TORCHVISION_DETECTORS,
    TORCHVISION_PREFIX,
    TorchvisionFacts,
    is_torchvision_name,
    torchvision_facts,
)
from vis_cli.zoo.torchvision_weights import cached_file


@pytest.mark.parametrize("facts", TORCHVISION_DETECTORS, ids=lambda facts: facts.name)
def test_facts_are_torchvisions(facts: TorchvisionFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_empty_cache(tmp_path, monkeypatch)
    weights = get_model_weights(facts.function)["COCO_V1"]
    metrics = weights.meta["_metrics"]["COCO-val2017"]
    assert facts.url == weights.url
    assert facts.file == cached_file(weights)
    assert facts.num_parameters == weights.meta["num_params"]
    assert facts.mebibytes == round(weights.meta["_file_size"], 1)
    assert (facts.box_ap, facts.mask_ap) == (metrics["box_map"], metrics.get("mask_map"))
    rows = [(row, name) for row, name in enumerate(weights.meta["categories"]) if name not in ("__background__", "N/A")]
    assert rows == [(category.id, category.name) for category in coco_categories()]


def test_names_are_the_prefix_and_torchvisions_name() -> None:
    first, *others = TORCHVISION_DETECTORS
    assert (first.name, first.function) == (COCO_V2_NAME, "maskrcnn_resnet50_fpn_v2")
    assert [facts.name for facts in others] == [f"{TORCHVISION_PREFIX}{facts.function}" for facts in others]
    assert [torchvision_facts(facts.name) for facts in TORCHVISION_DETECTORS] == list(TORCHVISION_DETECTORS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coco-r50-v2", True),
        ("torchvision:unknown", True),
        ("coco-r50", False),
        ("lite", False),
        ("torchvision", False),
    ],
)
def test_the_prefix_selects_torchvision(name: str, expected: bool) -> None:
    assert is_torchvision_name(name) is expected


def test_an_unknown_name_gets_a_suggestion_and_the_list() -> None:
    names = ", ".join(facts.name for facts in TORCHVISION_DETECTORS)
    with pytest.raises(VisError) as caught:
        torchvision_facts("torchvision:fcos_resnet50")
    assert str(caught.value) == (
        "no detector is named torchvision:fcos_resnet50. "
        f"Did you mean torchvision:fcos_resnet50_fpn? Use one of: {names}."
    )
    with pytest.raises(VisError, match=r"^no detector is named x\. Use one of: coco-r50-v2, torchvision:retina"):
        torchvision_facts("x")
