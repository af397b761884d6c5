"""Masks as text: every frame is in one part, and the text contains nothing that HTML could read as a tag."""

from __future__ import annotations

import pytest

from vis_cli.records.report import mask_text
from vis_cli.records.report.mask_text import MaskPart, iter_mask_parts
from vis_cli.records.rle import Rle


def rle(counts: str) -> Rle:
    return Rle(size=[4, 6], counts=counts)


def test_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_text, "PART_FRAMES", 2)
    first = [rle("a<b"), None, None, None, rle("</script>")]
    second = [None, None, None, None, rle("\\o")]
    assert list(iter_mask_parts([first, second], 5)) == [
        MaskPart(0, "0 a*b -"),
        MaskPart(4, "0 */script>\n1 \\o"),
    ]


def test_no_masks() -> None:
    assert list(iter_mask_parts([], 5)) == []
    assert list(iter_mask_parts([[None] * 5], 5)) == []
    assert list(iter_mask_parts([[]], 0)) == []
