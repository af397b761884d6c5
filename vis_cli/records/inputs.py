"""From what a user typed to the videos meant: files, folders of frames, folders of videos, patterns.

Used by the commands through `video.find_inputs`, and by `frame_folder`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}  # what OpenCV reads
)
VIDEO_SUFFIXES = frozenset(  # looked for in folders; a file that is named by itself may have any suffix
    {".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".hevc", ".m2ts", ".m4v", ".mjpeg"}
    | {".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files, folders of frames, folders of videos, folders of folders of frames, and patterns.

    A path that exists is itself even if it looks like a pattern. A folder with videos stands for each of them; one
    with images is one video; else its folders with images are one video each. Hidden files are passed over. Within
    each path the order is natural (2 before 10), and what is named twice is taken once.

    Raises:
        VisError: a path matches nothing, is a folder without videos and images, or cannot be read.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            for video in _expand(path):
                found.setdefault(video.resolve(), video)
        except OSError as error:
            raise VisError(f"{path}: cannot be read ({error.strerror})") from error
    return list(found.values())


def is_folder(path: str | Path) -> bool:
    """Tell whether what a user typed is a folder; a name that no file system takes is none."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for a name that is too long)


def folders_passed_over(path: str | Path) -> list[Path]:
    """List the folders of images beside the videos of a folder, where `find_inputs` takes the videos alone."""
    entries = _visible(Path(path)) if path and is_folder(path) else []
    has_videos = any(_is_video(entry) for entry in entries)
    return [entry for entry in entries if entry.is_dir() and image_files(entry)] if has_videos else []


def image_files(folder: Path) -> list[Path]:
    """List the images that lie in a folder, in natural order."""
    return [path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]


def _expand(path: str | Path) -> list[Path]:
    if not str(path):  # Path("") is the current folder, which an unset variable of the shell does not mean
        raise VisError("an input is named by an empty text; is a variable of the shell unset?")
    literal = Path(path)
    if literal.is_dir():
        videos = _videos_in(literal)
        if not videos:
            raise VisError(
                f"{path}: no videos and no images in this folder; those deeper in it need a pattern, quoted: "
                f"'{Path(glob.escape(str(path)), '**', '*.mp4')}'"
            )
        return videos
    if literal.exists():
        return [literal]
    matches = sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (the pattern may be absolute)
    videos = [video for match in map(Path, matches) for video in (_videos_in(match) if match.is_dir() else [match])]
    if not videos:
        raise VisError(f"{path}: no such file, folder or pattern")
    return videos


def _videos_in(folder: Path) -> list[Path]:
    entries = _visible(folder)
    videos = [path for path in entries if _is_video(path)]
    if videos:
        return videos
    if image_files(folder):
        return [folder]
    return [path for path in entries if path.is_dir() and image_files(path)]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _visible(folder: Path) -> list[Path]:
    entries = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(entries, key=lambda path: natural_key(path.name))
