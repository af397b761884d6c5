"""Model and settings of a result, without building the network; the commands use them to recognize finished results."""

from __future__ import annotations

from vis_cli.engine.segmenter import settle_sizes
from vis_cli.records.types import ModelInfo
from vis_cli.settings import SegmentSettings
from vis_cli.zoo.composition import identify_network


def expected_production(
    model: str, config: SegmentSettings, *, detector: str | None = None, propagator: str | None = None
) -> tuple[ModelInfo, SegmentSettings]:
    """Return the model and the settings that a result of this model stores.

    Raises:
        VisError: The model does not exist, or its weights file cannot be read.
    """
    info, trained = identify_network(model, detector=detector, propagator=propagator)
    return info, settle_sizes(config, trained)
