"""`vis models import`: a released checkpoint becomes a model folder.

Registered by `models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vis_cli.console import Reporter, UsageError
from vis_cli.options import Debug, Overwrite, Quiet
from vis_cli.zoo.released_categories import ReleasedBackbone, ReleasedDataset


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.pth", help="A checkpoint of the paper's authors.", exists=True, dir_okay=False, readable=True
        ),
    ],
    *,
    backbone: Annotated[
        ReleasedBackbone,
        typer.Option("--as", metavar="BACKBONE", help="r50, r101 or x101: the backbone, which its file name tells."),
    ],
    dataset: Annotated[
        ReleasedDataset,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="ytvis2019, ytvis2021 or davis-uvos: what it was trained on. The two of YouTube-VIS differ in "
            "the names of their classes only, so take care to give the right one.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", file_okay=False, help="The model's folder; made if missing.")
    ],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a model of a checkpoint that the paper's authors released.

    No code of the file is run. Every tensor is accounted for; a file that lacks one, or has one too many, is refused.

    With the model, --preset released-ytvis or released-davis gives the released results.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        from vis_cli.zoo.folder import WEIGHTS_NAME
        from vis_cli.zoo.released import import_released
        from vis_cli.zoo.released_folder import write_released

        if (out / WEIGHTS_NAME).exists() and not overwrite:
            raise UsageError(f"{out} holds a model already: give another folder with -o, or --overwrite")
        imported = import_released(checkpoint, backbone, dataset)
        write_released(out, imported, checkpoint)
        reporter.note(
            f"{checkpoint}: {imported.num_mapped} tensors taken; {imported.num_unused} of a mask head that is never "
            f"used and {imported.num_counters} counters of batch norms left out"
        )
        reporter.note(f"{out}: the model is complete; use it with --model {out}")
