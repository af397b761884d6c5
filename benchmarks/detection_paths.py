"""Check that equal boxes give equal masks on every path: an ONNX detector, and each format of `--detections`.

The detector finds boxes in the key frames. The script writes them in each format and segments the video with each file.
It compares the masks with the masks of the detector itself. Then it gives the masks of the result as NAME.json and as
COCO results. Both must agree with each other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vis_cli.engine.key_frames import select_key_frames
from vis_cli.engine.segmenter import Segmenter
from vis_cli.records.detection_file import read_detection_file
from vis_cli.records.result_json import write_result
from vis_cli.records.rle import sequence_iou
from vis_cli.records.types import KeyFrame, VideoResult
from vis_cli.records.video import Video, open_video
from vis_cli.settings import SegmentSettings, find_preset
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.detectors.lookup import load_box_detector
from vis_cli.zoo.detectors.protocol import FoundBoxes

PRESET = "davis-uvos"  # ignores the categories, because MOTChallenge text has none
NO_MASKS = (1, 1)
Boxes = Mapping[int, FoundBoxes]  # by frame index


def main() -> None:
    """Segment each video on each path, and print one line per path."""
    args = parse_args()
    config = find_preset(PRESET)
    detector = load_box_detector(args.detector)
    onnx = Segmenter(load_network(args.model, detector=args.detector), config=config)
    own = Segmenter(load_network(args.model), config=config)
    print(f"{'video':<16}{'path':<14}{'instances':>10}{'lowest IoU':>12}")
    for folder in args.videos:
        video = open_video(folder)
        keys = select_key_frames(video.count_frames(), config.num_key_frames, config.key_frame_spacing)
        boxes = {
            index: likely(detector.model.detect(KeyFrame(index, np.array(pixels)), mask_size=NO_MASKS), config)
            for index, pixels in enumerate(video.iter_frames())
            if index in keys
        }
        truth = onnx.segment(video)
        with tempfile.TemporaryDirectory(prefix="vis-paths-") as temporary:
            for name, write in WRITERS.items():
                path = Path(temporary) / name
                write(boxes, video, path)
                report(folder, name, truth, segment_with(own, video, path))
            result, coco = (segment_with(own, video, path) for path in write_masks(truth, Path(temporary)))
            report(folder, "NAME.json", result, coco)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+", help="video files or folders of images")
    parser.add_argument("--detector", required=True, help="an ONNX file")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    return parser.parse_args()


def likely(found: FoundBoxes, config: SegmentSettings) -> FoundBoxes:
    """Return the boxes that the settings use."""
    rows = np.flatnonzero(found.scores > config.detection_score_threshold)
    return FoundBoxes(found.boxes[rows], found.scores[rows], found.labels[rows], (None,) * len(rows))


def segment_with(segmenter: Segmenter, video: Video, path: Path) -> VideoResult:
    """Segment a video with the detections of a file."""
    file = read_detection_file(path)
    size = {"width": video.width, "height": video.height, "frame_names": video.frame_names}
    return segmenter.segment(video, detections=lambda num_frames: file.locate(num_frames=num_frames, first=0, **size))


def write_coco(boxes: Boxes, video: Video, path: Path) -> None:
    """Write COCO results."""
    results = [
        {"image_id": name_of(video, index), "category_id": 1, "score": float(score), "bbox": corner_and_size(box)}
        for index, found in boxes.items()
        for box, score in zip(found.boxes, found.scores, strict=True)
    ]
    path.write_text(json.dumps(results), encoding="utf-8")


def write_mot(boxes: Boxes, video: Video, path: Path) -> None:
    """Write MOTChallenge text, whose pixels start at 1."""
    lines = []
    for index, found in boxes.items():
        for box, score in zip(found.boxes, found.scores, strict=True):
            left, top, width, height = corner_and_size(box)
            number = index if video.frame_names is None else int(Path(video.frame_names[index]).stem)
            values = (left + 1, top + 1, width, height, float(score))
            lines.append(f"{number},-1,{','.join(map(repr, values))},-1,-1,-1")
    path.write_text("\n".join(lines), encoding="utf-8")


def write_yolo(boxes: Boxes, video: Video, path: Path) -> None:
    """Write YOLO text: one file per frame."""
    path.mkdir()
    (path / "data.yaml").write_text("names: [object]\n", encoding="utf-8")
    for index, found in boxes.items():
        lines = []
        for box, score in zip(found.boxes, found.scores, strict=True):
            left, top, width, height = corner_and_size(box)
            centre = ((left + width / 2) / video.width, (top + height / 2) / video.height)
            values = (*centre, width / video.width, height / video.height, float(score))
            lines.append(f"0 {' '.join(map(repr, values))}")
        name = Path(str(name_of(video, index))).stem
        (path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")


def write_masks(result: VideoResult, folder: Path) -> tuple[Path, Path]:
    """Write a result as NAME.json, and its masks as COCO results."""
    write_result(result, folder / "result.json")
    entries = [
        {"image_id": index, "category_id": 1, "score": instance.score, "segmentation": mask}
        for index in range(result.video.num_frames)
        for instance in result.instances
        if (mask := instance.segmentations[index]) is not None
    ]
    (folder / "masks.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder / "result.json", folder / "masks.json"


def corner_and_size(box: np.ndarray) -> list[float]:
    """Return left, top, width and height of a box (x0, y0, x1, y1)."""
    left, top, right, bottom = (float(side) for side in box)
    return [left, top, right - left, bottom - top]


def name_of(video: Video, index: int) -> str | int:
    """Return the name of the image of a frame, or its index in a video file."""
    return index if video.frame_names is None else video.frame_names[index]


def report(video: Path, name: str, first: VideoResult, second: VideoResult) -> None:
    """Print the lowest IoU of the instances of two results."""
    masks = [[instance.segmentations for instance in result.instances] for result in (first, second)]
    lowest = float(sequence_iou(*masks).max(axis=1).min()) if len(masks[0]) == len(masks[1]) > 0 else 0.0
    print(f"{video.name:<16}{name:<14}{len(masks[1]):10d}{lowest:12.6f}", flush=True)


WRITERS: dict[str, Callable[[Boxes, Video, Path], None]] = {
    "coco.json": write_coco,
    "mot.txt": write_mot,
    "yolo": write_yolo,
}


if __name__ == "__main__":
    main()
