"""Providers and threads of onnxruntime."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from vis_cli.zoo.detectors.onnx_session import CPU, CUDA, num_threads, providers


def runtime(*names: str) -> Any:
    return SimpleNamespace(get_available_providers=lambda: [*names])


@pytest.mark.parametrize(
    ("device", "number"), [("auto", "0"), ("cuda", "0"), ("cuda:1", "1"), ("cpu", None), ("mps", None)]
)
def test_the_gpu_is_used_if_the_runtime_has_its_provider(device: str, number: str | None) -> None:
    expected = [CPU] if number is None else [(CUDA, {"device_id": number}), CPU]
    assert providers(runtime("TensorrtExecutionProvider", CUDA, CPU), device) == expected
    assert providers(runtime("CoreMLExecutionProvider", "AzureExecutionProvider", CPU), device) == [CPU]


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("2,1", 2), (" 4 ", 4)])
def test_the_environment_sets_the_number_of_threads(value: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert num_threads() == expected


@pytest.mark.parametrize("value", ["", "0", "many", "-1"])
def test_otherwise_the_usable_processors_do(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert num_threads() == 3
