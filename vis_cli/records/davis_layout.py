"""Folders and lists of DAVIS: the sequences of a split, and the names and the size of their frames.

Used by `davis_benchmark` and `training.annotations`, and by `result_matching` for exports and checks.
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
from vis_cli.records.label_png import read_label_header

Task: TypeAlias = Literal["unsupervised", "semi-supervised"]

RESOLUTIONS = ("480p", "Full-Resolution")  # subfolders of the official packages; the benchmark uses 480p
FRAMES = "JPEGImages"
ANNOTATIONS: dict[Task, str] = {"unsupervised": "Annotations_unsupervised", "semi-supervised": "Annotations"}
LIST_SUFFIX = ".txt"
ROTATED = "The EXIF rotation of the frames is applied. Remove it from all frames, or rotate the masks like the frames."


@dataclass(frozen=True, slots=True)
class SequenceFrames:
    """One sequence and its frames."""

    name: str
    width: int
    height: int
    file_names: tuple[str, ...]  # of the frames in order, as <sequence>/<frame>.jpg

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Return the names of the frames without folder and file extension: 00000, 00005, …"""
        return tuple(PurePosixPath(file).stem for file in self.file_names)


@dataclass(frozen=True, slots=True)
class DavisFolders:
    """Folders of frames and masks. One of them can be None, for example the masks of a test split."""

    frames: Path | None
    masks: Path | None


def read_davis(path: Path) -> list[SequenceFrames]:
    """Read the sequences of a split, and check that all frames and masks exist and have the same size.

    Args:
        path: A list of sequences in a DAVIS folder, such as ImageSets/2017/val.txt, a DAVIS folder, or a folder of
            sequence folders.

    Raises:
        VisError: A folder, a frame or a mask is missing or has another size.
    """
    names: list[str] | None = None
    root = path
    if path.suffix.lower() == LIST_SUFFIX:
        names, root = read_sequence_list(path), find_davis_root(path)
    folders = find_davis_folders(root)
    if names is None:
        names = list_sequences(folders.frames or folders.masks or root)
    if folders.frames and folders.masks and not any((folders.masks / name).is_dir() for name in names):
        folders = DavisFolders(folders.frames, None)  # a test split
    return [_read_sequence(folders, name) for name in names]


def read_sequence_list(path: Path) -> list[str]:
    """Read a list with one sequence per line.

    Raises:
        VisError: The list cannot be read, is empty, or contains a path or the same sequence twice.
    """
    names = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if name := line.strip(" \t\r\f\v"):  # other spaces belong to the name, so that the error shows them
            where = f"{path}: line {number}"
            is_plain = "/" not in name and "\\" not in name and len(name.split()) == 1
            problem = f"{printable(name)!r} is not the name of a sequence"
            require(is_plain, where, problem, hint="Use one name per line.")
            names.append(safe_relative_path(name, where).name)
    require(bool(names), str(path), "the list is empty", hint="Use one name of a sequence per line.")
    require_unique(names, str(path))
    return names


def find_davis_folders(root: Path) -> DavisFolders:
    """Find the folders of frames and masks. A folder without the folders of DAVIS is itself the folder of frames.

    Raises:
        VisError: `root` is not a folder.
    """
    require(root.is_dir(), str(root), "not a folder", hint="Pass the folder that contains the sequences.")
    frames, masks = _find_frames(root), find_davis_masks(root)
    return DavisFolders(frames or (None if masks else root), masks)


def find_davis_masks(root: Path, task: Task | None = None) -> Path | None:
    """Return the folder with the masks of a task, or None.

    The masks of the other task differ, so they are not used instead. A plain layout, without folders for resolutions,
    has one Annotations folder for both tasks.

    Args:
        root: The DAVIS folder.
        task: The task. None accepts both, and prefers the masks of the unsupervised task.
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
    """Return the DAVIS folder that contains a list of sequences. If `path` is a folder, return it.

    Raises:
        VisError: The list is not inside a DAVIS folder.
    """
    if path.suffix.lower() != LIST_SUFFIX:
        return path
    for root in path.absolute().parents:
        if _find_frames(root) or find_davis_masks(root):
            return root
    problem = "the list is not inside a folder with JPEGImages or Annotations"
    raise VisError(problem, where=path, hint="Move the list into the DAVIS folder.")


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
            is_rotated = any(sizes[file] != read_image_size(file, upright=False) for file in {first, path} & {*frames})
            problem = f"the size is {size[0]}x{size[1]}, the size of {first} is {width}x{height}"
            raise VisError(problem, where=path, hint=ROTATED if is_rotated else "Use one size per sequence.")
    return SequenceFrames(name, width, height, tuple(f"{name}/{file.name}" for file in frames or masks))


def _list_frames(folder: Path) -> list[Path]:
    frames = image_files(folder) if folder.is_dir() else []
    hint = "Restore the frames, or remove the sequence from the list."
    require(bool(frames), str(folder), "the sequence has no frames", hint=hint)
    return frames


def _list_masks(folder: Path, *, num_frames: int) -> list[Path]:
    """Return the masks of a sequence; none if only the first frame has a mask (semi-supervised test splits)."""
    masks = list_label_pngs(folder)
    return masks if len(masks) > 1 or num_frames <= 1 else []


def _require_same_names(frames: Sequence[Path], masks: Sequence[Path]) -> None:
    have_frame, have_mask = ({path.stem for path in paths} for paths in (frames, masks))
    for mask in masks:
        problem = f"{frames[0].parent} has no frame of this name"
        require(mask.stem in have_frame, str(mask), problem, hint="Restore the frame.")
    for frame in frames:
        problem = f"{masks[0].parent} has no mask of this name"
        require(frame.stem in have_mask, str(frame), problem, hint="Restore the mask.")


def _read_size(path: Path, *, labels: bool) -> tuple[int, int]:
    """Return the width and the height of a frame after its EXIF rotation, or of a mask."""
    if labels:
        header = read_label_header(path)
        return header.width, header.height
    return read_image_size(path)
