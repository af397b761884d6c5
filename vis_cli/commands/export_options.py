"""The options of `vis export-json`, and which of its formats is meant.

Used by `export_json` and `check_submission`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from vis_cli.console import UsageError
from vis_cli.options import FRACTION
from vis_cli.records.davis_layout import LIST_SUFFIX

CHOICE_PANEL = "What is taken of the results"

Format: TypeAlias = Literal["youtube-vis", "davis", "coco-video", "mots"]
JSON_FORMATS: tuple[Format, ...] = ("youtube-vis", "coco-video")  # they take the ids of a JSON

Results: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RESULT.json|DIR", help="Files that `vis segment` wrote, or folders of them.", exists=True),
]
FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="youtube-vis, davis, coco-video or mots. [dim]\\[default: youtube-vis; davis where SPLIT is a folder or a "
        "list][/dim]",
    ),
]
Split: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--split",
        "--annotations",
        metavar="SPLIT",
        exists=True,
        help="The split's own JSON, which has the ids to use; or, for the names of frames alone, DAVIS's list "
        "(ImageSets/2017/val.txt), its folder, or a folder of sequences.",
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="The file to write: a .zip, for coco-video a .json; under any other name, davis and mots write a folder.",
    ),
]
SourceVideo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--video",
        metavar="DIR",
        exists=True,
        help="The folder of images that one RESULT.json was made of, for the names of its frames. Only results of "
        "earlier versions need it.",
        show_default=False,
    ),
]
Check: TypeAlias = Annotated[
    Path | None,
    typer.Option("--check", metavar="FILE", exists=True, help="Write nothing: say what of this submission is wrong."),
]
Top: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--top",
        metavar="N",
        min=1,
        rich_help_panel=CHOICE_PANEL,
        help="The best N objects of each video, with all their categories. [dim]\\[default: all; davis: 20, its limit]"
        "[/dim] The YouTube-VIS servers count the best 100 entries of a video and category.",
    ),
]
MaxCategories: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-categories",
        metavar="N",
        min=1,
        rich_help_panel=CHOICE_PANEL,
        help="The best N categories of each object, an entry for each (youtube-vis). [dim]\\[default: all][/dim]",
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
        help="Leave out objects, and categories of an object, that score less.",
    ),
]


def choose_format(given: Format | None, split: Path | None) -> Format:
    """Return the format given, or else the one that the split belongs to.

    Raises:
        UsageError: they contradict each other.
    """
    is_davis = split is not None and (split.is_dir() or split.suffix.lower() == LIST_SUFFIX)
    if given is None:
        return "davis" if is_davis else "youtube-vis"
    if is_davis and given in JSON_FORMATS:
        raise UsageError(f"{split} has no ids: {given} needs the JSON of a split, --split SPLIT.json")
    return given
