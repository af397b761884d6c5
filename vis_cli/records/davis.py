"""Label maps of DAVIS, palette PNGs whose pixel value is the instance, and conversion of results to label maps.

Used by `davis_submission` for writing, and by `davis_check` and `metrics.davis` for reading.
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
from vis_cli.records.label_png import decode_labels
from vis_cli.records.palette import voc_palette
from vis_cli.records.selection import rank_instances
from vis_cli.records.types import InstanceSequence, VideoInfo, VideoResult, gives_all_objects

MAX_PROPOSALS = 20  # limit of the unsupervised protocol per sequence
MAX_LABEL = 254  # maximum label of an object
VOID = 255  # pixels of the ground truth that are not scored; not valid in a prediction


def read_label_png(path: Path) -> NDArray[np.uint8]:
    """Read the (H, W) pixel values of a palette or single-channel PNG.

    Raises:
        VisError: The file is missing or damaged, or has colours instead of labels.
    """
    return decode_label_png(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))


def read_ground_truth(path: Path) -> NDArray[np.uint8]:
    """Read a label map (H, W) of the ground truth, and check that its values are labels.

    Raises:
        VisError: The file cannot be read (see `read_label_png`), or a grey PNG is antialiased or was a JPEG.
    """
    labels, header = decode_labels(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))
    if not header.is_palette:
        require_sharp(labels, str(path))
    return labels


def decode_label_png(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode the content of a palette or single-channel PNG to its (H, W) pixel values.

    Args:
        data: Content of the file.
        where: File, for the error message.

    Raises:
        VisError: The PNG is damaged, or has colours instead of labels.
    """
    return decode_labels(data, where)[0]


def write_label_png(labels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W) labels as a palette PNG in the colours of PASCAL VOC.

    Raises:
        VisError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_label_png(labels))


def encode_label_png(labels: NDArray[np.uint8]) -> bytes:
    """Encode (H, W) labels as a palette PNG in the colours of PASCAL VOC, and return its bytes."""
    image, stream = Image.fromarray(labels), io.BytesIO()
    image.putpalette(voc_palette().tobytes())
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def iter_label_maps(result: VideoResult, *, max_instances: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield the (H, W) label map of each frame. A pixel has the label of the instance of highest score.

    Args:
        result: The result of one video.
        max_instances: Maximum number of instances, by descending score, from 1 to 254. None is MAX_PROPOSALS for
            detected instances, and no limit for given masks.

    Raises:
        VisError: There are more instances than labels.
        ValueError: `max_instances` is out of range. 0 is background and 255 is void.
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
    """Return the label and the instance, by descending score. For arguments and errors see `iter_label_maps`.

    An instance from a given mask keeps an id from 1 to 254. With another id, it gets the lowest free label. Detected
    instances keep their ids if all ids are from 1 to `max_instances`. Otherwise they are numbered by rank.
    """
    is_given = gives_all_objects(result.given_masks, result.given_prompts)
    limit = (MAX_LABEL if is_given else MAX_PROPOSALS) if max_instances is None else max_instances
    if not 0 < limit < VOID:
        raise ValueError(f"max_instances is {max_instances}; use a value from 1 to {VOID - 1}")
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
        problem = f"cannot write {printable(video)}: {len(instances)} objects, the limit is {MAX_LABEL}"
        raise VisError(problem, hint=f"Use --top {MAX_LABEL}.")
    ids = {instance.id for instance in instances}
    free = (label for label in range(1, VOID) if label not in ids)
    return [instance.id if 1 <= instance.id <= MAX_LABEL else next(free) for instance in instances]


def list_sequences(folder: Path) -> list[str]:
    """Return the names of the sequence folders in a DAVIS annotation or result folder, in natural order.

    Hidden folders are omitted.

    Raises:
        VisError: There are no sequence folders.
    """
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    shown = sorted((name for name in names if not name.startswith(".")), key=natural_key)
    if not shown:
        raise VisError("no sequence folders", where=folder, hint="Pass the folder of <sequence>/<frame>.png.")
    return shown


def list_label_pngs(folder: Path) -> list[Path]:
    """Return the PNGs of one sequence in natural order. Hidden files, which macOS creates, are omitted.

    Raises:
        VisError: There are no PNGs, or two names differ only in the case of the file extension.
    """
    pngs = list_pngs(folder)
    if not pngs:
        raise VisError("no PNG files", where=folder, hint="Add one PNG per frame.")
    return pngs


def list_pngs(folder: Path) -> list[Path]:
    """Return the PNGs of one sequence in natural order. The list is empty if the folder is empty or missing.

    Raises:
        VisError: Two names differ only in the case of the file extension.
    """
    entries = folder.iterdir() if folder.is_dir() else ()
    pngs = [path for path in entries if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    by_stem: dict[str, Path] = {}
    for path in sorted(pngs, key=lambda path: natural_key(path.name)):
        if (other := by_stem.setdefault(path.stem, path)) is not path:
            problem = f"{printable(other.name)} and {printable(path.name)} are the same frame"
            raise VisError(problem, where=folder, hint="Keep one of them.")
    return list(by_stem.values())


def list_unpaired(ground_truth: Path, predictions: Path, sequences: Sequence[str]) -> list[str]:
    """Return the predicted PNGs of the given sequences without ground truth, as <sequence>/<frame>.png."""
    unpaired = []
    for name in sequences:
        known = {path.stem for path in list_pngs(ground_truth / name)}
        unpaired += [f"{name}/{path.name}" for path in list_pngs(predictions / name) if path.stem not in known]
    return unpaired


def pair_with_frames(pngs: Sequence[Path], video: VideoInfo) -> list[Path]:
    """Return the PNG of each frame of a video, by name, or by order if the frames have no names.

    Args:
        pngs: At least one PNG, in natural order.
        video: The video of a result.

    Raises:
        VisError: A frame has no PNG, or a PNG has no frame.
    """
    folder, name = pngs[0].parent, printable(video.name)
    if video.frame_names is None:
        if video.part is not None:
            problem = f"the result covers only a part of the video: {video.part}"
            raise VisError(problem, where=name, hint="Segment all frames.")
        if len(pngs) != video.num_frames:
            problem = f"the result has {video.num_frames} frames, {folder} has {len(pngs)} PNGs"
            raise VisError(problem, where=name, hint="Segment all frames.")
        return list(pngs)
    by_stem = {png.stem: png for png in pngs}
    stems = [PurePosixPath(frame).stem for frame in video.frame_names]
    if missing := next((stem for stem in stems if stem not in by_stem), None):
        problem = f"frame {printable(missing)} of the result has no PNG in {folder}"
        raise VisError(problem, where=name, hint="Add the PNG, or segment only the frames with ground truth.")
    if unused := sorted(by_stem.keys() - set(stems), key=natural_key):
        problem = f"the result of {name} has no frame of this name"
        raise VisError(problem, where=by_stem[unused[0]], hint="Segment all frames.")
    return [by_stem[stem] for stem in stems]
