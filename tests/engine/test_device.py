"""Where the network runs and how exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vis_cli.engine.device import autocast, choose_device, choose_precision
from vis_cli.errors import VisError
from vis_cli.network import precision as precision_module
from vis_cli.training.step import autocast_dtype

CPU = torch.device("cpu")


def test_auto_takes_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


def test_a_device_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(VisError, match=r"cannot use device cuda:3: torch does not find it\. Use --device auto"):
        choose_device("cuda:3")


@pytest.mark.parametrize("name", ["gpu", "", "xpu", "meta"])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(VisError, match="device"):
        choose_device(name)


@pytest.mark.parametrize(
    ("flags", "is_fast"),
    [
        ("flags\t: fpu avx512f avx512_bf16", True),
        ("flags\t: amx_bf16", True),
        ("flags\t: avx2 avx512f", False),
        ("Features\t: asimd", False),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_has_it(
    flags: str, is_fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(precision_module, "CPU_INFO", info)
    assert choose_precision("auto", CPU) == (torch.bfloat16 if is_fast else torch.float32)
    assert autocast_dtype("auto", CPU) == (torch.bfloat16 if is_fast else None)  # of training
    monkeypatch.setattr(precision_module, "CPU_INFO", tmp_path / "missing")
    assert choose_precision("auto", CPU) == torch.float32
    assert autocast_dtype("auto", CPU) is None


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert choose_precision("float16", CPU) == torch.float16
    assert choose_precision("bfloat16", CPU) == torch.bfloat16
    assert choose_precision("float32", torch.device("cuda")) == torch.float32
    assert choose_precision("auto", torch.device("mps")) == torch.float32


def test_autocast_lowers_layers_only_where_asked() -> None:
    layer = torch.nn.Linear(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert layer(torch.zeros(1, 2)).dtype == torch.bfloat16
    with autocast(CPU, torch.float32):
        assert layer(torch.zeros(1, 2)).dtype == torch.float32
