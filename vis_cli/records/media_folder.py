"""Classification of the entries of a folder: images, videos, folders with media, and formats that are not decoded.

Used by `inputs` and `frame_folder`. Each file that can be a media file is in one of the lists, so that `vis` reports
the files that it does not use.
"""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key
from vis_cli.files.reading import open_regular
from vis_cli.records.frame_order import in_frame_order

IMAGE_SUFFIXES = frozenset(  # formats that OpenCV reads
    {".avif", ".bmp", ".dib", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".ras"}
    | {".sr", ".tif", ".tiff", ".webp"}
)
VIDEO_SUFFIXES = frozenset(  # of videos in folders; a file on the command line can have any extension
    {".264", ".265", ".3g2", ".3gp", ".amv", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264"}
    | {".h265", ".hevc", ".insv", ".ivf", ".lrv", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg"}
    | {".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpg4", ".mts", ".mxf", ".nut", ".obu", ".ogm"}
    | {".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".xvid", ".y4m"}
)
UNREADABLE_IMAGES = frozenset(  # file extensions of images that `vis` does not decode
    {".3fr", ".arw", ".cin", ".cr2", ".cr3", ".dcm", ".dcr", ".dng", ".dpx", ".erf", ".exr", ".fff", ".fit", ".fits"}
    | {".flif", ".fts", ".hdr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".icb", ".iiq", ".j2c", ".j2k", ".jls"}
    | {".jpc", ".jpf", ".jpm", ".jpx", ".jxl", ".jxr", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"}
    | {".pam", ".pcx", ".pef", ".pfm", ".pic", ".psb", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".rwl", ".sgi", ".sr2"}
    | {".srf", ".srw", ".targa", ".tga", ".vda", ".vst", ".wdp", ".x3f", ".xcf"}
)
UNREADABLE_VIDEOS = frozenset({".ari", ".arx", ".bik", ".bk2", ".braw", ".cine", ".crm", ".r3d"})  # videos
INCOMPLETE_SUFFIXES = frozenset({".crdownload", ".download", ".opdownload", ".part", ".partial"})  # of downloads
SIGNATURES = (  # of images, then of videos
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    *(b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"DDS ", b"8BPS", b"v/1\x01", b"#?RADIANCE"),
    *(b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"\0\0\0\x01", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11"),
    *(b"SIMPLE  =", b"DKIF", b"YUV4MPEG2", b"\x06\x0e+4\x02\x05\x01\x01"),
)
TS_PACKET_BYTES = 188  # each packet of a transport stream starts with "G"
M2TS_PACKET_BYTES = 192  # a packet of a transport stream after 4 bytes of time, as cameras write it
NUM_NAMED = 5  # maximum number of file names in a message


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """The visible entries of a folder by kind.

    The file extension decides between image and video, even for a broken link, a pipe or an empty folder. The reader
    of such an entry reports the error, and the frames after it keep their index.
    """

    images: tuple[Path, ...]  # in frame order
    order: str | None  # assumption about the order as a sentence; None without an assumption
    videos: tuple[Path, ...]
    unreadable_images: tuple[Path, ...]  # in formats that are not decoded, and incomplete downloads
    unreadable_videos: tuple[Path, ...]
    folders: tuple[Path, ...]  # with images or videos
    unknown: tuple[Path, ...]  # files with other extensions


def read_folder(folder: Path) -> MediaFolder:
    """Classify the entries of a folder.

    Raises:
        OSError: The folder cannot be read.
    """
    kinds: defaultdict[str, list[Path]] = defaultdict(list)
    entries = _visible(folder)
    for path in entries:
        kinds[_kind(path)].append(path)
    images, videos = kinds["image"], kinds["video"]
    if all(path.is_dir() for path in images):  # folders whose names end like image files
        kinds["folder"] += images
        images = []
    ordered, order = in_frame_order(images)
    return MediaFolder(
        images=tuple(ordered),
        order=order,
        videos=tuple(videos),
        unreadable_images=tuple(kinds["unreadable image"]),
        unreadable_videos=tuple(kinds["unreadable video"]),
        folders=tuple(path for path in kinds["folder"] if _holds_media(path)),
        unknown=tuple(kinds["unknown"]),
    )


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder in frame order, including unreadable files with the extension of an image."""
    images = [path for path in _visible(folder) if _suffix(path) in IMAGE_SUFFIXES]
    return [] if all(path.is_dir() for path in images) else in_frame_order(images)[0]


def disguised_media(paths: Iterable[Path]) -> list[Path]:
    """Return the files with the signature of an image or a video in their first bytes, and any file extension."""
    return [path for path in paths if _begins_like_media(path)]


def require_readable_suffix(path: Path) -> None:
    """Reject a file whose extension belongs to a format that is not decoded, or to an incomplete download.

    Raises:
        VisError: The file is rejected.
    """
    if problem := suffix_problem(path):
        raise problem


def suffix_problem(path: Path) -> VisError | None:
    """Return the error for a file that cannot be read because of its extension, or None."""
    suffix = _suffix(path)
    if suffix in INCOMPLETE_SUFFIXES:
        return VisError(f"cannot read {path}: the download is incomplete", hint="Finish the download.")
    problem = f"cannot read {path}: {path.suffix} files are not decoded"
    if suffix in UNREADABLE_VIDEOS:
        return VisError(problem, hint="Convert the video to MP4 (H.264).")
    return VisError(problem, hint="Convert the file to JPEG or PNG.") if suffix in UNREADABLE_IMAGES else None


def listed(paths: Sequence[Path]) -> str:
    """Return the names of at most NUM_NAMED files for a message."""
    names = ", ".join(path.name for path in paths[:NUM_NAMED])
    return names if len(paths) <= NUM_NAMED else f"{names}, … ({len(paths)} in total)"


def _kind(path: Path) -> str:
    suffix = _suffix(path)
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "folder" if path.is_dir() and image_files(path) else "video"
    if path.is_dir() or (not suffix and path.is_symlink() and not path.exists()):  # a broken link can be a folder
        return "folder"
    is_incomplete = suffix in INCOMPLETE_SUFFIXES
    meant = _suffix(Path(path.stem)) if is_incomplete else suffix
    if meant in UNREADABLE_IMAGES or (is_incomplete and meant in IMAGE_SUFFIXES):
        return "unreadable image"
    if meant in UNREADABLE_VIDEOS or (is_incomplete and meant in VIDEO_SUFFIXES):
        return "unreadable video"
    return "unknown"


def _is_media_name(path: Path) -> bool:
    return _suffix(path) in IMAGE_SUFFIXES | VIDEO_SUFFIXES | UNREADABLE_IMAGES | UNREADABLE_VIDEOS


def _holds_media(folder: Path) -> bool:
    try:
        return any(_is_media_name(path) for path in _visible(folder))
    except OSError:  # a folder that cannot be listed can contain media
        return True


def _begins_like_media(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with open_regular(path) as file:
            start = file.read(M2TS_PACKET_BYTES + 5)
    except OSError:  # a file that cannot be read can be a media file
        return True
    is_box = start[4:8] == b"ftyp" and start[8:12] != b"M4A "  # MP4, MOV, HEIF, AVIF
    is_riff = start[:4] == b"RIFF" and start[8:12] in (b"WEBP", b"AVI ")
    is_bmp = start[:2] == b"BM" and start[6:10] == bytes(4)
    is_ts = start[:1] == start[TS_PACKET_BYTES : TS_PACKET_BYTES + 1] == b"G"
    is_m2ts = start[4:5] == start[M2TS_PACKET_BYTES + 4 :] == b"G"
    is_ogg_video = start[:4] == b"OggS" and b"theora" in start
    return start.startswith(SIGNATURES) or is_box or is_riff or is_bmp or is_ts or is_m2ts or is_ogg_video


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _visible(folder: Path) -> list[Path]:
    entries = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(entries, key=lambda path: natural_key(path.name))
