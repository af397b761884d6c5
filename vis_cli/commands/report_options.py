"""Options of `vis report`.

Used by `report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vis_cli.options import FRACTION

Results: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULT.json|DIR",
        help="Results of `vis segment`, folders of results, or glob patterns in quotes, such as 'day?/*.json'.",
        show_default=False,
    ),
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="Page to write (.html) for one result. Otherwise a folder of pages with index.html.",
        show_default=False,
    ),
]
Annotations: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="SPLIT.json",
        exists=True,
        dir_okay=False,
        help="Annotation file in the format of YouTube-VIS or OVIS. Adds J over time, kinds of errors and the worst "
        "frames.",
        show_default=False,
    ),
]
MinScore: TypeAlias = Annotated[
    float, typer.Option(metavar=FRACTION, min=0.0, max=1.0, help="Minimum score of an instance in the report.")
]
SourceVideo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        exists=True,
        help="Video of the result. [dim]\\[default: next to RESULT.json, or at the stored path][/dim]",
        show_default=False,
    ),
]
NoVideo: TypeAlias = Annotated[
    bool, typer.Option("--no-video", metavar="", help="Write masks and tables only. The video is not needed.")
]
Overwrite: TypeAlias = Annotated[
    bool,
    typer.Option("--overwrite", metavar="", help="Replace an existing OUT, or the files in an existing folder OUT."),
]
