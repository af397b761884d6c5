"""The formats of annotated images, and the recognition of a format.

Used by `training` and by `folder`. The reader of COCO is `training.annotations`, because it settles crowds.
"""

from __future__ import annotations

import re
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.limits import KIB, MAX_JSON_BYTES
from vis_cli.files.reading import open_limited, read_errors
from vis_cli.records.cvat_xml import XML_SUFFIX, ZIP_SUFFIX
from vis_cli.records.datasets.cvat import read_cvat_images
from vis_cli.records.datasets.datumaro import read_datumaro
from vis_cli.records.datasets.image import ImageReader
from vis_cli.records.datasets.labelme import labelme_files, read_labelme
from vis_cli.records.datasets.yolo_seg import find_description, read_yolo_seg
from vis_cli.records.detection_formats.yolo_names import LIST_FILES, YAML_SUFFIXES

AUTO, COCO, YOLO_SEG, CVAT, LABELME, DATUMARO = "auto", "coco", "yolo-seg", "cvat", "labelme", "datumaro"
READERS: dict[str, ImageReader] = {
    YOLO_SEG: read_yolo_seg,
    CVAT: read_cvat_images,
    LABELME: read_labelme,
    DATUMARO: read_datumaro,
}
JSON_SUFFIX = ".json"
HEAD_BYTES = 64 * KIB  # of a JSON file, which show its format
MARKS = {  # near the beginning of a JSON file, as the tools write it; the categories of COCO are a list
    DATUMARO: re.compile(rb'"dm_format_version"\s*:|"categories"\s*:\s*\{'),
    LABELME: re.compile(rb'"shapes"\s*:\s*\[|"imagePath"\s*:'),
}


def recognize_format(path: Path) -> str:
    """Return the format of a file, or of a folder that is a dataset of YOLO or LabelMe.

    Raises:
        VisError: The format is unknown, or the file cannot be read.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        if find_description(path) is not None:
            return YOLO_SEG
        files = labelme_files(path)
        if files and json_format(files[0]) == LABELME:
            return LABELME
        problem = "the folder has no data.yaml and no JSON file of LabelMe"
        raise VisError(problem, where=path, hint="Pass the JSON or XML file of the annotations.")
    if suffix in YAML_SUFFIXES or path.name in LIST_FILES:
        return YOLO_SEG
    if suffix in (XML_SUFFIX, ZIP_SUFFIX):
        return CVAT
    found = json_format(path)
    if found == LABELME:
        raise VisError("the file describes one image of LabelMe", where=path, hint="Pass its folder.")
    return found


def json_format(path: Path) -> str:
    """Return the format of a JSON file by the keys at its beginning. A file without known keys is COCO.

    Raises:
        VisError: The file cannot be read.
    """
    with open_limited(path, limit=MAX_JSON_BYTES) as file, read_errors(path):
        head = file.read(HEAD_BYTES)
    return next((name for name, mark in MARKS.items() if mark.search(head)), COCO)
