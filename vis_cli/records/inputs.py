"""Expansion of the paths on the command line to videos: files, folders of frames, folders of videos, patterns.

Used by the commands through `video.find_inputs`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key
from vis_cli.files.reading import read_error, real_path
from vis_cli.files.urls import is_url, shown_url
from vis_cli.records.media_folder import MediaFolder, disguised_media, image_files, read_folder

_CAMERA = re.compile("[0-9]{1,3}")
_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files, folders of frames, folders of videos, folders of folders of frames, and patterns.

    A folder with images is one video. A folder with videos means all of its videos. A folder without videos means all
    of its folders with images. In a folder with videos, a single image, or images with the names of the videos, are
    posters instead of frames.

    A path that exists is not expanded as a pattern. Hidden files are omitted. The order within each path is natural (2
    before 10). A video that occurs twice is returned once. `files_left_out` returns the other media.

    Raises:
        VisError: A path matches nothing, is a folder without videos and images, or cannot be read.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            for video in _expand(path):
                found.setdefault(real_path(video), video)
        except OSError as error:
            raise read_error(path, error) from error
    return list(found.values())


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder; False for a name that the file system rejects."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for a name that is too long)


def files_left_out(path: str | Path) -> list[Path]:
    """Return the media in a path that `find_inputs` omits, except media next to frames, which `FrameFolder` reports."""
    if not str(path):
        return []
    folders = [path] if is_folder(path) else [match for match in _matches(path) if is_folder(match)]
    return [entry for folder in folders for entry in _choose(Path(folder))[1]]


def _expand(path: str | Path) -> list[Path]:
    if not str(path):  # Path("") would be the current folder
        raise VisError("cannot read an input: its name is empty", hint="Check the shell variables in the command.")
    literal = Path(path)
    if literal.is_dir():
        videos, _ = _choose(literal)
        if not videos:
            pattern = Path(glob.escape(str(path)), "**", "*.mp4")
            hint = f"For videos in deeper folders, use a pattern in quotes: '{pattern}'."
            raise VisError(f"cannot read {path}: no videos or images in this folder", hint=hint)
        return videos
    if literal.exists():
        return [literal]
    matches = map(Path, _matches(path))
    videos = [video for match in matches for video in (_choose(match)[0] if match.is_dir() else [match])]
    if not videos:
        raise _missing(path)
    return videos


def _matches(path: str | Path) -> list[str]:
    return sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (the pattern may be absolute)


def _missing(path: str | Path) -> VisError:
    if _ADDRESS.match(str(path)):
        hint = "For a live stream, add --live. Otherwise download the video, then pass the file."
        if is_url(str(path)):
            hint = f"To segment remote videos, use `vis batch`. {hint}"
        return VisError(f"cannot read {shown_url(str(path))}: URLs are not opened", hint=hint)
    if str(path) == "-":
        hint = "For live video from a pipe, add --live. Otherwise save the video to a file, then pass the file."
        return VisError("cannot read -: standard input is not a video", hint=hint)
    if _CAMERA.fullmatch(str(path)):
        problem = f"cannot read {path}: no such file, folder or pattern"
        return VisError(problem, hint=f"To segment camera {path}, add --live.")
    if os.path.islink(path):  # noqa: PTH114 (Path.is_symlink raises for a name that is too long)
        problem = f"cannot read {path}: the target of the symbolic link does not exist"
        return VisError(problem, hint="Restore the file.")
    return VisError(f"cannot read {path}: no such file, folder or pattern", hint="Check the path.")


def _choose(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the videos that a folder means, and the media in it that are omitted."""
    content = read_folder(folder)
    frames, videos = [*content.images, *content.unreadable_images], list(content.videos)
    sequences = [entry for entry in content.folders if _may_be_frames(entry)]
    others = [entry for entry in content.folders if entry not in sequences]
    if frames and (not (videos or sequences) or not _are_secondary(content)):
        return [folder], []
    if not videos and not sequences:
        return list(content.unreadable_videos), []  # inputs that fail
    loose = [*frames, *content.unreadable_videos, *disguised_media(content.unknown)]
    return (videos, [*loose, *sequences, *others]) if videos else (sequences, [*loose, *others])


def _may_be_frames(folder: Path) -> bool:
    try:
        content = read_folder(folder)
    except OSError:  # a broken link, or an unreadable folder: it stays an input, whose reader reports the error
        return True
    return bool(content.images or content.unreadable_images)


def _are_secondary(content: MediaFolder) -> bool:
    """Return whether images next to videos or folders are not the frames of a video.

    A poster shows what is in a video or a folder. Images that no decoder reads do not replace several videos. Next to
    one video, which may be a preview of them, they do.
    """
    frames = [*content.images, *content.unreadable_images]
    stems = {path.stem for path in content.videos}
    are_posters = len(frames) == 1 or all(path.stem in stems for path in frames)
    return are_posters or (not content.images and len(content.videos) > 1)


__all__ = ["files_left_out", "find_inputs", "image_files", "is_folder"]
