"""What the Seq-Prop head computes once for many objects, or by another way, is what each alone gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vis_cli.network.seq_prop_head import SeqPropHead


def make_head(decoder_channels: int = 8) -> SeqPropHead:
    torch.manual_seed(1)
    widths = {"encoder_channels": 8, "key_channels": 4, "value_channels": 8, "decoder_channels": decoder_channels}
    return SeqPropHead(fpn_channels=8, c2_channels=6, c3_channels=6, **widths).eval()


@pytest.mark.parametrize("size", [(8, 12), (2, 2), (7, 12), (8, 11)])  # odd ones pad the last row or column, too
def test_objects_of_one_frame_are_memorised_as_each_alone(size: tuple[int, int]) -> None:
    head = make_head()
    p2, masks = torch.randn(1, 8, *size), torch.rand(3, 4 * size[0], 4 * size[1])
    with torch.no_grad():
        together = head.memorize(p2, masks)
        alone = [head.memorize(p2, mask[None]) for mask in masks]
    learning = head.memorize(p2, masks)
    assert learning[0].requires_grad
    for part in range(2):
        expected = torch.cat([each[part] for each in alone])
        torch.testing.assert_close(together[part], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(learning[part].detach(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_last_convolution_is_the_two_classes_softmax() -> None:
    head = make_head()
    skips, coarse = (torch.randn(1, 8, 8, 10), torch.randn(1, 8, 16, 20)), torch.randn(3, 8, 4, 5)
    decoded = head.refine2(skips[1], head.refine3(skips[0], coarse))
    logits = F.interpolate(head.predict(F.relu(decoded)), scale_factor=4, mode="bilinear", align_corners=False)
    expected = torch.softmax(logits, dim=1)[:, 1]
    assert expected.std() > 0.01
    torch.testing.assert_close(head._decode(skips, coarse), expected, rtol=0, atol=1e-6)
