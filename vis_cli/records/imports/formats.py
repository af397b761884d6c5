"""The formats of `vis import`, each with its reader.

Used by `commands.import_`. `yolo-seg` and `coco` are missing because their objects have no identity over the frames.
"""

from __future__ import annotations

from vis_cli.records.imports.annotation import Importer
from vis_cli.records.imports.coco_video import read_coco_video
from vis_cli.records.imports.cvat import read_cvat
from vis_cli.records.imports.mots import read_mots

IMPORTERS: dict[str, Importer] = {"cvat": read_cvat, "coco-video": read_coco_video, "mots": read_mots}
