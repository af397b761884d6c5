"""How a result would be made, known before a network is built; used by the commands to recognise finished results."""

from __future__ import annotations

from vis_cli.config import SegmentConfig
from vis_cli.engine.segmenter import settle_sizes
from vis_cli.network.composition import identify_network
from vis_cli.records.types import ModelInfo


def expected_production(
    model: str, config: SegmentConfig, *, detector: str | None = None, propagator: str | None = None
) -> tuple[ModelInfo, SegmentConfig]:
    """Return the model and the settings that a result of this model would store.

    Raises:
        VisError: There is no such model, or its weights file is not readable.
    """
    info, trained = identify_network(model, detector=detector, propagator=propagator)
    return info, settle_sizes(config, trained)
