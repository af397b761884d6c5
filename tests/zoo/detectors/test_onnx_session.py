"""Providers and threads of onnxruntime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vis_cli.zoo.detectors.onnx_detector import load_onnx_detector
from vis_cli.zoo.detectors.onnx_graph import load_package
from vis_cli.zoo.detectors.onnx_session import CPU, CUDA, _cause, _options, num_threads, providers

from .onnx_factory import write_onnx, yolox_outputs


def runtime(*names: str) -> Any:
    return SimpleNamespace(get_available_providers=lambda: [*names])


@pytest.mark.parametrize(
    ("device", "number"), [("auto", "0"), ("cuda", "0"), ("cuda:1", "1"), ("cpu", None), ("mps", None)]
)
def test_the_gpu_is_used_if_the_runtime_has_its_provider(device: str, number: str | None) -> None:
    expected = [CPU] if number is None else [(CUDA, {"device_id": number}), CPU]
    assert providers(runtime("TensorrtExecutionProvider", CUDA, CPU), device) == expected
    assert providers(runtime("CoreMLExecutionProvider", "AzureExecutionProvider", CPU), device) == [CPU]


@pytest.mark.parametrize("device", ["auto", "cuda:7"])
def test_a_gpu_provider_that_fails_is_replaced_by_the_cpu(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = load_package("onnxruntime")  # without telemetry
    make_session, asked = onnxruntime.InferenceSession, []

    def fail_on_gpu(source: Any, *, providers: list[Any], **arguments: Any) -> Any:
        asked.append(providers)
        if providers != [CPU]:
            raise RuntimeError("no CUDA-capable device is detected")
        return make_session(source, providers=providers, **arguments)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", fail_on_gpu)
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()})
    assert load_onnx_detector(path, device=device).provider == CPU
    assert [len(providers) for providers in asked] == [2, 1]
    assert capfd.readouterr() == ("", "")


def test_messages_of_the_runtime_lose_the_place_in_its_source_code() -> None:
    message = (
        "[ONNXRuntimeError] : 1 : FAIL : /src/core/graph.cc:17 void ns::Graph::Init(const std::map<int>&) Bad node."
    )
    assert _cause(ValueError(message)) == "Bad node"
    assert _cause(ValueError("a : utils.cc:1 Validate Data is missing")) == "Data is missing"
    assert _cause(ValueError("")) == "ValueError"


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("2,1", 2), (" 4 ", 4)])
def test_the_environment_sets_the_number_of_threads(value: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert num_threads() == expected


def test_threads_do_not_compete_with_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    options = _options(load_package("onnxruntime"))
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("value", ["", "0", "many", "-1"])
def test_otherwise_the_usable_processors_do(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert num_threads() == 3


@pytest.mark.parametrize("value", [None, "0"])
def test_the_runtime_sends_no_telemetry(value: str | None, tmp_path: Path) -> None:
    """With telemetry, onnxruntime 1.29 and newer write a file to the temporary folder and start a thread."""
    path = write_onnx(tmp_path / "m.onnx", {"output": yolox_outputs()})
    code = (
        "import os, sys; from pathlib import Path; from vis_cli.zoo.detectors.onnx_detector import load_onnx_detector;"
        "load_onnx_detector(Path(sys.argv[1])); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    (tmp_path / "tmp").mkdir()
    environment = {key: text for key, text in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment |= {"TMPDIR": str(tmp_path / "tmp")} | ({} if value is None else {"ORT_DISABLE_TELEMETRY": value})
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == (value or "1")
    if value is None:
        assert list((tmp_path / "tmp").iterdir()) == []
