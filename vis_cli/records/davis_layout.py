"""DAVIS on disk: which sequences a split has, and the names and the size of their frames.

Used by `matching`, for the exports and the checks that need a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.names import printable, safe_relative_path
from vis_cli.files.reading import read_text
from vis_cli.records.davis import list_label_pngs, list_sequences
from vis_cli.records.image_file import read_image_size
from vis_cli.records.inputs import image_files
from vis_cli.records.json_fields import require, require_unique
from vis_cli.records.png import read_label_header

Task: TypeAlias = Literal["unsupervised", "semi-supervised"]

RESOLUTIONS = ("480p", "Full-Resolution")  # subfolders of the official packages; the benchmark uses the first
FRAMES = "JPEGImages"
ANNOTATIONS: dict[Task, str] = {"unsupervised": "Annotations_unsupervised", "semi-supervised": "Annotations"}
LIST_SUFFIX = ".txt"
TURNED = "The EXIF rotation of the frames is applied. Remove it from all frames, or rotate the masks like the frames."


@dataclass(frozen=True, slots=True)
class SequenceFrames:
    """Name the frames of one sequence, in order."""

    name: str
    width: int
    height: int
    file_names: tuple[str, ...]  # with the folder before them

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Return the names without folder and suffix: 00000, 00005, …"""
        return tuple(PurePosixPath(file).stem for file in self.file_names)


@dataclass(frozen=True, slots=True)
class DavisFolders:
    """Hold where frames and masks lie; one of them may be absent, as the masks of a test split are."""

    frames: Path | None
    masks: Path | None


def read_davis(path: Path) -> list[SequenceFrames]:
    """Read the sequences of a split and see that every frame and mask is there and of one size.

    Args:
        path: a list of sequences inside a DAVIS folder, such as ImageSets/2017/val.txt; a DAVIS folder; or a folder of
            sequence folders.

    Raises:
        VisError: a folder, a frame or a mask is missing or of another size; the first one is named.
    """
    names: list[str] | None = None
    root = path
    if path.suffix.lower() == LIST_SUFFIX:
        names, root = read_sequence_list(path), find_davis_root(path)
    folders = find_davis_folders(root)
    if names is None:
        names = list_sequences(folders.frames or folders.masks or root)
    if folders.frames and folders.masks and not any((folders.masks / name).is_dir() for name in names):
        folders = DavisFolders(folders.frames, None)  # of a test split
    return [_read_sequence(folders, name) for name in names]


def read_sequence_list(path: Path) -> list[str]:
    """Read a list of sequences, one a line; a byte order mark is skipped.

    Raises:
        VisError: it cannot be read, is empty, or names a sequence twice or a path.
    """
    names = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if name := line.strip():
            where = f"{path}: line {number}"
            plain = "/" not in name and "\\" not in name and len(name.split()) == 1
            require(plain, where, f"{printable(name)!r} is no name of a sequence; put one on each line")
            names.append(safe_relative_path(name, where).name)
    require(bool(names), str(path), "names no sequence; it must hold one a line")
    require_unique(names, str(path))
    return names


def find_davis_folders(root: Path) -> DavisFolders:
    """Find where frames and masks lie; a folder without DAVIS's own folders holds sequence folders itself.

    Raises:
        VisError: `root` is no folder.
    """
    require(root.is_dir(), str(root), "is no folder; give the one that holds the sequences")
    frames, masks = _find_frames(root), find_davis_masks(root)
    return DavisFolders(frames or (None if masks else root), masks)


def find_davis_masks(root: Path, task: Task | None = None) -> Path | None:
    """Return the folder with the masks of a task, or None.

    The masks of the other task differ, so they are not used instead. A plain layout, without folders for resolutions,
    has one Annotations folder for both tasks.

    Args:
        root: The DAVIS folder.
        task: None accepts the masks of either task; those of the unsupervised task are preferred.
    """
    names = list(ANNOTATIONS.values()) if task is None else [ANNOTATIONS[task]]
    found = _first_folder(root, names)
    plain = root / ANNOTATIONS["semi-supervised"]
    is_plain = plain.is_dir() and _first_folder(root, [plain.name]) == plain
    return found or (plain if is_plain else None)


def _find_frames(root: Path) -> Path | None:
    return _first_folder(root, [FRAMES])


def _first_folder(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first existing folder, by resolution, then by name; folders without a resolution come last."""
    folders = (root / name / resolution for resolution, name in product((*RESOLUTIONS, ""), names))
    return next((folder for folder in folders if folder.is_dir()), None)


def find_davis_root(path: Path) -> Path:
    """Return the DAVIS folder that a list of sequences lies in; a folder is it itself.

    Raises:
        VisError: the list lies in no such folder.
    """
    if path.suffix.lower() != LIST_SUFFIX:
        return path
    for root in path.absolute().parents:
        if _find_frames(root) or find_davis_masks(root):
            return root
    raise VisError(f"{path}: lies in no folder with JPEGImages or Annotations, where its sequences would be")


def _read_sequence(folders: DavisFolders, name: str) -> SequenceFrames:
    frames = _list_frames(folders.frames / name) if folders.frames else []
    masks = _list_masks(folders.masks / name, num_frames=len(frames)) if folders.masks else []
    if frames and masks:
        _require_same_names(frames, masks)
    sizes = {path: _read_size(path, labels=False) for path in frames}
    sizes |= {path: _read_size(path, labels=True) for path in masks}
    first, (width, height) = next(iter(sizes.items()))
    for path, size in sizes.items():
        if size != (width, height):
            is_turned = any(sizes[file] != read_image_size(file, upright=False) for file in {first, path} & {*frames})
            rotation = f". {TURNED}" if is_turned else ""
            raise VisError(f"{path}: is {size[0]}x{size[1]}, but {first} is {width}x{height}{rotation}")
    return SequenceFrames(name, width, height, tuple(f"{name}/{file.name}" for file in frames or masks))


def _list_frames(folder: Path) -> list[Path]:
    frames = image_files(folder) if folder.is_dir() else []
    require(bool(frames), str(folder), "the sequence has no frames; restore them or take it off the list")
    return frames


def _list_masks(folder: Path, *, num_frames: int) -> list[Path]:
    """List a sequence's masks; none where only the first frame has one, as in the semi-supervised test splits."""
    masks = list_label_pngs(folder)
    return masks if len(masks) > 1 or num_frames <= 1 else []


def _require_same_names(frames: Sequence[Path], masks: Sequence[Path]) -> None:
    have_frame, have_mask = ({path.stem for path in paths} for paths in (frames, masks))
    for mask in masks:
        require(mask.stem in have_frame, str(mask), f"{frames[0].parent} has no frame of this name; restore it")
    for frame in frames:
        require(frame.stem in have_mask, str(frame), f"{masks[0].parent} has no mask of this name; restore it")


def _read_size(path: Path, *, labels: bool) -> tuple[int, int]:
    """Read an image's width and height as the readers of videos and of masks see it; a mask must hold labels."""
    if labels:
        header = read_label_header(path)
        return header.width, header.height
    return read_image_size(path)
