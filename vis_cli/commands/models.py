"""`vis models`: list the model zoo.

Registered by `app`.
"""

from __future__ import annotations

from pathlib import Path

from vis_cli.console import Reporter, print_table
from vis_cli.options import Debug

CARD_NAME = "CARD.md"


def models(*, debug: Debug = False) -> None:
    """List the models that come with vis.

    `vis segment --model NAME` uses one. The folder that `vis train` wrote is a model, too: name it by its path.
    """
    from vis_cli.network.weights import list_models

    with Reporter(debug=debug).guard():
        rows = [
            (
                model.name,
                f"{model.num_parameters / 1e6:.1f} M",
                ", ".join(category.name for category in model.config.categories),
                read_note(model.folder / CARD_NAME),
            )
            for model in list_models()
        ]
        print_table(("name", "parameters #", "categories", "note"), rows)


def read_note(card: Path) -> str:
    """Return the first line of text under a card's title, or nothing where there is no card."""
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
