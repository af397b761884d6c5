"""A GPU gives what the CPU gives: one short clip by `lite`, both ways."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.engine.segmenter import Segmenter
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.types import Category, InstanceSequence, VideoInfo, VideoResult
from vis_cli.settings import PRESETS, RunSettings

SAMPLE = Path(__file__).parents[2] / "sample_videos" / "launchpad.mp4"


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "least_iou"), [("float32", 0.99), ("auto", 0.9)])
def test_a_gpu_finds_and_follows_as_the_cpu_does(tmp_path: Path, precision: str, least_iou: float) -> None:
    _write_frames(tmp_path)
    cpu, gpu = (_segment(tmp_path, device, p) for device, p in (("cpu", "float32"), ("cuda", precision)))
    _compare(cpu, gpu, least_iou=least_iou, tolerance=0.01 if precision == "float32" else 0.05)


@pytest.mark.gpu
def test_a_gpu_segments_given_boxes_in_windows_as_the_cpu_does(tmp_path: Path) -> None:
    _write_frames(tmp_path)
    box = BoxDetections(np.array([[150.0, 20.0, 420.0, 350.0]]), np.array([0.9]), np.array([1]), (None,))
    found = VideoDetections((Category(1, "person"),), {0: box})
    cpu, gpu = (_segment(tmp_path, device, "float32", found, window=3) for device in ("cpu", "cuda"))
    _compare(cpu, gpu, least_iou=0.99, tolerance=0.01)


def _write_frames(folder: Path) -> None:
    with av.open(str(SAMPLE)) as video:
        for index, frame in enumerate(itertools.islice(video.decode(video=0), 8)):
            cv2.imwrite(str(folder / f"{index:02d}.png"), frame.to_ndarray(format="bgr24"))


def _compare(cpu: VideoResult, gpu: VideoResult, *, least_iou: float, tolerance: float) -> None:
    assert len(gpu.instances) == len(cpu.instances) > 0
    for one, other in zip(cpu.instances, gpu.instances, strict=True):
        assert other.category_id == one.category_id
        assert other.score == pytest.approx(one.score, abs=tolerance)
        ours, theirs = _masks(one, cpu.video), _masks(other, gpu.video)
        assert (ours & theirs).sum() / (ours | theirs).sum() > least_iou


def _segment(
    folder: Path, device: str, precision: str, detections: VideoDetections | None = None, **settings: object
) -> VideoResult:
    config = dataclasses.replace(PRESETS["default"], num_key_frames=2, **settings)  # type: ignore[arg-type]
    run = RunSettings(device=device, precision=precision)  # type: ignore[arg-type]
    return Segmenter("lite", config=config, run=run).segment(folder, detections=detections)


def _masks(instance: InstanceSequence, video: VideoInfo) -> NDArray[np.bool_]:
    absent = np.zeros((video.height, video.width), bool)
    masks = [instance.mask(frame) for frame in range(video.num_frames)]
    return np.stack([absent if mask is None else mask for mask in masks])
