"""Model and settings of a result, without building the network; the commands use them to recognize finished results."""

from __future__ import annotations

from vis_cli.engine.settle import settle_scores, settle_sizes
from vis_cli.records.types import ModelInfo
from vis_cli.settings import INT8, Precision, SegmentSettings
from vis_cli.zoo.composition import identify_network, needed_detector, quantized_info


def expected_production(
    model: str,
    config: SegmentSettings,
    *,
    detector: str | None = None,
    propagator: str | None = None,
    detections: bool = False,
    detects: bool = True,
    precision: Precision = "auto",
) -> tuple[ModelInfo, SegmentSettings]:
    """Return the model and the settings that a result of this model stores.

    Args:
        model: Name of the model.
        config: Settings of the method.
        detector: Name of another detector.
        propagator: Name of another model that propagates.
        detections: Whether the detections of another program are given.
        detects: Whether the detector of the model takes part, see `uses_detector`. If not, `detector` has no effect.
        precision: Number format of the run. int8 is another model; all other formats change the result by rounding.

    Raises:
        VisError: The model does not exist, or its weights file cannot be read.
    """
    detector = detector if detects else needed_detector(model, propagator)
    network = identify_network(model, detector=detector, propagator=propagator)
    settled = settle_scores(config, classifies_boxes=network.classifies_boxes and not detections)
    info = quantized_info(network.info) if precision == INT8 else network.info
    return info, settle_sizes(settled, network.config)
