"""The errors of docs/how-to/troubleshooting.md: each row quotes a message that the program prints."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch

from tests.commands.conftest import RunVis, network, run_vis  # noqa: F401 (fixtures)
from tests.engine.fakes import FakeNetwork, moving_boxes, segment
from tests.engine.fakes import make_video as make_fake_video
from tests.records.result_factory import make_result
from tests.records.video_factory import make_sound, make_video
from tests.test_docs import known_words
from vis_cli.engine.frames import FrameStore
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.records import container
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.video import open_video
from vis_cli.records.video_formats import VP9
from vis_cli.records.video_writer import write_video
from vis_cli.zoo import folder as model_folder
from vis_cli.zoo.detectors.onnx_graph import load_package
from vis_cli.zoo.header import Header
from vis_cli.zoo.torchvision_weights import fetch_state

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/how-to/troubleshooting.md"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

Case = Callable[[pytest.MonkeyPatch, RunVis], str]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def quoted_errors() -> list[str]:
    """Return the messages in the first column of the tables of errors."""
    text = PAGE.read_text(encoding="utf-8").partition("## Errors\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


@contextmanager
def caught() -> Iterator[list[str]]:
    """Collect the line of the VisError that the body raises."""
    lines: list[str] = []
    with pytest.raises(VisError) as error:
        yield lines
    lines.append(str(error.value))


def missing_file(_: pytest.MonkeyPatch, run: RunVis) -> str:
    return run("segment", "clip.mp4", "-o", "results").err


def damaged_file(_: pytest.MonkeyPatch, run: RunVis) -> str:
    Path("clip.mp4").write_bytes(b"not a video " * 99)
    return run("segment", "clip.mp4", "-o", "results").err


def incomplete_download(_: pytest.MonkeyPatch, run: RunVis) -> str:
    make_video(Path(), "clip.mp4").rename("clip.mp4.part")
    return run("segment", "clip.mp4.part", "-o", "results").err


def audio_only(_: pytest.MonkeyPatch, run: RunVis) -> str:
    shutil.move(make_sound(Path()), "clip.mp4")
    return run("segment", "clip.mp4", "-o", "results").err


def no_frame(_: pytest.MonkeyPatch, __: RunVis) -> str:
    with caught() as lines:
        segment(make_fake_video([]), FakeNetwork())
    return lines[0]


def no_decoder(monkeypatch: pytest.MonkeyPatch, run: RunVis) -> str:
    make_video(Path(), "clip.mp4")
    monkeypatch.setattr(container, "_chosen_stream", lambda *_: SimpleNamespace(codec_context=None))
    return run("segment", "clip.mp4", "-o", "results").err


def no_encoder(_: pytest.MonkeyPatch, __: RunVis) -> str:
    assert VP9.encoder == "libvpx-vp9"
    source = open_video(make_video(Path()))
    with caught() as lines:
        write_video(
            Path("o.webm"), source.iter_frames(), source, video_format=dataclasses.replace(VP9, encoder="no-vp9")
        )
    return lines[0].replace("no-vp9", VP9.encoder)


def unknown_model(_: pytest.MonkeyPatch, run: RunVis) -> str:
    make_video(Path(), "clip.mp4")
    return run("segment", "clip.mp4", "-o", "results", "--model", "liet").err


def other_version(monkeypatch: pytest.MonkeyPatch, __: RunVis) -> str:
    monkeypatch.setattr(model_folder, "read_header", lambda _: Header({"schema": "vis-model-2"}, {}, {}))
    with caught() as lines:
        model_folder.read_summary(Path("runs/mine"))
    return lines[0]


def no_network(_: pytest.MonkeyPatch, __: RunVis) -> str:
    def refuse(**_: object) -> None:
        raise URLError("Name or service not known")

    weights = SimpleNamespace(url="https://download.pytorch.org/models/a.pth", get_state_dict=refuse)
    with caught() as lines:
        fetch_state(weights)
    return lines[0]


def no_package(monkeypatch: pytest.MonkeyPatch, _: RunVis) -> str:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with caught() as lines:
        load_package("onnxruntime")
    return lines[0]


def unknown_category(_: pytest.MonkeyPatch, run: RunVis) -> str:
    make_video(Path(), "clip.mp4")
    return run("segment", "clip.mp4", "-o", "results", "--only", "giraffee").err


def no_gpu(monkeypatch: pytest.MonkeyPatch, run: RunVis) -> str:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    make_video(Path(), "clip.mp4")
    return run("segment", "clip.mp4", "-o", "results", "--device", "cuda").err


def gpu_memory(_: pytest.MonkeyPatch, __: RunVis) -> str:
    class Greedy(FakeNetwork):
        def propagate_one(self, query: object, memory: object) -> torch.Tensor:
            raise torch.cuda.OutOfMemoryError("much text")

    with caught() as lines:
        segment(make_fake_video(moving_boxes(3)), Greedy())
    return lines[0].replace("memory of cpu", "memory of cuda")


def full_disk(_: pytest.MonkeyPatch, __: RunVis) -> str:
    with caught() as lines, atomic_path(Path("results/clip.json")):
        raise FULL
    return lines[0]


def full_temporary_folder(monkeypatch: pytest.MonkeyPatch, __: RunVis) -> str:
    def refuse(**_: object) -> None:
        raise FULL

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    store, frame = FrameStore((8, 8), budget_bytes=0), np.zeros((8, 8, 3), dtype=np.uint8)
    with caught() as lines:
        for _ in range(2):  # one frame is always in memory
            store.append(frame)
    return lines[0]


def other_settings(_: pytest.MonkeyPatch, run: RunVis) -> str:
    make_video(Path(), "clip.mp4")
    command = ("segment", "clip.mp4", "-o", "results", "--no-render", "--num-key-frames")
    assert run(*command, 3).code == 0
    return run(*command, 4).err


def existing_file(_: pytest.MonkeyPatch, run: RunVis) -> str:
    write_result(make_result(), Path("clip.json"))
    Path("o.csv").touch()
    return run("export", "clip.json", "--to", "csv", "-o", "o.csv").err


def other_schema(_: pytest.MonkeyPatch, __: RunVis) -> str:
    Path("clip.json").write_text('{"schema": 9}', encoding="utf-8")
    with caught() as lines:
        read_result(Path("clip.json"))
    return lines[0]


CASES: dict[str, Case] = {
    "cannot read clip.mp4: no such file, folder or pattern": missing_file,
    "cannot read clip.mp4: not a readable video": damaged_file,
    "cannot read clip.mp4.part: the download is incomplete": incomplete_download,
    "cannot read clip.mp4: no video stream (audio only)": audio_only,
    "cannot read clip.mp4: no frame decodes": no_frame,
    "cannot read clip.mp4: no decoder for the video stream": no_decoder,
    "the FFmpeg libraries of PyAV have no encoder libvpx-vp9": no_encoder,
    "no model is named liet": unknown_model,
    "has schema 'vis-model-2', but this version reads 'vis-model-1'": other_version,
    "cannot fetch https://download.pytorch.org/models/": no_network,
    "cannot read ONNX files: the package onnxruntime is not installed": no_package,
    "the detector has no category 'giraffee'": unknown_category,
    "cannot use device cuda: torch does not find it": no_gpu,
    "cannot segment clip.mp4: the memory of cuda is too small": gpu_memory,
    "cannot write results/clip.json: No space left on device": full_disk,
    "cannot store frames in /tmp: No space left on device": full_temporary_folder,
    "cannot reuse results/clip.json": other_settings,
    "it exists. Use --overwrite to replace it": existing_file,
    "'schema' is 9, this version of vis reads": other_schema,
}
REAL_SEGMENTER = ("no model is named liet", "cannot use device cuda: torch does not find it")


@pytest.mark.parametrize("text", CASES)
def test_the_program_prints_an_error_of_the_page(
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    run_vis: RunVis,  # noqa: F811
    request: pytest.FixtureRequest,
) -> None:
    if text not in REAL_SEGMENTER:
        request.getfixturevalue("network")
    assert text in quoted_errors(), "the page does not have the error"
    assert text in CASES[text](monkeypatch, run_vis)


def test_other_errors_of_the_page_are_strings_of_the_package() -> None:
    others = [text for text in quoted_errors() if text not in CASES]
    assert len(others) >= 4
    assert [text for text in others if not any(text in literal for literal in known_words())] == []
