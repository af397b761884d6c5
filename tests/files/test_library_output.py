"""Tests of `vis_cli.files.library_output`: what libraries write to the file descriptor of stderr."""

from __future__ import annotations

import ast
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

import vis_cli
from vis_cli.files.library_output import silenced_libraries


def damaged_png() -> bytes:
    """Return a PNG with a wrong checksum, for which libpng prints a line."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = bytearray(cv2.imencode(".png", noise)[1].tobytes())
    data[500] ^= 255
    return bytes(data)


def test_libpng_is_silent_only_in_the_body(capfd: pytest.CaptureFixture[str]) -> None:
    data = np.frombuffer(damaged_png(), np.uint8)
    with silenced_libraries():
        cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert capfd.readouterr().err == ""
    cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert "libpng" in capfd.readouterr().err


def test_threads_leave_the_stream_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    num_open = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    def silence_often() -> None:
        for _ in range(200):
            with silenced_libraries():
                os.write(2, b"noise")

    threads = [threading.Thread(target=silence_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
    assert len(os.listdir("/proc/self/fd")) == num_open  # noqa: PTH208


def test_an_exception_ends_the_silence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), silenced_libraries():
        raise ZeroDivisionError
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_every_image_is_decoded_and_encoded_in_silence() -> None:
    calls, silent = set(), set()
    for path in Path(vis_cli.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls |= {(path.name, line) for line in image_calls(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.With) and any("silenced_libraries" in ast.unparse(item) for item in node.items):
                silent |= {(path.name, line) for line in image_calls(node)}
    readers = {"image_file.py", "labelme.py", "video.py", "photometric.py"}
    writers = {"check.py", "clip.py", "png_sequence.py", "thumbnails.py"}
    assert {name for name, _ in calls} == readers | writers
    assert calls == silent


def image_calls(tree: ast.AST) -> set[int]:
    """Return the lines of a program that let OpenCV read or write an image."""
    functions = {"cv2.imread", "cv2.imwrite", "cv2.imdecode", "cv2.imencode", "cv2.imreadmulti", "cv2.imdecodemulti"}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {node.lineno for node in found if ast.unparse(node.func) in functions}
