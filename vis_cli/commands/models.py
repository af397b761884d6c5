"""`vis models`: list the models, describe a model, import a checkpoint of the authors' implementation.

Registered by `app` as a group. Without a subcommand, it lists the models.
"""

from __future__ import annotations

from pathlib import Path

import typer

from vis_cli.commands.models_import import import_model
from vis_cli.commands.models_info import COCO_NOTE, COCO_V2_NOTE, info
from vis_cli.console import Reporter, print_table
from vis_cli.files.reading import read_text
from vis_cli.network.config import ModelConfig
from vis_cli.options import Debug, examples
from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.coco import COCO_NAME, COCO_PARAMETERS
from vis_cli.zoo.folder import CARD_NAME, list_models
from vis_cli.zoo.included_detectors import PICODET_NAME, PICODET_PARAMETERS, join_categories
from vis_cli.zoo.included_files import zoo_dir
from vis_cli.zoo.torchvision_names import COCO_V2_NAME, torchvision_facts

COCO_CATEGORIES = f"the {len(coco_categories())} categories of COCO"

models_app = typer.Typer(invoke_without_command=True)


@models_app.callback(
    epilog=examples(
        "vis models",
        "vis models info lite",
        "vis models import seq_mask_rcnn_r50.pth --as r50 --dataset ytvis2019 -o r50",
    )
)
def models(ctx: typer.Context, *, debug: Debug = False) -> None:
    """List the included models, describe a model, or import a checkpoint of the authors' implementation.

    To use a model, pass `--model NAME` to `vis segment`. For a model of `vis train` or `vis models import`, pass
    `--model DIR`.
    """
    if ctx.invoked_subcommand is not None:
        return
    with Reporter(debug=debug).guard():
        rows = [
            (
                model.name,
                f"{model.num_parameters / 1e6:.1f} M",
                _listed(model.config),
                read_note(model.folder / CARD_NAME),
            )
            for model in list_models()
        ]
        for name, num_parameters, note in (
            (PICODET_NAME, PICODET_PARAMETERS, read_note(zoo_dir() / PICODET_NAME / CARD_NAME)),
            (COCO_NAME, COCO_PARAMETERS, COCO_NOTE),
            (COCO_V2_NAME, torchvision_facts(COCO_V2_NAME).num_parameters, COCO_V2_NOTE),
        ):
            rows.append((name, f"{num_parameters / 1e6:.1f} M", COCO_CATEGORIES, note))
        print_table(("name", "parameters #", "categories", "note"), rows)


def _listed(config: ModelConfig) -> str:
    """Return the categories of a model in words."""
    if config.detector is None:
        return ", ".join(category.name for category in config.categories)
    known = coco_categories()
    added = join_categories(known, config.categories)[len(known) :]
    return ", ".join([COCO_CATEGORIES, *(category.name for category in added)])


def read_note(card: Path) -> str:
    """Return the first line of text below the title of a card, or an empty string if the card is missing."""
    lines = read_text(card).splitlines() if card.is_file() else []
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")


models_app.command(
    epilog=examples("vis models info lite", "vis models info runs/mine", "vis models info yolox_s.onnx")
)(info)
models_app.command(
    "import",
    epilog=examples(
        "vis models import seq_mask_rcnn_r50.pth --as r50 --dataset ytvis2019 -o r50",
        "vis segment videos/ -o results --model r50 --preset released-ytvis",
        "vis models import davis_x101.pth --as x101 --dataset davis-uvos -o x101-davis",
    ),
)(import_model)
