"""Options of `vis export-json`, and the selection of the format.

Used by `export_json` and `check_submission`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from vis_cli.console import UsageError
from vis_cli.options import FRACTION
from vis_cli.records.davis_layout import LIST_SUFFIX

CHOICE_PANEL = "Selection of instances and categories"

Format: TypeAlias = Literal["youtube-vis", "davis", "coco-video", "mots"]
MOVED: tuple[Format, ...] = ("coco-video", "mots")  # formats that `vis export` writes
JSON_FORMATS: tuple[Format, ...] = ("youtube-vis",)  # formats that use the ids of a JSON file

Results: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RESULT.json|DIR", help="Results of `vis segment`, or folders of results.", exists=True),
]
FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Format: youtube-vis or davis. [dim]\\[default: davis if SPLIT is a folder or a "
        ".txt list; otherwise youtube-vis][/dim]",
    ),
]
Split: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--split",
        "--annotations",
        metavar="SPLIT",
        exists=True,
        help="Split of the benchmark: its annotation file SPLIT.json, which youtube-vis needs. davis also accepts "
        "a DAVIS list (ImageSets/2017/val.txt), the DAVIS folder, or a folder of sequences.",
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="Output file with the extension .zip. davis writes a folder if the name has another extension.",
    ),
]
SourceVideo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--video",
        metavar="DIR",
        exists=True,
        help="Folder of images of the segmented video, for the names of the frames. Only needed for one RESULT.json of "
        "an earlier version.",
        show_default=False,
    ),
]
Check: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--check", metavar="FILE", exists=True, help="Submission to check. Prints its problems and writes no file."
    ),
]
Top: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="N",
        min=1,
        rich_help_panel=CHOICE_PANEL,
        help="Maximum number of instances per video, highest score first. The YouTube-VIS servers use at most 100 "
        "entries per video and category. [dim]\\[default: all; davis: 20, the limit of the benchmark][/dim]",
    ),
]
MaxCategories: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-categories",
        metavar="N",
        min=1,
        rich_help_panel=CHOICE_PANEL,
        help="Maximum number of categories per instance, highest score first; each is one entry (youtube-vis). "
        "[dim]\\[default: all][/dim]",
    ),
]
MinScore: TypeAlias = Annotated[
    float,
    typer.Option(
        "--min-score",
        metavar=FRACTION,
        min=0.0,
        max=1.0,
        rich_help_panel=CHOICE_PANEL,
        help="Minimum score of an instance, and of each category of an instance.",
    ),
]


def choose_format(given: Format | None, split: Path | None) -> Format:
    """Return the given format, or the default format of the split.

    Raises:
        UsageError: The format needs ids, but the split has no ids.
    """
    is_davis = split is not None and (split.is_dir() or split.suffix.lower() == LIST_SUFFIX)
    if given is None:
        return "davis" if is_davis else "youtube-vis"
    if is_davis and given in JSON_FORMATS:
        raise UsageError(f"cannot write {given}: {split} has no ids", hint="Use --split SPLIT.json.")
    return given
