"""DAVIS label maps: palette PNGs whose pixel value is the instance, and how a result is painted into them.

Used by `davis_submission` to write, by `davis_check` and `metrics.davis` to read and to score.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_IMAGE_BYTES
from vis_cli.files.names import natural_key
from vis_cli.files.reading import read_bytes
from vis_cli.records.png import decode_labels
from vis_cli.records.selection import rank_instances
from vis_cli.records.types import InstanceSequence, VideoResult

MAX_PROPOSALS = 20  # the unsupervised protocol's limit a sequence
VOID = 255  # ground-truth pixels that belong to nobody; never a legal prediction


def read_label_png(path: Path) -> NDArray[np.uint8]:
    """Read a palette or single-channel PNG as its (H, W) pixel values.

    Raises:
        VisError: the file is missing or damaged, or has colours instead of labels.
    """
    return decode_label_png(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))


def decode_label_png(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode the bytes of a PNG as `read_label_png` does; `where` names it in errors."""
    return decode_labels(data, where)[0]


def write_label_png(labels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W) labels as a palette PNG in PASCAL VOC's colours.

    Raises:
        VisError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_label_png(labels))


def encode_label_png(labels: NDArray[np.uint8]) -> bytes:
    """Return the bytes of what `write_label_png` writes."""
    image, stream = Image.fromarray(labels), io.BytesIO()
    image.putpalette(voc_palette().tobytes())
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def iter_label_maps(result: VideoResult, *, max_instances: int = MAX_PROPOSALS) -> Iterator[NDArray[np.uint8]]:
    """Paint each frame's instances into one (H, W) label map, the higher score over the lower.

    Raises:
        ValueError: `max_instances` does not leave 0 for the background and 255 for void.
    """
    if not 0 < max_instances < VOID:
        raise ValueError(f"max_instances is {max_instances}, but must be between 1 and {VOID - 1}")
    ranked = rank_instances(result.instances)[:max_instances]
    painted = list(zip(instance_labels(ranked, max_instances), ranked, strict=True))
    for frame in range(result.video.num_frames):
        labels = np.zeros((result.video.height, result.video.width), dtype=np.uint8)
        for label, instance in reversed(painted):
            mask = instance.mask(frame)
            if mask is not None:
                labels[mask] = label
        yield labels


def instance_labels(ranked: Sequence[InstanceSequence], max_instances: int) -> list[int]:
    """Choose the pixel value of each instance: its id, so that given masks keep their value, or else its rank from 1.

    Ranks are taken for all of them as soon as one id does not fit between 1 and `max_instances`.
    """
    ids = [instance.id for instance in ranked]
    return ids if all(1 <= i <= max_instances for i in ids) else list(range(1, len(ids) + 1))


def voc_palette() -> NDArray[np.uint8]:
    """Return PASCAL VOC's colour map: uint8 (256, 3) RGB, black first.

    Bit 3k+c of a label becomes bit 7-k of channel c, so that neighbouring labels differ most.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


def list_sequences(folder: Path) -> list[str]:
    """Name the sequence folders of a DAVIS annotation or result folder, in natural order; hidden ones are left out.

    Raises:
        VisError: there is none.
    """
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    shown = sorted((name for name in names if not name.startswith(".")), key=natural_key)
    if not shown:
        raise VisError(f"{folder}: no sequence folders; give the folder that holds <sequence>/<frame>.png")
    return shown


def list_label_pngs(folder: Path) -> list[Path]:
    """List the PNGs of one sequence in natural order; hidden files, as macOS writes them, are left out.

    Raises:
        VisError: there is none, or two have one name but for the case of their suffix.
    """
    entries = folder.iterdir() if folder.is_dir() else ()
    pngs = [path for path in entries if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    if not pngs:
        raise VisError(f"{folder}: no PNG files; a sequence needs one a frame")
    by_stem: dict[str, Path] = {}
    for path in sorted(pngs, key=lambda path: natural_key(path.name)):
        if (other := by_stem.setdefault(path.stem, path)) is not path:
            raise VisError(f"{folder}: both {other.name} and {path.name} would be one frame; keep one of them")
    return list(by_stem.values())
