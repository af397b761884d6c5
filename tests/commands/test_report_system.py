"""`vis report-system`: complete, without private names, and usable if an installation is broken."""

from __future__ import annotations

import builtins
import getpass
import json
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import vis_cli
from vis_cli.commands import system_facts
from vis_cli.records.video_formats import H264

from .conftest import RunVis


def facts(run_vis: RunVis) -> dict[str, dict[str, str]]:
    outcome = run_vis("report-system", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    data: dict[str, dict[str, str]] = json.loads(outcome.out)
    return data


def test_it_describes_the_installation(run_vis: RunVis) -> None:
    data = facts(run_vis)
    assert list(data) == ["versions", "system", "devices", "FFmpeg", "models", "environment"]
    assert data["versions"]["vis"] == vis_cli.__version__
    for name in ("torch", "torchvision", "av", "opencv-python-headless", "pycocotools"):
        assert data["versions"][name] == version(name)
    assert set(data["models"]) >= {"lite", "picodet-s"}
    assert data["models"]["picodet-s"] == "983,891 parameters"
    assert H264.encoder in data["FFmpeg"]["encoders"].split(", ")
    assert data["FFmpeg"]["missing encoders"] == "none"
    assert "libavcodec" in data["FFmpeg"]["libraries"]
    assert "GiB" in data["system"]["memory"]
    assert float(data["system"]["memory"].split()[0]) > 0.5


def test_the_text_has_the_same_facts(run_vis: RunVis) -> None:
    outcome = run_vis("report-system")
    lines = outcome.out.splitlines()
    data = facts(run_vis)
    assert [line for line in lines if line and line[0] != " "] == list(data)
    assert [line.strip() for line in lines if line[:1] == " "] == [
        f"{name}: {value}" for section in data.values() for name, value in section.items()
    ]


def test_it_contains_no_private_names(run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "my-host")
    monkeypatch.setenv("USER", "my-user")
    monkeypatch.setenv("HOME", "/home/my-user")
    text = run_vis("report-system").out + run_vis("report-system", "--json").out
    private = ["my-host", "my-user", "/home", socket.gethostname(), str(Path.cwd()), str(Path(vis_cli.__file__).parent)]
    if (user := getpass.getuser()) != "root":
        private.append(user)
    assert [name for name in private if name in text] == []


def test_a_broken_torch_is_a_fact(run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def fail(name: str, *args: Any, **more: Any) -> Any:
        if name == "torch":
            raise ImportError("/home/my-user/lib/libtorch.so: undefined symbol")
        return real_import(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert set(facts(run_vis)["devices"].values()) == {"torch fails (ImportError)"}


def test_missing_packages_and_codecs_are_facts(run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_facts, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(system_facts, "_encoders", lambda: ["no_such_encoder"])
    data = facts(run_vis)
    assert data["versions"]["no-such-package"] == "not installed"
    assert data["FFmpeg"]["missing encoders"] == "no_such_encoder"


def test_the_instructions_of_the_cpu(run_vis: RunVis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f amx_bf16 other\n")
    monkeypatch.setattr(system_facts, "CPU_INFO", info)
    system = facts(run_vis)["system"]
    assert system["CPU"] == "Some CPU @ 2 GHz"
    assert system["instructions"] == "avx2, avx512f, amx_bf16"


def test_a_damaged_model_is_a_fact(run_vis: RunVis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "weights.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path)
    monkeypatch.setattr("vis_cli.zoo.detectors.picodet_detector.zoo_dir", lambda: tmp_path)
    assert facts(run_vis)["models"] == {"error": "VisError", "picodet-s": "not installed"}
