"""What is known of torchvision's model without torchvision is what torchvision says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.coco import COCO_PARAMETERS, COCO_URL, coco_file
from vis_cli.zoo.torchvision_weights import COCO_R50, cached_file


def test_url_size_and_categories_are_torchvisions() -> None:
    assert COCO_R50.url == COCO_URL
    assert COCO_R50.meta["num_params"] == COCO_PARAMETERS
    names = COCO_R50.meta["categories"]
    expected = [(row, name) for row, name in enumerate(names) if name not in ("__background__", "N/A")]
    assert [(category.id, category.name) for category in coco_categories()] == expected
    assert len(expected) == 80


@pytest.mark.parametrize(
    "variables",
    [{}, {"XDG_CACHE_HOME": "/x/cache"}, {"TORCH_HOME": "~/torch"}, {"TORCH_HOME": "/t", "XDG_CACHE_HOME": "/x"}],
)
def test_the_cached_file_is_where_torch_hub_has_it(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert coco_file() == cached_file(COCO_R50)
