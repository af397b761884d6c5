"""DAVIS label maps: palette PNGs whose pixel value is the instance, and how a result is painted into them.

Used by `davis_submission` to write, by `davis_check` and `metrics.davis` to read and to score.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_IMAGE_BYTES
from vis_cli.files.names import natural_key, printable
from vis_cli.files.reading import read_bytes
from vis_cli.records.antialiasing import require_sharp
from vis_cli.records.palette import voc_palette
from vis_cli.records.png import decode_labels
from vis_cli.records.selection import rank_instances
from vis_cli.records.types import InstanceSequence, VideoInfo, VideoResult

MAX_PROPOSALS = 20  # the unsupervised protocol's limit a sequence
MAX_LABEL = 254  # of an object
VOID = 255  # ground-truth pixels that belong to nobody; never a legal prediction


def read_label_png(path: Path) -> NDArray[np.uint8]:
    """Read a palette or single-channel PNG as its (H, W) pixel values.

    Raises:
        VisError: the file is missing or damaged, or has colours instead of labels.
    """
    return decode_label_png(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))


def read_ground_truth(path: Path) -> NDArray[np.uint8]:
    """Read a label map as `read_label_png` does, and see that each of its values is meant.

    Raises:
        VisError: as `read_label_png`, or a grey PNG is antialiased or was a JPEG.
    """
    labels, header = decode_labels(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))
    if not header.is_palette:
        require_sharp(labels, str(path))
    return labels


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


def iter_label_maps(result: VideoResult, *, max_instances: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Paint each frame's instances into one (H, W) label map, the higher score over the lower.

    Args:
        result: Of any video.
        max_instances: The best so many are painted; None: all that started from given masks, else MAX_PROPOSALS.

    Raises:
        VisError: There are more instances than labels.
        ValueError: `max_instances` does not leave 0 for the background and 255 for void.
    """
    painted = label_instances(result, max_instances=max_instances)
    for frame in range(result.video.num_frames):
        labels = np.zeros((result.video.height, result.video.width), dtype=np.uint8)
        for label, instance in reversed(painted):
            mask = instance.mask(frame)
            if mask is not None:
                labels[mask] = label
        yield labels


def label_instances(result: VideoResult, *, max_instances: int | None = None) -> list[tuple[int, InstanceSequence]]:
    """Choose the pixel value of each instance, the best instance first; arguments and errors as in `iter_label_maps`.

    An instance that started from a given mask keeps its id from 1 to 254, and gets the lowest free label if it has
    another. Proposals keep their ids if all are from 1 to `max_instances`, and are numbered by rank if not.
    """
    is_given = result.given_masks is not None
    limit = (MAX_LABEL if is_given else MAX_PROPOSALS) if max_instances is None else max_instances
    if not 0 < limit < VOID:
        raise ValueError(f"max_instances is {max_instances}, but must be between 1 and {VOID - 1}")
    ranked = rank_instances(result.instances)
    if is_given:
        ranked = ranked if max_instances is None else ranked[:limit]
        return list(zip(_keep_labels(ranked, result.video.name), ranked, strict=True))
    ranked = ranked[:limit]
    ids = [instance.id for instance in ranked]
    labels = ids if all(1 <= id_ <= limit for id_ in ids) else range(1, len(ids) + 1)
    return list(zip(labels, ranked, strict=True))


def _keep_labels(instances: Sequence[InstanceSequence], video: str) -> list[int]:
    if len(instances) > MAX_LABEL:
        raise VisError(
            f"cannot write {video}: {len(instances)} objects, the limit is {MAX_LABEL}. Use --top {MAX_LABEL}."
        )
    ids = {instance.id for instance in instances}
    free = (label for label in range(1, VOID) if label not in ids)
    return [instance.id if 1 <= instance.id <= MAX_LABEL else next(free) for instance in instances]


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
    pngs = list_pngs(folder)
    if not pngs:
        raise VisError(f"{folder}: no PNG files; a sequence needs one a frame")
    return pngs


def list_pngs(folder: Path) -> list[Path]:
    """List PNGs as `list_label_pngs` does; a folder without any, or one that is missing, has none."""
    entries = folder.iterdir() if folder.is_dir() else ()
    pngs = [path for path in entries if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    by_stem: dict[str, Path] = {}
    for path in sorted(pngs, key=lambda path: natural_key(path.name)):
        if (other := by_stem.setdefault(path.stem, path)) is not path:
            raise VisError(f"{folder}: both {other.name} and {path.name} would be one frame; keep one of them")
    return list(by_stem.values())


def list_unpaired(ground_truth: Path, predictions: Path, sequences: Sequence[str]) -> list[str]:
    """Name the predicted PNGs of these sequences that have no ground truth, as <sequence>/<frame>.png."""
    unpaired = []
    for name in sequences:
        known = {path.stem for path in list_pngs(ground_truth / name)}
        unpaired += [f"{name}/{path.name}" for path in list_pngs(predictions / name) if path.stem not in known]
    return unpaired


def pair_with_frames(pngs: Sequence[Path], video: VideoInfo) -> list[Path]:
    """Return the PNG of each frame of a video: by name, or by order where the frames of the video have no names.

    Args:
        pngs: In natural order, at least one.
        video: Of a result.

    Raises:
        VisError: A frame or a PNG has no partner.
    """
    folder, name = pngs[0].parent, printable(video.name)
    if video.frame_names is None:
        if len(pngs) != video.num_frames:
            raise VisError(f"{name}: the result has {video.num_frames} frames, {folder} has {len(pngs)} PNGs")
        return list(pngs)
    by_stem = {png.stem: png for png in pngs}
    stems = [PurePosixPath(frame).stem for frame in video.frame_names]
    if missing := next((stem for stem in stems if stem not in by_stem), None):
        raise VisError(f"{name}: frame {printable(missing)} of the result has no PNG in {folder}")
    if unused := sorted(by_stem.keys() - set(stems), key=natural_key):
        raise VisError(f"{by_stem[unused[0]]}: the result of {name} has no frame of this name. Segment all frames.")
    return [by_stem[stem] for stem in stems]
