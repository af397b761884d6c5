"""Which library runs the static parts of the network."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest
import torch

from vis_cli.engine.backend import choose_backend
from vis_cli.engine.calibration_images import calibration_images
from vis_cli.engine.production import expected_production
from vis_cli.engine.segmenter import Segmenter
from vis_cli.errors import VisError
from vis_cli.messages import NoMessages
from vis_cli.network.openvino.options import OpenVinoOptions
from vis_cli.settings import RunSettings, SegmentSettings

CPU = torch.device("cpu")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the optional packages that are installed; the test changes it."""
    names = {"openvino", "nncf"}

    def version(name: str) -> str:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    return names


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def is_native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether the CPU computes bfloat16."""
    for module in ("backend", "device"):
        monkeypatch.setattr(f"vis_cli.engine.{module}.has_native_bfloat16", lambda device: request.param)
    return bool(request.param)


def choose(device: torch.device = CPU, **settings: Any) -> OpenVinoOptions | None:
    return choose_backend(RunSettings(**settings), device, NoMessages())


def test_auto_takes_openvino_where_it_is_installed(installed: set[str], is_native: bool) -> None:
    best = torch.bfloat16 if is_native else torch.float32
    for settings in ({}, {"backend": "openvino"}):
        options = choose(**settings)
        assert options is not None
        assert (options.precision, options.calibration) == (best, None)
    assert choose(backend="torch") is None
    assert getattr(choose(precision="float32"), "precision", None) == torch.float32
    installed.clear()
    assert choose() is None


def test_int8_needs_openvino(installed: set[str], is_native: bool) -> None:
    options = choose(precision="int8")
    assert options is not None
    assert options.precision == (torch.bfloat16 if is_native else torch.float32)
    assert options.calibration is calibration_images
    with pytest.raises(VisError, match=r"^precision is int8, which needs OpenVINO\. Omit backend=torch\.$"):
        choose(precision="int8", backend="torch")


@pytest.mark.parametrize("settings", [{"backend": "openvino"}, {"precision": "int8"}])
def test_a_machine_without_openvino(installed: set[str], settings: dict[str, str]) -> None:
    installed.clear()
    with pytest.raises(VisError, match=r"openvino is not installed\. Install it: pip install 'vis-cli\[openvino\]'\."):
        choose(**settings)


@pytest.mark.parametrize(
    ("settings", "name"), [({"backend": "openvino"}, "backend"), ({"precision": "int8"}, "precision")]
)
def test_a_gpu(installed: set[str], settings: dict[str, str], name: str) -> None:
    cuda = torch.device("cuda:1")
    assert choose(cuda) is None
    with pytest.raises(VisError, match=rf"OpenVINO on the device cuda:1\. Use --device cpu, or omit {name}="):
        choose(cuda, **settings)


def test_other_formats_stay_in_torch(installed: set[str], is_native: bool) -> None:
    assert choose(precision="float16") is None
    assert (choose(precision="bfloat16") is None) is not is_native
    for precision in ("float16", *([] if is_native else ["bfloat16"])):
        with pytest.raises(VisError, match=rf"OpenVINO in {precision} on this CPU\. Use --precision auto"):
            choose(precision=precision, backend="openvino")


def test_int8_is_another_model_and_a_backend_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result in int8 does not count as a result of other formats, which differ by rounding."""
    names = {
        precision: expected_production("lite", SegmentSettings(), precision=precision)[0]
        for precision in ("auto", "float32", "int8")
    }  # type: ignore[arg-type]
    assert names["auto"] == names["float32"]
    assert (names["auto"].name, names["int8"].name) == ("picodet-s+lite", "picodet-s+lite-int8")
    assert names["auto"].sha256 != names["int8"].sha256
    monkeypatch.setattr("vis_cli.engine.segmenter.choose_backend", lambda *given: None)
    run = RunSettings(device="cpu", precision="int8")
    assert Segmenter("lite", run=run)._model_info == names["int8"]
    assert Segmenter("lite", run=RunSettings(device="cpu"))._model_info == names["auto"]
