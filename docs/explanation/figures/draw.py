"""Draw the figures of docs/explanation as SVG. Run it from the repository's root after a change.

python docs/explanation/figures/draw.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent

INK, GREY, LIGHT, PANEL, KEY = "#1f2933", "#7b8794", "#cbd2d9", "#f5f7fa", "#c81e1e"
COLOURS = {"cat": ("#2563eb", "#9dbcf7"), "ball": ("#d97706", "#ecc08a")}  # detected, propagated

NUM_FRAMES, NUM_KEY_FRAMES = 9, 3
KEY_FRAMES = tuple(max(NUM_FRAMES // NUM_KEY_FRAMES, 1) * k for k in range(NUM_KEY_FRAMES))  # Eq. 1
LEFT, STEP, CELL = 190, 62, 50  # of the frames, in pixels


@dataclass(frozen=True)
class Proposal:
    """A row of the figure: one object, propagated from one key frame."""

    key_frame: int
    index: int  # o, the number of the object in its key frame
    thing: str
    frames: Iterable[int]  # where its mask is not empty
    score: str
    fate: str
    kept: bool

    @property
    def name(self) -> str:
        """Return the sub- and superscript of S."""
        return subscript("S", str(self.key_frame // STEP_OF_KEYS), str(self.index))


STEP_OF_KEYS = KEY_FRAMES[1]
PROPOSALS = (
    Proposal(0, 0, "cat", range(7), "0.71", "removed: IoU 0.8 with the kept cat", kept=False),
    Proposal(3, 0, "cat", range(9), "0.84", "kept", kept=True),
    Proposal(3, 1, "ball", range(2, 9), "0.62", "kept", kept=True),
    Proposal(6, 0, "cat", range(1, 9), "0.79", "removed: IoU 0.9 with the kept cat", kept=False),
    Proposal(6, 1, "ball", range(3, 9), "0.58", "removed: IoU 0.9 with the kept ball", kept=False),
)


def subscript(base: str, low: str, high: str = "") -> str:
    """Return a symbol with a lower and an upper index as SVG text content."""
    raised = f'<tspan dy="-9" font-size="10">{high}</tspan>' if high else ""
    return f'<tspan font-style="italic">{base}</tspan><tspan dy="4" font-size="10">{low}</tspan>{raised}'


def text(
    x: float, y: float, content: str, *, size: int = 13, colour: str = INK, anchor: str = "start", bold: bool = False
) -> str:
    """Return a line of text; `content` may hold tspans."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{content}</text>'
    )


def box(
    x: float, y: float, width: float, height: float, *, fill: str = "white", line: str = GREY, bold: int = 1
) -> str:
    """Return a rectangle."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{line}"'
        f' stroke-width="{bold}"/>'
    )


def arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    """Return a straight arrow."""
    return bent_arrow((x0, y0), (x1, y1))


def bent_arrow(*points: tuple[float, float]) -> str:
    """Return an arrow through some points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-width="1.5" marker-end="url(#head)"/>'


def thing(name: str, x: float, y: float, *, strong: bool, size: float = 9) -> str:
    """Return an object around (x, y): the cat is a square, the ball a circle; a detection has an outline."""
    colour = COLOURS[name][0 if strong else 1]
    outline = f' stroke="{INK}" stroke-width="2"' if strong else ""
    if name == "ball":
        return f'<circle cx="{x:g}" cy="{y:g}" r="{size:g}" fill="{colour}"{outline}/>'
    side = 2 * size
    return f'<rect x="{x - size:g}" y="{y - size:g}" width="{side:g}" height="{side:g}" fill="{colour}"{outline}/>'


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return a file with a white background, readable on dark pages."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="Helvetica, Arial, sans-serif">'
    )
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/></marker></defs>'
    )
    background = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", marker, background, *parts, "</svg>", ""])


def column(frame: int) -> float:
    """Return the x of the middle of a frame."""
    return LEFT + frame * STEP + CELL / 2


def draw_video(y: float) -> list[str]:
    """Draw the frames; key frames have a thick border."""
    parts = [text(20, y + 22, "Video", bold=True), text(20, y + 40, f"T = {NUM_FRAMES}, K = {NUM_KEY_FRAMES}", size=12)]
    for frame in range(NUM_FRAMES):
        is_key = frame in KEY_FRAMES
        parts.append(box(column(frame) - CELL / 2, y, CELL, 44, line=KEY if is_key else GREY, bold=3 if is_key else 1))
        parts.append(thing("cat", column(frame) - 12 + 2 * frame, y + 26, strong=False, size=8))
        if frame >= 2:
            parts.append(thing("ball", column(frame) + 16 - 2 * frame, y + 12, strong=False, size=5))
        if is_key:
            label = f"g({frame // STEP_OF_KEYS}) = {frame}"
            parts.append(text(column(frame), y + 60, label, size=12, colour=KEY, anchor="middle"))
    return parts


def draw_proposal(proposal: Proposal, y: float) -> list[str]:
    """Draw a row: the detection in its key frame, and the propagated masks in both directions."""
    parts = [text(150, y + 5, proposal.name, anchor="middle")]
    shown = list(proposal.frames)
    x = column(proposal.key_frame)
    if proposal.key_frame < NUM_FRAMES - 1:
        parts.append(arrow(x, y, column(NUM_FRAMES - 1) + 22, y))
    if proposal.key_frame > 0:
        parts.append(arrow(x, y, column(0) - 22, y))
    parts += [thing(proposal.thing, column(t), y, strong=t == proposal.key_frame) for t in shown]
    colour = INK if proposal.kept else GREY
    parts.append(text(770, y + 5, proposal.score, anchor="middle", colour=colour))
    parts.append(text(810, y + 5, proposal.fate, size=12, colour=colour, bold=proposal.kept))
    return parts


def draw_method() -> str:
    """Draw the two stages of the method on one example."""
    parts = draw_video(20)
    parts += [box(10, 100, 1050, 236, fill=PANEL, line=LIGHT), text(20, 122, "1. Propose", bold=True)]
    parts += [text(20, 142, "Sec. 3.1, Alg. 1", size=12), text(20, 158, "Eq. 1", size=12)]
    parts += [text(770, 122, "score", size=12, anchor="middle"), text(770, 138, "Eq. 2", size=12, anchor="middle")]
    parts += [text(810, 122, "2. Reduce", bold=True), text(810, 138, "Sec. 3.2: NMS with the IoU of Eq. 3", size=12)]
    for row, proposal in enumerate(PROPOSALS):
        parts += draw_proposal(proposal, 172 + 34 * row)
    parts += [box(10, 350, 1050, 96, fill=PANEL, line=LIGHT), text(20, 372, "Result", bold=True)]
    for row, proposal in enumerate(p for p in PROPOSALS if p.kept):
        y = 382 + 36 * row
        parts.append(text(150, y + 5, proposal.thing, anchor="middle"))
        parts += [thing(proposal.thing, column(t), y, strong=False) for t in proposal.frames]
        parts.append(text(770, y + 5, proposal.score, anchor="middle"))
        parts.append(text(810, y + 5, f"instance {row + 1}", size=12))
    legend = (
        "Outlined: detected in a key frame (red border). Not outlined: propagated with the memory. Scores are examples."
    )
    parts.append(text(20, 470, legend, size=12, colour=GREY))
    return svg(1070, 484, "Propose-Reduce on a video of nine frames with three key frames", parts)


def module(x: float, y: float, width: float, title: str, detail: str, *, fill: str = "white") -> list[str]:
    """Draw a box with a name and a smaller line under it."""
    parts = [box(x, y, width, 46, fill=fill), text(x + width / 2, y + 20, title, anchor="middle", bold=True)]
    return [*parts, text(x + width / 2, y + 37, detail, size=11, colour=GREY, anchor="middle")]


def draw_network() -> str:
    """Draw Seq Mask R-CNN: shared features, the heads of Mask R-CNN, and the Seq-Prop head."""
    parts = [text(20, 30, "Seq Mask R-CNN", bold=True, size=15)]
    parts += [*module(20, 60, 120, "Frame", "RGB, padded"), arrow(140, 83, 176, 83)]
    parts += [*module(180, 60, 130, "Backbone, FPN", "C2 to C5, P2 to P6"), arrow(310, 83, 366, 83)]
    parts += [*module(370, 60, 150, "Detector", "RPN, box and mask head"), arrow(520, 83, 576, 83)]
    parts += module(580, 60, 220, "Boxes, classes, masks", "key frames: detections")
    parts.append(text(345, 76, "P2 to P6", size=11, colour=GREY, anchor="middle"))
    parts.append(box(180, 150, 740, 236, fill=PANEL, line=LIGHT))
    parts.append(text(192, 172, "Seq-Prop head", bold=True))
    parts.append(text(192, 190, "weights shared by all objects", size=11, colour=GREY))
    parts += [arrow(245, 106, 245, 146)]
    parts.append(text(252, 130, "P2, C2, C3", size=11, colour=GREY))
    parts += module(200, 210, 200, "Memorize", "encode(P2 + conv(mask))", fill="white")
    parts += module(200, 310, 200, "Query", "encode(P2), once per frame", fill="white")
    parts += [arrow(400, 233, 446, 233), text(423, 225, "k, v", size=11, colour=GREY, anchor="middle")]
    parts += module(450, 210, 160, "Memory bank", "frames of each object")
    parts += [arrow(530, 256, 530, 306), text(540, 286, "K, V", size=11, colour=GREY)]
    parts += [arrow(400, 333, 446, 333), text(423, 325, "Q", size=11, colour=GREY, anchor="middle")]
    parts += module(450, 310, 160, "Readout", "softmax(Q·K / √d) · V")
    parts += [arrow(610, 333, 646, 333)]
    parts += module(650, 310, 120, "Decode", "+ C3, then + C2")
    parts += [arrow(770, 333, 796, 333)]
    parts += module(800, 310, 110, "Aggregate", "objects compete")
    parts.append(bent_arrow((855, 310), (855, 196), (300, 196), (300, 206)))
    parts.append(text(700, 190, "masks of this frame: memory update", size=11, colour=GREY, anchor="middle"))
    parts += [arrow(855, 356, 855, 402), text(855, 418, "masks of the query frame", size=12, anchor="middle")]
    parts.append(bent_arrow((690, 106), (690, 130), (380, 130), (380, 206)))
    parts.append(text(540, 124, "key-frame masks: first memory entry", size=11, colour=GREY, anchor="middle"))
    return svg(940, 434, "Seq Mask R-CNN and its sequence propagation head", parts)


FIGURES = {"propose-reduce.svg": draw_method, "seq-mask-rcnn.svg": draw_network}


def main() -> None:
    """Write the SVG files next to this file."""
    for name, draw in FIGURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
