"""Bad `--masks` given to `vis segment`: one line that names them, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.network.factories import make_model
from tests.records.video_factory import make_video, picture, write_image
from vis_cli.records.davis import write_label_png
from vis_cli.records.overlay import Frame
from vis_cli.zoo.weights import save_model

from .conftest import Network, RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")
Mark = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("frame", "size", "said"),
    [
        (0, (12, 10), "{png}: the mask is 12x10, but the video is 64x48. Export the mask in the size of the video."),
        (5, (64, 48), "guidance is for frame 5, but the frames of the video are 0 to 2"),
    ],
)
def test_masks_of_another_size_or_frame(
    frame: int, size: tuple[int, int], said: str, tmp_path: Path, run_vis: RunVis, untouched: Mark
) -> None:
    save_model(tmp_path / "tiny", make_model(), {})
    write_label_png(np.ones(size[::-1], np.uint8), tmp_path / "masks" / f"{frame}.png")
    clip, masks = untouched(make_video(tmp_path, num_frames=3)), untouched(tmp_path / "masks")
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--masks", masks, "--model", tmp_path / "tiny")
    assert outcome.code == 1
    assert outcome.err == f"error: {clip}: {said.format(png=masks / f'{frame}.png')}"
    assert list((tmp_path / "out").iterdir()) == []


def test_masks_of_background_only(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    clip, masks = make_video(tmp_path), tmp_path / "first.png"
    write_label_png(np.zeros((48, 64), np.uint8), masks)
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--masks", masks)
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {clip}: no object is given in {masks}: all pixels are background. ")
    assert network.segmented == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture(0), "the PNG has colours (RGB) instead of labels. Save it as a palette or single-channel PNG."),
        (None, "the file is not a PNG. Export the mask as PNG."),
    ],
    ids=["colours", "empty"],
)
def test_masks_that_hold_no_labels(
    content: Frame | None,
    said: str,
    tmp_path: Path,
    run_vis: RunVis,
    network: Network,
    untouched: Mark,
) -> None:
    masks, clip = tmp_path / "first.png", make_video(tmp_path)
    masks.write_bytes(b"")
    if content is not None:
        write_image(masks, content)
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--masks", untouched(masks))
    assert outcome.code == 1
    assert outcome.err == f"error: {clip}: cannot read {masks}: {said}"
    assert network.segmented == []
