"""`vis models info`: what a model is, where it comes from and what it reaches.

Registered by `models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vis_cli.console import Reporter, print_line, print_table
from vis_cli.options import Debug

if TYPE_CHECKING:
    from vis_cli.network.weights import ModelSummary

FIGURES_HEADING = "## What it reaches"


def info(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A model of the list, or the folder of another.")],
    *,
    debug: Debug = False,
) -> None:
    """Describe a model: its size, its categories, where it comes from and what it reaches."""
    from vis_cli.network.weights import CARD_NAME, find_model, read_summary

    with Reporter(debug=debug).guard():
        summary = read_summary(find_model(model))
        print_table(("what", "value"), facts(summary))
        figures = read_figures(summary.folder / CARD_NAME)
        print_line(figures or "No figures are known: the folder has no card that gives any.")


def facts(summary: ModelSummary) -> list[tuple[str, str]]:
    """Lay out what the weights file says of itself, a row each."""
    config = summary.config
    return [
        ("name", summary.name),
        ("folder", str(summary.folder)),
        ("parameters", f"{summary.num_parameters:,}"),
        ("backbone", config.backbone),
        ("box convention", config.box_convention),
        ("working size", f"{config.long_side}x{config.short_side}"),
        ("categories", ", ".join(f"{category.id} {category.name}" for category in config.categories)),
        *((key.replace("_", " "), value) for key, value in summary.provenance.items()),
    ]


def read_figures(card: Path) -> str:
    """Return the section of a card that holds the model's figures, or nothing."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    _, heading, rest = text.partition(f"{FIGURES_HEADING}\n")
    return f"{heading}{rest.partition(chr(10) + '## ')[0]}".strip() if heading else ""
