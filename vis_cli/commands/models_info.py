"""`vis models info`: the size, categories, origin and results of a model, and the layout of an ONNX file.

Registered by `models`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.console import Reporter, print_line, print_table
from vis_cli.files.reading import read_text
from vis_cli.network.config import ModelConfig
from vis_cli.options import Debug
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category
from vis_cli.zoo.coco import COCO_NAME, COCO_PARAMETERS, COCO_URL, FOLLOWER, coco_config, coco_file
from vis_cli.zoo.folder import CARD_NAME, ModelSummary, find_model, read_summary
from vis_cli.zoo.included_detectors import PICODET_NAME, PICODET_PARAMETERS, join_categories
from vis_cli.zoo.included_files import is_included, zoo_dir
from vis_cli.zoo.torchvision_names import LICENCE, is_torchvision_name, torchvision_facts

ONNX_SUFFIX = ".onnx"
RESULTS_HEADINGS = ("## Results", "## What it reaches")  # second heading: cards of earlier versions
ORIGIN = "origin"  # of a model
COCO_NOTE = "torchvision's COCO Mask R-CNN; lite propagates its masks. torchvision downloads it at the first use."
COCO_V2_NOTE = (
    "torchvision's improved COCO Mask R-CNN; lite propagates its masks. Recommended if you have a network: "
    "torchvision downloads it at the first use."
)


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|DIR|FILE.onnx",
            help="Name of an included model or of a torchvision detector, a model folder, or a detector in an ONNX "
            "file.",
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
        if is_torchvision_name(model):
            print_table(("field", "value"), detector_facts(model))
            return
        if model.lower().endswith(ONNX_SUFFIX):
            from vis_cli.zoo.detectors.onnx_detector import describe_onnx  # imports OpenCV

            print_table(("field", "value"), describe_onnx(Path(model)))
            return
        if model == PICODET_NAME:
            print_table(("field", "value"), picodet_facts())
            print_line(read_results(zoo_dir() / PICODET_NAME / CARD_NAME))
            return
        summary = read_summary(find_model(model))
        results = read_results(summary.folder / CARD_NAME)
        print_table(("field", "value"), facts(summary))
        print_line(results or "No results: the folder has no model card with results.")


def facts(summary: ModelSummary) -> list[tuple[str, str]]:
    """Return one row per fact in the weights file."""
    rows = [
        ("name", summary.name),
        ("folder", str(summary.folder)),
        ("parameters", f"{summary.num_parameters:,}"),
        *_network_facts(summary.config),
    ]
    return [*rows, *_origin_facts(summary, taken={name for name, _ in rows})]


def coco_facts() -> list[tuple[str, str]]:
    """Return one row per fact about torchvision's model. Its weights may be missing."""
    config = coco_config()
    return [
        ("name", config.name),
        ("description", f"torchvision's COCO Mask R-CNN detects objects; {FOLLOWER} propagates their masks"),
        ("weights", _place(coco_file(), COCO_URL)),
        ("parameters", f"{COCO_PARAMETERS:,}, plus the parameters of {FOLLOWER}"),
        *_network_facts(config),
    ]


def detector_facts(name: str) -> list[tuple[str, str]]:
    """Return one row per fact about a detector of torchvision. Its weights may be missing."""
    facts = torchvision_facts(name)
    finds = "objects" if facts.mask_ap else f"boxes; {FOLLOWER} predicts their masks"
    aps = [("box AP", facts.box_ap), *([("mask AP", facts.mask_ap)] if facts.mask_ap else [])]
    return [
        ("name", facts.name),
        ("description", f"torchvision's {facts.function} detects {finds}; {FOLLOWER} propagates the masks"),
        ("weights", _place(facts.file, facts.url)),
        ("file size", f"{facts.mebibytes} MiB"),
        ("parameters", f"{facts.num_parameters:,}, plus the parameters of {FOLLOWER}"),
        *((name, f"{ap} on COCO val2017, as torchvision reports it") for name, ap in aps),
        ("licence", LICENCE),
        ("categories", _list_categories(coco_categories())),
    ]


def picodet_facts() -> list[tuple[str, str]]:
    """Return one row per fact about PicoDet-S."""
    return [
        ("name", PICODET_NAME),
        ("description", f"a small detector of boxes; {FOLLOWER} predicts their masks and propagates them"),
        ("folder", str(zoo_dir() / PICODET_NAME)),
        ("parameters", f"{PICODET_PARAMETERS:,}, plus the parameters of {FOLLOWER}"),
        ("licence", "Apache-2.0; trained on COCO train2017 by the authors of PaddleDetection"),
        ("categories", _list_categories(coco_categories())),
    ]


def _place(file: Path, url: str) -> str:
    return f"{file} (downloaded)" if file.exists() else f"not downloaded; torchvision downloads {url} to {file}"


def _network_facts(config: ModelConfig) -> list[tuple[str, str]]:
    detector = [("detector", config.detector)] if config.detector else []
    categories = join_categories(coco_categories(), config.categories) if config.detector else config.categories
    return [
        *detector,
        ("backbone", config.backbone),
        ("box convention", config.box_convention),
        ("input size", f"{config.long_side}x{config.short_side}"),
        ("categories", _list_categories(categories)),
    ]


def _origin_facts(summary: ModelSummary, taken: Collection[str]) -> list[tuple[str, str]]:
    """Return one row per entry of the provenance, with names that are not taken.

    The card of an included model replaces its provenance, which describes a part of its training only.
    """
    card = summary.folder / CARD_NAME
    if is_included(card) and card.is_file():
        return [(ORIGIN, f"described in {card}")]
    names = {key: key.replace("_", " ") for key in summary.provenance}
    return [(f"{ORIGIN}: {name}" if name in taken else name, summary.provenance[key]) for key, name in names.items()]


def _list_categories(categories: Iterable[Category]) -> str:
    return ", ".join(f"{category.id} {category.name}" for category in categories)


def read_results(card: Path) -> str:
    """Return the section of a card with the results of the model, or an empty string."""
    text = read_text(card) if card.is_file() else ""
    for heading in RESULTS_HEADINGS:
        _, found, rest = text.partition(f"{heading}\n")
        if found:
            return f"{found}{rest.partition(chr(10) + '## ')[0]}".strip()
    return ""
