"""`vis models import`: convert a checkpoint of the authors' implementation to a model folder.

Registered by `models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vis_cli.console import Reporter, UsageError
from vis_cli.options import Debug, Quiet
from vis_cli.zoo.model_argument import model_argument
from vis_cli.zoo.released_categories import ReleasedBackbone, ReleasedDataset

OverwriteModel: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Replace an existing model in DIR.")
]


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.pth",
            help="Checkpoint of the authors' implementation.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    *,
    backbone: Annotated[
        ReleasedBackbone,
        typer.Option(
            "--as", metavar="BACKBONE", help="Backbone of the checkpoint: r50, r101 or x101. Its file name contains it."
        ),
    ],
    dataset: Annotated[
        ReleasedDataset,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="Training dataset of the checkpoint: ytvis2019, ytvis2021 or davis-uvos. ytvis2019 and ytvis2021 "
            "cannot be told apart by the file: a wrong value gives wrong class names.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="DIR", file_okay=False, help="Folder of the model. It is created if missing."
        ),
    ],
    overwrite: OverwriteModel = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Convert a checkpoint of the authors' implementation to a model folder.

    No code of the file is run. A file with a missing or an unknown tensor is rejected.

    To reproduce the results of the authors, use the model with --preset released-ytvis or released-davis.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        from vis_cli.zoo.folder import WEIGHTS_NAME
        from vis_cli.zoo.released import import_released
        from vis_cli.zoo.released_folder import write_released

        if (out / WEIGHTS_NAME).exists() and not overwrite:
            raise UsageError(
                f"cannot write to {out}: it contains a model", hint="Use another -o DIR, or --overwrite to replace it."
            )
        imported = import_released(checkpoint, backbone, dataset)
        write_released(out, imported, checkpoint)
        reporter.note(
            f"{checkpoint}: imported {imported.num_mapped} tensors, omitted {imported.num_unused} tensors of an unused "
            f"mask head and {imported.num_counters} counters of batch norms"
        )
        reporter.note(f"{out}: the model is complete. Use it with --model {model_argument(out)}")
