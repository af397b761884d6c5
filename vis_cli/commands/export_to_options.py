"""Options of `vis export`.

Used by `export`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vis_cli.options import FRACTION
from vis_cli.records.exports.formats import FORMATS

CHOICE_PANEL = "Selection of instances and frames"
FORMAT_PANEL = "Options of some formats"


def complete_format() -> list[str]:
    """Return the shell completions of --to."""
    return list(FORMATS)


Results: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULT.json|DIR",
        help="Results of `vis segment`, folders of results, or glob patterns in quotes, such as 'day?/*.json'.",
        show_default=False,
    ),
]
To: TypeAlias = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help=f"Format: {', '.join(FORMATS)}.",
        autocompletion=complete_format,
        show_default=False,
    ),
]
Out: TypeAlias = Annotated[
    Path, typer.Option("-o", "--out", metavar="OUT", help="File or folder to write.", show_default=False)
]
MinScore: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar=FRACTION, min=0.0, max=1.0, rich_help_panel=CHOICE_PANEL, help="Minimum score of an instance."
    ),
]
OnlyWords: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="IDS|NAMES",
        rich_help_panel=CHOICE_PANEL,
        help="Ids or categories of the instances to export, such as 1,4 or person,car. Synonyms count. Repeatable.",
        show_default=False,
    ),
]
Top: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=CHOICE_PANEL,
        help="Maximum number of instances per video, highest score first.",
        show_default=False,
    ),
]
Every: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, rich_help_panel=CHOICE_PANEL, help="Export every N-th frame, beginning with frame 0."
    ),
]
Rename: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="OLD=NEW",
        rich_help_panel=CHOICE_PANEL,
        help="New names of categories, such as truck=vehicle,bus=vehicle. Or a JSON file, such as names.json with "
        '{"truck": "vehicle"}.',
        show_default=False,
    ),
]
NoImages: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-images",
        metavar="",
        rich_help_panel=FORMAT_PANEL,
        help="Write no images (coco, datumaro, labelme, yolo-seg). The video is not needed.",
    ),
]
SourceVideo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        exists=True,
        rich_help_panel=FORMAT_PANEL,
        help="Video of the result, for images and for the names of frames. "
        "[dim]\\[default: next to RESULT.json, or at the stored path][/dim]",
        show_default=False,
    ),
]
AsMasks: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--masks",
        metavar="",
        rich_help_panel=FORMAT_PANEL,
        help="Write each mask without a track instead of polygon tracks (cvat).",
    ),
]
Tolerance: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="PIXELS",
        min=0.0,
        rich_help_panel=FORMAT_PANEL,
        help="Maximum distance between a polygon and its mask (cvat, labelme, yolo-seg). 0 keeps every pixel.",
    ),
]
Split: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="SPLIT",
        exists=True,
        rich_help_panel=FORMAT_PANEL,
        help="Split with the ids of videos and categories (coco-video), or with the names of frames (mots).",
        show_default=False,
    ),
]
Overwrite: TypeAlias = Annotated[
    bool,
    typer.Option("--overwrite", metavar="", help="Replace an existing OUT, or the files in an existing folder OUT."),
]
