"""The printed value of --model selects the folder that was written, whatever its name is."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from vis_cli.zoo.composition import only_detects
from vis_cli.zoo.detectors.kinds import is_box_detector
from vis_cli.zoo.folder import WEIGHTS_NAME, find_model
from vis_cli.zoo.model_argument import model_argument

NAMES = (
    *("lite", "r50", "mine", "my run", "picodet-s", "coco-r50", "coco-r50-v2", "torchvision:fcos_resnet50_fpn"),
    *("x.onnx", "runs/x.ONNX", "runs/lite", "-o", "lite.v2", "~lite"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_absolute", [False, True])
def test_selects_the_folder(name: str, is_absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name if is_absolute else Path(name)
    folder.mkdir(parents=True)
    (folder / WEIGHTS_NAME).touch()
    (argument,) = shlex.split(model_argument(folder))
    assert not argument.startswith(("-", "~"))
    assert not is_box_detector(argument)
    assert not only_detects(argument)
    assert find_model(argument).resolve() == (tmp_path / name).resolve()
