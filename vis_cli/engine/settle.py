"""Settings that depend on the network; used by `segmenter` and `production`. Results contain their values."""

from __future__ import annotations

import dataclasses

from vis_cli.network.config import ModelConfig
from vis_cli.settings import SCORES_OF_DETECTIONS, SUPPORT, SegmentSettings


def settle_sizes(config: SegmentSettings, trained: ModelConfig) -> SegmentSettings:
    """Return the settings with the scaled input size of the model, if they have no input size."""
    return dataclasses.replace(
        config,
        short_side=config.short_side or max(round(config.input_scale * trained.short_side), 1),
        long_side=config.long_side or max(round(config.input_scale * trained.long_side), 1),
    )


def settle_scores(config: SegmentSettings, *, classifies_boxes: bool) -> SegmentSettings:
    """Return the settings with a source of scores that the detector supports.

    Eq. 2 classifies the box of the mask in each frame. A detector that cannot do this scores by support.
    """
    if classifies_boxes or config.score_source in SCORES_OF_DETECTIONS:
        return config
    return dataclasses.replace(config, score_source=SUPPORT)
