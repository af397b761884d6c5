"""Search for the annotations and the images of a dataset in a folder. Used by `training.new_config`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key, safe_relative_path
from vis_cli.files.reading import read_error
from vis_cli.records.cvat_xml import XML_SUFFIX
from vis_cli.records.datasets.formats import COCO, JSON_SUFFIX, LABELME, YOLO_SEG, json_format, recognize_format
from vis_cli.records.datasets.yolo_seg import find_description
from vis_cli.records.json_fields import read_json_object, require, take_field, take_objects

ANNOTATIONS = "annotations"  # folder of the JSON files in datasets of COCO and Datumaro
IMAGES = "images"
LOOKED_FOR = (
    f"Looked for data.yaml (YOLO), JSON files in the folder or in {ANNOTATIONS}/ (COCO, Datumaro, LabelMe), and XML "
    "files (CVAT)."
)
NUM_LISTED = 5  # files in a message


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A dataset: its format, its annotations, and the folder of its images (None: the usual folder of the format)."""

    format: str
    annotations: Path
    images: Path | None = None


def find_dataset(path: Path) -> FoundDataset:
    """Return the dataset of a file or a folder.

    Raises:
        VisError: The folder has no annotations of a known format, or several, or the images are missing.
    """
    if not path.is_dir():
        return _dataset_of(path)
    described = find_description(path)
    if described is not None:
        return FoundDataset(YOLO_SEG, described)
    files = [*_files(path), *(_files(path / ANNOTATIONS) if (path / ANNOTATIONS).is_dir() else [])]
    if any(file.parent == path and _is_labelme(file) for file in files):
        return FoundDataset(LABELME, path)
    if len(files) != 1:
        if not files:
            raise VisError("no annotations of a known format", where=path, hint=LOOKED_FOR)
        names = ", ".join(str(file.relative_to(path)) for file in files[:NUM_LISTED])
        raise VisError(f"{len(files)} files of annotations: {names}", where=path, hint="Pass one of these files.")
    return _dataset_of(files[0])


def _files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise read_error(folder, error) from error
    return [file for file in entries if file.suffix.lower() in (JSON_SUFFIX, XML_SUFFIX) and file.is_file()]


def _is_labelme(file: Path) -> bool:
    return file.suffix.lower() == JSON_SUFFIX and json_format(file) == LABELME


def _dataset_of(file: Path) -> FoundDataset:
    known = recognize_format(file)
    return FoundDataset(known, file, _coco_images(file) if known == COCO else None)


def _coco_images(file: Path) -> Path:
    """Return the folder of the images of a COCO file: the first folder with the first image."""
    where = str(file)
    data = read_json_object(file)
    if "images" not in data and "videos" in data:
        hint = 'Write a config with kind = "video" (docs/how-to/train.md).'
        raise VisError("the file describes videos, not images", where=where, hint=hint)
    entries = take_objects(data, IMAGES, where)
    require(bool(entries), where, "the list 'images' is empty", hint="Add at least one image.")
    entry, place = entries[0]
    name = safe_relative_path(take_field(entry, "file_name", str, place), place)
    root = file.parent.parent if file.parent.name == ANNOTATIONS else file.parent
    folders = [root / IMAGES, root, *_subfolders(root / IMAGES), *_subfolders(root)]
    found = next((folder for folder in folders if (folder / name).is_file()), None)
    if found is None:
        problem = f"the image {name} is not in {root} or its folders"
        raise VisError(problem, where=where, hint=f"Copy the images to {root / IMAGES}.")
    return found


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
