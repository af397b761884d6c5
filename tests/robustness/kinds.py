"""Every kind of input and how often it is drawn; the makers are beside this file, by area."""

from __future__ import annotations

from tests.robustness import (
    kinds_commands,
    kinds_detectors,
    kinds_imports,
    kinds_media,
    kinds_results,
    kinds_training,
)
from tests.robustness.case import Maker

KINDS: dict[str, tuple[int, Maker]] = {
    "video": (14, kinds_media.video),
    "image": (10, kinds_media.image),
    "frame folder": (10, kinds_media.frame_folder),
    "masks": (9, kinds_media.masks),
    "batch": (4, kinds_media.batch),
    "file name": (4, kinds_media.file_name),
    "NAME.json": (14, kinds_results.result),
    "split JSON": (10, kinds_results.split),
    "results.json": (7, kinds_results.submission),
    "zip": (7, kinds_results.archive),
    "DAVIS": (10, kinds_results.davis),
    "DAVIS list": (4, kinds_results.davis_list),
    "TOML": (9, kinds_training.config),
    "annotations": (6, kinds_training.annotations),
    "safetensors": (8, kinds_training.weights),
    ".pth": (3, kinds_training.released),
    "run folder": (3, kinds_training.run_folder),
    "ONNX": (5, kinds_detectors.onnx_file),
    "import": (6, kinds_imports.annotations),
    "export": (4, kinds_imports.export),
    "option": (7, kinds_commands.option),
    "output": (7, kinds_commands.output),
}
