"""torchvision's weights: the same numbers under our names, and one line where they cannot be had."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from tests.zoo.torchvision_factory import COCO_FILE, use_empty_cache, write_coco
from vis_cli.errors import VisError
from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.composition import load_coco_detector
from vis_cli.zoo.torchvision_weights import fetch_coco_r50, select_classes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_empty_cache(tmp_path, monkeypatch)


@torch.inference_mode()
def test_the_detector_computes_what_torchvisions_own_does(cache: Path) -> None:
    theirs = write_coco(cache)
    loaded = load_coco_detector()
    ours = loaded.model
    assert (loaded.info.name, len(loaded.info.sha256), len(ours.config.categories)) == ("coco-r50", 64, 80)
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    features = ours.encode_frames(image * 255)
    normalised = (image - torch.tensor(theirs.transform.image_mean)[:, None, None]) / torch.tensor(
        theirs.transform.image_std
    )[:, None, None]
    expected = theirs.backbone(normalised)
    for level, wanted in zip(features.pyramid, expected.values(), strict=True):
        torch.testing.assert_close(level, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    levels = dict(zip(expected, features.pyramid, strict=True))
    torch.testing.assert_close(ours.detector.rpn.head([*levels.values()]), theirs.rpn.head([*levels.values()]))
    boxes, rows = torch.tensor([[3.0, 4.0, 40.0, 50.0], [20.0, 1.0, 90.0, 60.0]]), [c.id for c in coco_categories()]
    heads = theirs.roi_heads
    logits, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(levels, [boxes], [(64, 96)])))
    found = ours.detector.classify(features, [boxes])
    torch.testing.assert_close(found[0], logits[:, [0, *rows]])
    torch.testing.assert_close(found[1], deltas.reshape(2, 91, 4)[:, [0, *rows]].flatten(1))
    masks = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(levels, [boxes], [(64, 96)])))
    labels = torch.tensor([80, 1])  # toothbrush, person
    found_masks, wanted = ours.detector.mask_logits(features, [boxes], labels), torch.stack([masks[0, 90], masks[1, 1]])
    torch.testing.assert_close(found_masks, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def test_rows_of_class_layers_are_selected_by_class() -> None:
    state = {
        "detector.box_predictor.cls_score.bias": torch.tensor([0.0, 1.0, 2.0]),
        "detector.box_predictor.bbox_pred.weight": torch.arange(12.0)[:, None].repeat(1, 2),
        "fpn.bias": torch.tensor([7.0, 8.0, 9.0]),
    }
    selected = select_classes(state, [0, 2])
    assert selected["detector.box_predictor.cls_score.bias"].tolist() == [0.0, 2.0]
    assert selected["detector.box_predictor.bbox_pred.weight"][:, 1].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert selected["fpn.bias"].tolist() == [7.0, 8.0, 9.0]


def test_without_a_network_one_line_says_what_to_fetch_and_where_it_belongs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(VisError) as caught:
        load_coco_detector()
    url = f"https://download.pytorch.org/models/{COCO_FILE}"
    reason = "Name or service not known"
    assert str(caught.value) == (f"cannot fetch {url}: {reason}. Fetch it on another machine, and put it into {cache}.")


def test_a_damaged_file_in_the_cache(cache: Path) -> None:
    (cache / COCO_FILE).write_bytes(b"half of a download")
    with pytest.raises(VisError, match=f"{COCO_FILE}: it is damaged. Delete it, then run"):
        fetch_coco_r50()


def test_another_model_in_the_cache(cache: Path) -> None:
    torch.save({"x": torch.zeros(1)}, cache / COCO_FILE)
    with pytest.raises(VisError, match=f"{COCO_FILE}: it contains another model. Delete it"):
        fetch_coco_r50()
