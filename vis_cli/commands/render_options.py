"""Options of `vis render`.

Used by `render`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias, get_args

import typer

from vis_cli.console import UsageError
from vis_cli.files.names import printable
from vis_cli.hints import did_you_mean
from vis_cli.records.renderings.coverage import GAP_SECONDS, HOLD_SECONDS, Coverage
from vis_cli.records.renderings.modes import MODES, Mode
from vis_cli.records.renderings.painter import Background, Look

OBJECT_PANEL = "Options of matte, alpha and cutout"
REDACTION_PANEL = "Options of blur, pixelate and grey-out"
BACKGROUNDS: tuple[Background, ...] = get_args(Background)


def complete_mode() -> list[str]:
    """Return the shell completions of --as."""
    return list(MODES)


Results: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULT.json|DIR",
        help="Results of `vis segment`, folders of results, or glob patterns in quotes, such as 'day?/*.json'.",
        show_default=False,
    ),
]
As: TypeAlias = Annotated[
    str, typer.Option("--as", metavar="MODE", help=f"Mode: {', '.join(MODES)}.", autocompletion=complete_mode)
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="File to write: .mp4, .mov (ProRes) or .webm (VP9); .jpg or .png for contact-sheet. Or a folder, for "
        "PNG images and for several files.",
        show_default=False,
    ),
]
OnlyWords: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="IDS|NAMES",
        help="Ids or categories of the instances, confident or not, such as 1,4 or person,car. Synonyms count. "
        "Repeatable.",
        show_default=False,
    ),
]
FileFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Format of the files in a folder OUT: mp4, mov, webm or png; jpg or png for contact-sheet. "
        "[dim]\\[default: png for matte, alpha and cutout, jpg for contact-sheet, mp4 otherwise][/dim]",
        show_default=False,
    ),
]
SourceVideo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--video",
        metavar="FILE|DIR",
        exists=True,
        help="Video of the result. [dim]\\[default: next to RESULT.json, or at the stored path][/dim]",
        show_default=False,
    ),
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace an existing OUT.")]
PerObject: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--per-object",
        metavar="",
        rich_help_panel=OBJECT_PANEL,
        help="Write one file per object into the folder OUT: NAME_1, NAME_2 and so on.",
    ),
]
BackgroundName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="NAME",
        rich_help_panel=OBJECT_PANEL,
        help=f"Background of cutout: {', '.join(BACKGROUNDS)}. [dim]\\[default: {BACKGROUNDS[0]}][/dim]",
        show_default=False,
    ),
]


def _redaction(name: str, metavar: str, text: str, default: object) -> object:
    return typer.Option(
        name,
        metavar=metavar,
        min=0,
        rich_help_panel=REDACTION_PANEL,
        help=f"{text} [dim]\\[default: {default}][/dim]",
        show_default=False,
    )


Dilation: TypeAlias = Annotated[
    int | None,
    _redaction("--dilation", "PIXELS", "Distance around each mask that is also covered.", "1/20 of the short side"),
]
Hold: TypeAlias = Annotated[
    float | None,
    _redaction(
        "--hold", "SECONDS", "Each mask also covers the frames up to this time before and after it.", HOLD_SECONDS
    ),
]
Margin: TypeAlias = Annotated[
    float | None,
    _redaction("--margin", "SECONDS", "The same for the first and the last mask of an object.", HOLD_SECONDS),
]
Gap: TypeAlias = Annotated[
    float | None,
    _redaction("--gap", "SECONDS", "Longest gap between two masks of an object that is covered.", GAP_SECONDS),
]
Blocks: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--blocks",
        metavar="N",
        min=1,
        rich_help_panel=REDACTION_PANEL,
        help="Blocks along the longer side of an object (blur, pixelate). Fewer blocks hide more. "
        f"[dim]\\[default: {Look().blocks}][/dim]",
        show_default=False,
    ),
]


def parse_mode(name: str) -> Mode:
    """Return the mode with a name.

    Raises:
        UsageError: There is no such mode.
    """
    if name not in MODES:
        raise UsageError(f"--as: no mode {printable(name)!r}", hint=did_you_mean(name, MODES))
    return MODES[name]


def make_look(
    *,
    background: str | None,
    dilation: int | None,
    hold: float | None,
    margin: float | None,
    gap: float | None,
    blocks: int | None,
) -> Look:
    """Return the settings of a mode. None is the default value.

    Raises:
        UsageError: The background is unknown.
    """
    if background is not None and background not in BACKGROUNDS:
        problem = f"--background: no background {printable(background)!r}"
        raise UsageError(problem, hint=did_you_mean(background, BACKGROUNDS))
    default = Look()
    return Look(
        background=next((name for name in BACKGROUNDS if name == background), default.background),
        coverage=Coverage(
            dilation=dilation,
            hold=default.coverage.hold if hold is None else hold,
            margin=default.coverage.margin if margin is None else margin,
            gap=default.coverage.gap if gap is None else gap,
        ),
        blocks=default.blocks if blocks is None else blocks,
    )


def check_applicable(name: str, mode: Mode, given: dict[str, bool]) -> None:
    """Check that the mode has each option that the user gives.

    Args:
        name: Name of the mode.
        mode: The mode.
        given: Whether the user gives an option, by its name.

    Raises:
        UsageError: An option does not apply to the mode.
    """
    applies = {"--per-object": mode.per_object, "--background": mode.has_background, "--blocks": mode.has_blocks}
    for option, is_given in given.items():
        if is_given and not applies.get(option, mode.is_redaction):
            raise UsageError(f"{option} does not apply to {name}", hint=f"Omit {option}.")
