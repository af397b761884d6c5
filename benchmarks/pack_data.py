"""Pack the data of training runs into small archives, for a machine without network.

    python benchmarks/pack_data.py A.toml B.toml --data DATA --out PACK
    python benchmarks/pack_data.py --unpack PACK --out DATA

Images become WebP files, and the JSON files contain the new names. The configs do not change. benchmarks/README.md
describes the archives.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.files.names import safe_relative_path
from vis_cli.records.json_fields import read_json_object, take_field, take_objects, take_size
from vis_cli.training.annotations import read_training_image
from vis_cli.training.config import SourceConfig, TrainConfig, ValidationConfig
from vis_cli.training.config_file import read_train_config

MANIFEST_NAME = "pack.json"
IMAGE_SUFFIX, PACKED_JSON_SUFFIX = ".webp", ".json.xz"
END_BYTES = 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE  # end and padding of an archive, at most


@dataclass(frozen=True, slots=True)
class PackedImage:
    """An image of a dataset and its size in the annotations."""

    path: Path
    width: int
    height: int


def main() -> None:
    """Pack or unpack."""
    args = parse_args()
    try:
        if args.unpack is not None:
            unpack(args.unpack, args.out)
        else:
            pack(args.configs, args.data, args.out, quality=args.quality, max_bytes=int(args.part_mb * 2**20))
    except VisError as error:
        raise SystemExit(str(error)) from error


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=Path, metavar="CONFIG.toml", help="configs whose data to pack")
    parser.add_argument("--data", type=Path, help="folder that the data paths of the configs are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder of the archives; --unpack: folder of the data")
    parser.add_argument("--quality", type=int, default=64, metavar="1..100", help="quality of WebP, default: 64")
    parser.add_argument(
        "--part-mb", type=float, default=50.0, metavar="N", help="maximum MiB of an archive, default: 50"
    )
    parser.add_argument("--unpack", type=Path, metavar="PACK", help="unpack the archives in this folder into --out")
    args = parser.parse_args()
    if args.unpack is None and not (args.configs and args.data):
        parser.error("give configs and --data, or --unpack")
    if not 1 <= args.quality <= 100:
        parser.error("--quality is not from 1 to 100")
    return args


def pack(configs: Sequence[Path], data: Path, out: Path, *, quality: int, max_bytes: int) -> None:
    """Write the archives, and last the manifest with their checksums and files.

    Raises:
        VisError: A config, an annotation file or an image cannot be used.
        SystemExit: A path is outside of `data`, or a file does not fit into an archive.
    """
    images: dict[str, PackedImage] = {}
    annotations: dict[str, bytes] = {}
    for annotation_file, folder in find_datasets([read_train_config(path, data_root=data) for path in configs]):
        name, place = relative_path(annotation_file, data), relative_path(folder, data)
        content = read_json_object(annotation_file)
        for image_name, image in rename_images(content, annotation_file, folder):
            other = images.setdefault(str(place / image_name), image)
            if other.path != image.path:
                raise SystemExit(f"cannot pack {image.path}: {other.path.name} gets the same name. Rename one of them.")
        annotations[f"{name}.xz"] = lzma.compress(json.dumps(content, separators=(",", ":")).encode())
    out.mkdir(parents=True, exist_ok=True)
    for old in (out / MANIFEST_NAME, *out.glob("data.[0-9][0-9][0-9].tar")):
        old.unlink(missing_ok=True)
    with ThreadPoolExecutor() as pool:  # reading and encoding release the GIL
        encoded = pool.map(lambda image: encode_image(image, quality), images.values())
        members = [*annotations.items()], zip(images, encoded, strict=True)
        parts = write_parts((member for group in members for member in group), out, max_bytes)
    manifest = {"quality": quality, "parts": parts}
    (out / MANIFEST_NAME).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    total = sum(part["bytes"] for part in parts.values())
    print(f"{out}: {len(images)} images and {len(annotations)} JSON files in {len(parts)} archives, {total:,} bytes")


def find_datasets(configs: Iterable[TrainConfig]) -> Iterator[tuple[Path, Path]]:
    """Yield each annotation file of the configs with the folder of its images, once.

    Raises:
        SystemExit: A dataset consists of palette PNGs (kind davis).
    """
    tables: list[SourceConfig | ValidationConfig] = [table for config in configs for table in config.data]
    tables += [config.validation for config in configs if config.validation is not None]
    found: dict[tuple[Path, Path], None] = {}
    for table in tables:
        if table.kind == "davis":
            raise SystemExit('cannot pack a dataset of kind "davis". Copy its folder instead.')
        more = table.more_annotations if isinstance(table, SourceConfig) else ""
        for name in filter(None, (table.annotations, more)):
            found[Path(name), Path(table.images)] = None
    yield from found


def relative_path(path: Path, data: Path) -> PurePosixPath:
    """Return a path relative to the folder of the data.

    Raises:
        SystemExit: The path is outside of the folder.
    """
    if not path.is_relative_to(data) or ".." in path.relative_to(data).parts:
        raise SystemExit(f"cannot pack {path}: it is outside of {data}. Use a path inside of --data.")
    return PurePosixPath(path.relative_to(data).as_posix())


def rename_images(
    content: dict[str, Any], annotations: Path, folder: Path
) -> Iterator[tuple[PurePosixPath, PackedImage]]:
    """Replace the names of the images in annotations. Yield each new name with its image.

    Args:
        content: Annotations in the layout of COCO or YouTube-VIS. They are changed.
        annotations: File of the annotations, for messages.
        folder: Folder of the images.
    """
    for entry, where in take_objects(content, "videos" if "videos" in content else "images", str(annotations)):
        width, height = take_size(entry, where)
        is_video = "file_names" in entry
        names = (
            take_field(entry, "file_names", list, where) if is_video else [take_field(entry, "file_name", str, where)]
        )
        paths = [safe_relative_path(str(name), where) for name in names]
        renamed = [path.with_suffix(IMAGE_SUFFIX) for path in paths]
        if is_video:
            entry["file_names"] = [str(path) for path in renamed]
        else:
            entry["file_name"] = str(renamed[0])
        for path, new in zip(paths, renamed, strict=True):
            yield new, PackedImage(folder / path, width, height)


def encode_image(image: PackedImage, quality: int) -> bytes:
    """Return an image as WebP, rotated in the same way as its annotations. A WebP file does not change."""
    if image.path.suffix.lower() == IMAGE_SUFFIX:
        return image.path.read_bytes()
    rgb = read_training_image(image.path, image.width, image.height)
    _, content = cv2.imencode(IMAGE_SUFFIX, rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    return content.tobytes()


def write_parts(members: Iterable[tuple[str, bytes]], out: Path, max_bytes: int) -> dict[str, dict[str, Any]]:
    """Write files into archives of at most `max_bytes`. Return size, checksum and files of each archive.

    Raises:
        SystemExit: A file does not fit into an archive.
    """
    parts: dict[str, dict[str, Any]] = {}
    group: list[tuple[str, bytes]] = []
    size = END_BYTES
    for name, content in members:
        needed = member_bytes(name, content)
        if END_BYTES + needed > max_bytes:
            raise SystemExit(f"cannot pack {name}: it has {len(content):,} bytes. Use a larger --part-mb.")
        if size + needed > max_bytes:
            parts |= write_part(group, out, len(parts))
            group, size = [], END_BYTES
        group.append((name, content))
        size += needed
    return parts | write_part(group, out, len(parts))


def member_bytes(name: str, content: bytes) -> int:
    """Return the size of a file in an archive, with its header and padding."""
    num_blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return len(member_info(name, content).tobuf()) + num_blocks * tarfile.BLOCKSIZE


def member_info(name: str, content: bytes) -> tarfile.TarInfo:
    """Return the header of a file in an archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info


def write_part(members: Sequence[tuple[str, bytes]], out: Path, number: int) -> dict[str, dict[str, Any]]:
    """Write an archive. Equal files give equal archives: they contain no times and no users."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            archive.addfile(member_info(name, content), io.BytesIO(content))
    path, content = out / f"data.{number:03d}.tar", buffer.getvalue()
    path.write_bytes(content)
    entry = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "files": [name for name, _ in members],
    }
    return {path.name: entry}


def unpack(folder: Path, out: Path) -> None:
    """Unpack the archives that are in a folder, after a check of their checksums.

    An archive can be missing if an earlier call has unpacked it.

    Raises:
        SystemExit: An archive is damaged or contains a path outside of `out`, or a file is still missing.
    """
    manifest = folder / MANIFEST_NAME
    if not manifest.exists():
        raise SystemExit(f"cannot unpack {folder}: {MANIFEST_NAME} is missing. Copy it with the archives.")
    parts = json.loads(manifest.read_text(encoding="utf-8"))["parts"]
    present = [folder / name for name in parts if (folder / name).exists()]
    if damaged := [path for path in present if sha256_of(path) != parts[path.name]["sha256"]]:
        raise SystemExit(f"cannot unpack {damaged[0]}: it is damaged. Copy it again.")
    out.mkdir(parents=True, exist_ok=True)
    for path in present:
        try:
            extract(path, out)
        except tarfile.TarError as error:
            raise SystemExit(f"cannot unpack {path}: {error}") from error
    missing = [name for name, entry in parts.items() if not all(is_unpacked(file, out) for file in entry["files"])]
    if missing:
        raise SystemExit(f"{out} is incomplete: copy {', '.join(missing)} to {folder} and run the same command again.")
    print(f"{out}: complete, {sum(len(entry['files']) for entry in parts.values())} files")


def extract(path: Path, out: Path) -> None:
    """Extract an archive, and decompress its JSON files."""
    with tarfile.open(path) as archive:
        names = [safe_relative_path(name, str(path)) for name in archive.getnames()]
        archive.extractall(out, filter="data")
    for name in names:
        packed = out / name
        if not packed.name.endswith(PACKED_JSON_SUFFIX):
            continue
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()


def is_unpacked(name: str, out: Path) -> bool:
    """Return whether a file of an archive is in the folder of the data."""
    path = out / safe_relative_path(name, MANIFEST_NAME)
    return (path.with_suffix("") if name.endswith(PACKED_JSON_SUFFIX) else path).is_file()


if __name__ == "__main__":
    main()
