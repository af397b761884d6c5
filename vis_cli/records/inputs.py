"""From what a user typed to the videos meant: files, folders of frames, folders of videos, patterns.

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
from vis_cli.files.reading import real_path
from vis_cli.records.media_folder import MediaFolder, disguised_media, image_files, read_folder

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files, folders of frames, folders of videos, folders of folders of frames, and patterns.

    A path that exists is itself even if it looks like a pattern. A folder with images is one video. A folder with
    videos stands for each of them, otherwise its folders with images are one video each. A single image, or images
    that are named like the videos, are posters and not frames. Hidden files are passed over. Within each path the
    order is natural (2 before 10), and what is named twice is taken once. `files_left_out` lists the other media.

    Raises:
        VisError: a path matches nothing, is a folder without videos and images, or cannot be read.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            for video in _expand(path):
                found.setdefault(real_path(video), video)
        except OSError as error:
            raise VisError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return list(found.values())


def is_folder(path: str | Path) -> bool:
    """Tell whether what a user typed is a folder; a name that no file system takes is none."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for a name that is too long)


def files_left_out(path: str | Path) -> list[Path]:
    """List the media that `find_inputs` leaves out of what a user typed.

    Media next to the frames of one video are not listed here: `FrameFolder` reports them.
    """
    if not str(path):
        return []
    folders = [path] if is_folder(path) else [match for match in _matches(path) if is_folder(match)]
    return [entry for folder in folders for entry in _choose(Path(folder))[1]]


def _expand(path: str | Path) -> list[Path]:
    if not str(path):  # Path("") is the current folder, which an unset variable of the shell does not mean
        raise VisError("an input is named by an empty text; is a variable of the shell unset?")
    literal = Path(path)
    if literal.is_dir():
        videos, _ = _choose(literal)
        if not videos:
            raise VisError(
                f"{path}: no videos and no images in this folder; those deeper in it need a pattern, quoted: "
                f"'{Path(glob.escape(str(path)), '**', '*.mp4')}'"
            )
        return videos
    if literal.exists():
        return [literal]
    matches = map(Path, _matches(path))
    videos = [video for match in matches for video in (_choose(match)[0] if match.is_dir() else [match])]
    if not videos:
        raise VisError(_why_missing(path))
    return videos


def _matches(path: str | Path) -> list[str]:
    return sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (the pattern may be absolute)


def _why_missing(path: str | Path) -> str:
    if _ADDRESS.match(str(path)):
        return f"cannot read {path}: addresses are not opened. Download the video, then pass the file."
    if str(path) == "-":
        return "cannot read -: standard input is not a video. Save the video to a file, then pass the file."
    if os.path.islink(path):  # noqa: PTH114 (Path.is_symlink raises for a name that is too long)
        return f"cannot read {path}: the target of the symbolic link does not exist. Restore the file."
    return f"{path}: no such file, folder or pattern"


def _choose(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the videos that a folder stands for, and the media in it that are left out."""
    content = read_folder(folder)
    frames, videos = [*content.images, *content.unreadable], list(content.videos)
    sequences = [entry for entry in content.folders if _may_be_frames(entry)]
    others = [entry for entry in content.folders if entry not in sequences]
    if frames and (not (videos or sequences) or not _are_posters(content)):
        return [folder], []
    if not videos and not sequences:
        return [], []
    loose = [*frames, *disguised_media(content.unknown)]
    return (videos, [*loose, *sequences, *others]) if videos else (sequences, [*loose, *others])


def _may_be_frames(folder: Path) -> bool:
    try:
        content = read_folder(folder)
    except OSError:  # a broken link, or a folder that cannot be read: an input that fails
        return True
    return bool(content.images or content.unreadable)


def _are_posters(content: MediaFolder) -> bool:
    """Tell whether images next to videos or folders show what is in these, instead of being frames."""
    frames = [*content.images, *content.unreadable]
    stems = {path.stem for path in content.videos}
    return len(frames) == 1 or all(path.stem in stems for path in frames)


__all__ = ["files_left_out", "find_inputs", "image_files", "is_folder"]
