"""Pairs of videos and detection files by name. Used by `detection_file`."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key, printable
from vis_cli.files.reading import read_error, real_path, require_regular
from vis_cli.hints import nearest
from vis_cli.messages import Messages
from vis_cli.records.detection_formats.yolo import label_files
from vis_cli.records.detection_formats.yolo_names import NAME_FILES
from vis_cli.records.media_folder import listed

JSON_SUFFIX = ".json"
TEXT_SUFFIXES = frozenset({".csv", ".txt"})
DET_FILE = Path("det", "det.txt")  # of a folder of MOTChallenge
DIGITS = "0123456789"
NUM_SEARCHED = 20  # maximum number of videos whose names are compared for a message


def pair_detections(
    path: Path, sources: Sequence[Path], messages: Messages | None = None
) -> tuple[dict[Path, Path], list[Path]]:
    """Find the detections of each video.

    Args:
        path: A file for one video, or the folder of YOLO text files of one video. Or a folder with clip.json, clip.txt,
            clip.csv or a folder clip for each video clip.mp4. A folder clip contains det/det.txt or YOLO text files.
        sources: Video files and folders of images.
        messages: Receives a note if the folder is read as the YOLO text files of one video.

    Returns:
        The file or folder of each video that has one, and the files and folders that belong to no video.

    Raises:
        VisError: The path is missing, a file is given for several videos, two files or videos have the same name, or no
            video has a partner.
    """
    if not os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        require_regular(path)
        if len(sources) != 1:
            hint = "Pass a folder with one file per video."
            raise VisError(f"{path} is for one video, but there are {len(sources)} videos", hint=hint)
        return {sources[0]: path}, []
    candidates = _candidates(path)
    by_name = _sources_by_name(sources)
    pairs = {by_name[name]: _only(files) for name, files in candidates.items() if name in by_name}
    if not pairs and len(sources) == 1 and (has_det_file(path) or label_files(path)):
        if messages is not None and not has_det_file(path):
            name = printable(_name(sources[0]))
            messages.note(
                f"{path}: read as a folder of YOLO text files, because no file is named like the video {name}"
            )
        return {sources[0]: path}, []
    if not pairs:
        found = [file for files in candidates.values() for file in files]
        content = f"It contains {listed(found)}." if found else "It contains no detections."
        raise VisError(f"no file in {path} has the name of a video", hint=f"{content} {_remedy(path, by_name, found)}")
    others = [file for name, files in candidates.items() if name not in by_name for file in files]
    return pairs, others


def has_det_file(folder: Path) -> bool:
    """Return whether a folder contains the file of MOTChallenge. A folder that cannot be read does not."""
    return os.path.isfile(folder / DET_FILE)  # noqa: PTH113 (Path.is_file raises without permission)


def _remedy(path: Path, by_name: Mapping[str, Path], found: Sequence[Path]) -> str:
    """Return a remedy for a folder without detections of the videos: the nearest name, or an example."""
    example = f"{printable(next(iter(by_name), 'NAME'))}{JSON_SUFFIX}"
    remedy = f"Name the detections of a video like the video, such as {example}."
    if label_files(path):
        remedy = f"A folder of YOLO text files is for one video. For other formats, n{remedy[1:]}"
    frames = Counter(file.stem.rstrip(DIGITS) for file in found)  # several files clip_N.txt are frames, not a mistake
    names = {_plain(_stem(file)): file for file in found if frames[file.stem.rstrip(DIGITS)] == 1}
    for name in list(by_name)[:NUM_SEARCHED]:
        if near := nearest(name, names):
            file = names[near]
            suffix = "" if file.is_dir() else file.suffix
            return f"{remedy} Did you mean {printable(name + suffix)} instead of {printable(file.name)}?"
    return remedy


def _candidates(folder: Path) -> dict[str, list[Path]]:
    """Return the detection files in a folder by name."""
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name))
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in NAME_FILES:
                continue
            if entry.is_dir():
                if has_det_file(entry) or label_files(entry):
                    found[_plain(entry.name)].append(entry)
            elif entry.suffix.lower() in TEXT_SUFFIXES | {JSON_SUFFIX}:
                found[_plain(entry.stem)].append(entry)
    except OSError as error:
        raise read_error(folder, error) from error
    return found


def _sources_by_name(sources: Sequence[Path]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for source in sources:
        name = _name(source)
        if (other := by_name.setdefault(name, source)) != source:
            problem = f"{other} and {source} have the same name, so their detections cannot be told apart"
            raise VisError(problem, hint="Rename one of them, or segment them separately.")
    return by_name


def _name(source: Path) -> str:
    """Return the name of a video, as the name of its result: a link to a folder has its own name."""
    if source.name in ("", "..") or ".." in source.parts:
        source = real_path(source)  # '.' and '..' are not names
    return _plain(_stem(source))


def _stem(path: Path) -> str:
    """Return the name of a folder, or the name of a file without its file extension."""
    return path.name if path.is_dir() else path.stem


def _plain(name: str) -> str:
    """Return a name independently of how the file system stores accents (Unicode NFC)."""
    return unicodedata.normalize("NFC", name)


def _only(files: Sequence[Path]) -> Path:
    if len(files) > 1:
        names = " and ".join(printable(file.name) for file in files[:2])
        raise VisError(f"{names} are for the same video", where=files[0].parent, hint="Keep one of them.")
    return files[0]
