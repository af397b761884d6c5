"""`vis models info`: the size, categories, origin and results of a model, and the layout of an ONNX file.

Registered by `models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vis_cli.console import Reporter, print_line, print_table
from vis_cli.files.reading import read_text
from vis_cli.network.config import ModelConfig
from vis_cli.options import Debug
from vis_cli.zoo.coco import COCO_NAME, COCO_PARAMETERS, COCO_URL, FOLLOWER, coco_config, coco_file
from vis_cli.zoo.folder import CARD_NAME, ModelSummary, find_model, read_summary

ONNX_SUFFIX = ".onnx"
RESULTS_HEADINGS = ("## Results", "## What it reaches")  # second heading: cards of earlier versions
COCO_NOTE = "torchvision's COCO Mask R-CNN; lite propagates its masks. torchvision downloads it at the first use."


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|DIR|FILE.onnx",
            help="Name of an included model, a model folder, or a detector in an ONNX file.",
        ),
    ],
    *,
    debug: Debug = False,
) -> None:
    """Print the size, categories, origin and results of a model, or the layout of an ONNX file."""
    with Reporter(debug=debug).guard():
        if model == COCO_NAME:
            print_table(("field", "value"), coco_facts())
            return
        if model.lower().endswith(ONNX_SUFFIX):
            from vis_cli.zoo.detectors.onnx_detector import describe_onnx  # imports OpenCV

            print_table(("field", "value"), describe_onnx(Path(model)))
            return
        summary = read_summary(find_model(model))
        results = read_results(summary.folder / CARD_NAME)
        print_table(("field", "value"), facts(summary))
        print_line(results or "No results: the folder has no model card with results.")


def facts(summary: ModelSummary) -> list[tuple[str, str]]:
    """Return one row per fact in the weights file."""
    return [
        ("name", summary.name),
        ("folder", str(summary.folder)),
        ("parameters", f"{summary.num_parameters:,}"),
        *_network_facts(summary.config),
        *((key.replace("_", " "), value) for key, value in summary.provenance.items()),
    ]


def coco_facts() -> list[tuple[str, str]]:
    """Return one row per fact about torchvision's model. Its weights may be missing."""
    config, file = coco_config(), coco_file()
    place = f"{file} (downloaded)" if file.exists() else f"not downloaded; torchvision downloads {COCO_URL} to {file}"
    return [
        ("name", config.name),
        ("description", f"torchvision's COCO Mask R-CNN detects objects; {FOLLOWER} propagates their masks"),
        ("weights", place),
        ("parameters", f"{COCO_PARAMETERS:,}, plus the parameters of {FOLLOWER}"),
        *_network_facts(config),
    ]


def _network_facts(config: ModelConfig) -> list[tuple[str, str]]:
    return [
        ("backbone", config.backbone),
        ("box convention", config.box_convention),
        ("input size", f"{config.long_side}x{config.short_side}"),
        ("categories", ", ".join(f"{category.id} {category.name}" for category in config.categories)),
    ]


def read_results(card: Path) -> str:
    """Return the section of a card with the results of the model, or an empty string."""
    text = read_text(card) if card.is_file() else ""
    for heading in RESULTS_HEADINGS:
        _, found, rest = text.partition(f"{heading}\n")
        if found:
            return f"{found}{rest.partition(chr(10) + '## ')[0]}".strip()
    return ""
