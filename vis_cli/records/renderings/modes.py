"""The modes of `vis render --as`, each with its painter.

Used by `commands.render`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from vis_cli.records.overlay import OverlayPainter
from vis_cli.records.renderings.cutouts import GREEN, WHITE, AlphaPainter, BackgroundPainter, MattePainter
from vis_cli.records.renderings.painter import Look, Painter
from vis_cli.records.renderings.redaction import Redactor, blur, grey_out, pixelate
from vis_cli.records.types import InstanceSequence, VideoResult

MakePainter: TypeAlias = Callable[[VideoResult, Sequence[InstanceSequence], Look], Painter]

CONTACT_SHEET = "contact-sheet"
MP4, PNG, JPEG = ".mp4", ".png", ".jpg"


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode."""

    help: str
    make: MakePainter | None  # None: an image of the whole video, not a painter of frames
    in_folder: str = MP4  # default extension of the files in an output folder
    per_object: bool = False  # whether one file per object is possible
    has_background: bool = False
    is_redaction: bool = False
    has_blocks: bool = False
    verb: str = "drawn"  # what was done with the instances, for the message at the end


def has_alpha(name: str, look: Look) -> bool:
    """Return whether a mode writes transparent pixels."""
    return name == "alpha" or (name == "cutout" and look.background == "transparent")


def _cutout(result: VideoResult, instances: Sequence[InstanceSequence], look: Look) -> Painter:
    if look.background == "transparent":
        return AlphaPainter(instances)
    return BackgroundPainter(instances, WHITE if look.background == "white" else GREEN)


MODES: dict[str, Mode] = {
    "overlay": Mode("masks and tags over the video", lambda result, instances, look: OverlayPainter(result, instances)),
    "matte": Mode(
        "masks in white on black",
        lambda result, instances, look: MattePainter(instances),
        in_folder=PNG,
        per_object=True,
        verb="written",
    ),
    "alpha": Mode(
        "objects with transparent surroundings",
        lambda result, instances, look: AlphaPainter(instances),
        in_folder=PNG,
        per_object=True,
        verb="written",
    ),
    "cutout": Mode(
        "objects on a background", _cutout, in_folder=PNG, per_object=True, has_background=True, verb="written"
    ),
    "blur": Mode("blurred objects", partial(Redactor, hide=blur), is_redaction=True, has_blocks=True, verb="blurred"),
    "pixelate": Mode(
        "pixelated objects", partial(Redactor, hide=pixelate), is_redaction=True, has_blocks=True, verb="pixelated"
    ),
    "grey-out": Mode("objects in grey", partial(Redactor, hide=grey_out), is_redaction=True, verb="greyed out"),
    CONTACT_SHEET: Mode("one image with a thumbnail of each instance", None, in_folder=JPEG),
}
