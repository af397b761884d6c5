"""`yolo-seg`: data.yaml, images, and one text file per image, as Ultralytics reads them for training.

The text file of images/train/a.jpg is labels/train/a.txt, or a.txt next to an image outside of a folder `images`. A
polygon is an object with a mask, and `class cx cy w h` is an object with only a box. An image without a text file has
no objects. Sources: https://docs.ultralytics.com/datasets/segment/, and `img2label_paths` and `polygon2mask` in
ultralytics/data/utils.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key, printable, safe_relative_path
from vis_cli.files.reading import read_error, read_text
from vis_cli.records.datasets.image import (
    AnnotatedImage,
    ImageDataset,
    ImageObject,
    Note,
    fill_pixels,
    object_of_box,
    object_of_mask,
    require_category,
    require_dataset,
)
from vis_cli.records.detection_formats.text import iter_lines, parse_numbers
from vis_cli.records.detection_formats.yolo import LABELS_FOLDER, NUM_BOX_VALUES, SUFFIX, line_problem
from vis_cli.records.detection_formats.yolo_names import (
    LIST_FILES,
    NAME_FILES,
    YAML_FILES,
    YAML_SUFFIXES,
    read_class_names,
    read_data_yaml,
)
from vis_cli.records.image_file import read_image_size
from vis_cli.records.json_fields import require, shown
from vis_cli.records.media_folder import IMAGE_SUFFIXES

IMAGES_FOLDER = "images"
SPLIT = "train"  # the images of data.yaml that are read


def read_yolo_seg(path: Path, images: Path | None, note: Note) -> ImageDataset:
    """Read the training images of data.yaml, or the images of a folder. `path` is data.yaml or its folder."""
    described = describing_file(path)
    names = {number: require_category(name, str(described)) for number, name in read_class_names(described).items()}
    places = [images] if images is not None else _training_images(described)
    files = list(dict.fromkeys(file for place in places for file in _image_files(place)))
    require(bool(files), str(described), f"no images in {_listed(places)}", hint="Set images to their folder.")
    labels = {file: _label_file(file) for file in files}
    _require_pairs(labels, described, all_images=all(place.is_dir() for place in places))
    found = [_read_image(file, label, names) for file, label in labels.items()]
    if not any(label.is_file() for label in labels.values()):
        where = next(iter(labels.values())).parent
        raise VisError(f"no text files in {where}", where=described, hint="Add one text file per image.")
    return ImageDataset(require_dataset(found, described), tuple(dict.fromkeys(names[key] for key in sorted(names))))


def describing_file(path: Path) -> Path:
    """Return the file of the class names: `path`, or data.yaml or a list of names in the folder `path`.

    Raises:
        VisError: There is no such file.
    """
    found = find_description(path) if path.is_dir() else path
    if found is None:
        raise VisError("data.yaml is missing", where=path, hint="Add data.yaml with 'names' and 'train'.")
    return found


def find_description(folder: Path) -> Path | None:
    """Return data.yaml or the list of class names in a folder, or None."""
    files = (folder / name for name in (*YAML_FILES, *LIST_FILES))
    return next((file for file in files if file.is_file()), None)


def _training_images(described: Path) -> list[Path]:
    """Return the folders, or the text files with lists of images, of `train`. Without it: the folder `images`."""
    folder = described.parent
    values = read_data_yaml(described).get(SPLIT) if described.suffix.lower() in YAML_SUFFIXES else None
    if values is None:
        return [folder / IMAGES_FOLDER if (folder / IMAGES_FOLDER).is_dir() else folder]
    places = []
    for value in values if isinstance(values, list) else [values]:
        if not isinstance(value, str) or not value.strip():
            raise VisError(f"'{SPLIT}' is {shown(value)}", where=described, hint="Use the name of a folder.")
        # Roboflow writes ../train/images, which Ultralytics reads as train/images.
        name = safe_relative_path(value.strip().removeprefix("../"), f"{described}: '{SPLIT}'")
        places.append(folder / name)
    return places


def _image_files(place: Path) -> list[Path]:
    """Return the images of a folder and its subfolders, or of a text file with one image per line.

    Raises:
        VisError: The folder or a listed image is missing.
    """
    if place.suffix.lower() == SUFFIX:
        lines = [line.strip() for line in read_text(place).splitlines()]
        files = [place.parent / safe_relative_path(line, f"{place}: an image") for line in lines if line]
        for file in files:
            require(file.is_file(), str(place), f"{file} is missing", hint="Restore it, or remove the line.")
        return files
    try:
        next(place.iterdir(), None)
        found = [file for file in place.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES]
    except OSError as error:
        raise read_error(place, error).with_hint("Set images to the folder of the images.") from error
    visible = (file for file in found if not file.name.startswith("."))
    return sorted(visible, key=lambda file: natural_key(file.relative_to(place).as_posix()))


def _label_file(image: Path) -> Path:
    """Return the text file of an image: the last folder `images` of its path is replaced by `labels`."""
    parts = list(image.parent.parts)
    if IMAGES_FOLDER in parts:
        parts[len(parts) - 1 - parts[::-1].index(IMAGES_FOLDER)] = LABELS_FOLDER
        replaced = Path(*parts, f"{image.stem}{SUFFIX}")
        if replaced.parent.is_dir():
            return replaced
    return image.with_suffix(SUFFIX)


def _require_pairs(labels: dict[Path, Path], described: Path, *, all_images: bool) -> None:
    """Check that each text file belongs to one image.

    Args:
        labels: The text file of each image.
        described: The file of the class names, for the error message.
        all_images: Whether the images are all images of their folders, so that each text file needs an image.
    """
    owners: dict[Path, Path] = {}
    for image, label in labels.items():
        other = owners.setdefault(label, image)
        problem = f"{other.name} and {image.name} share the text file {label}"
        require(other == image, str(described), problem, hint="Rename one of the images.")
    if not all_images:
        return
    for folder in {label.parent for image, label in labels.items() if label.parent != image.parent}:
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() == SUFFIX and file.name not in NAME_FILES and file not in owners:
                raise VisError(f"the image of {file} is missing", hint="Restore it, or remove the text file.")


def _read_image(image: Path, label: Path, names: dict[int, str]) -> AnnotatedImage:
    size = read_image_size(image)
    objects: list[ImageObject] = []
    for number, line in iter_lines(label) if label.is_file() else ():
        values = parse_numbers(line, label, number)
        where = f"{label}: line {number}"
        if problem := line_problem(values, have_confidences=False):
            raise VisError(problem[0], where=where, hint=problem[1])
        hint = "Add its name to 'names'."
        require(int(values[0]) in names, where, f"the class {int(values[0])} has no name", hint=hint)
        objects.append(_parse_object(values, names[int(values[0])], size, where))
    return AnnotatedImage(image, *size, "", tuple(objects))


def _parse_object(values: Sequence[float], name: str, size: tuple[int, int], where: str) -> ImageObject:
    has_score = len(values) % 2 == 0
    score = values[-1] if has_score else 1.0
    require(0 <= score <= 1, where, f"the confidence is {score:g}", hint="Use a value from 0 to 1.")
    numbers = values[1:-1] if has_score else values[1:]
    pixels = [number * size[axis % 2] for axis, number in enumerate(numbers)]
    if len(numbers) == NUM_BOX_VALUES - 1:
        x, y, width, height = pixels
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return object_of_box(name, corners, size, where, score=score)
    return object_of_mask(name, fill_pixels([pixels], size), score=score)


def _listed(places: Iterable[Path]) -> str:
    return ", ".join(printable(str(place)) for place in places)
