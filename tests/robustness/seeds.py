"""Valid inputs of every kind, made once and copied into each case; each of them works before it is changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.network.factories import make_model
from tests.records.video_factory import QUARTER_TURNS, make_video, picture
from tests.robustness.tensors import in_order
from tests.training.test_trainer import make_run
from tests.zoo.detectors.onnx_factory import labelled_outputs, logits_outputs, write_onnx, yolox_outputs
from tests.zoo.released_factory import hollow_state, write_checkpoint
from vis_cli.records.davis import write_label_png
from vis_cli.records.rle import encode_mask
from vis_cli.zoo.weights import save_model

SIZE = (48, 32)  # width, height
FRAMES = ("00000", "00005", "00010", "00015")
CATEGORIES = ({"id": 1, "name": "cat"}, {"id": 2, "name": "dog"})
SEQUENCES = {"clip": FRAMES, "other": FRAMES[:2]}
VIDEOS: tuple[dict[str, Any], ...] = (
    {"name": "clip.mp4"},
    {"name": "sound.mp4", "sound": "aac"},
    {"name": "clip.mkv", "sound": "aac"},
    {"name": "clip.avi", "codec": "mpeg4"},
    {"name": "clip.ts", "codec": "mpeg2video", "sound": "mp2"},
    {"name": "clip.gif", "codec": "gif", "pix_fmt": "rgb8", "rate": 10},
    {"name": "clip.y4m", "codec": "wrapped_avframe"},
    {"name": "clip.webm", "codec": "libvpx"},
    {"name": "clip.mov", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
    {"name": "turned.mp4", "matrix": QUARTER_TURNS[90]},
    {"name": "fragments.mp4", "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    {"name": "uneven.mkv", "pts_ms": (0, 40, 300, 340)},
)

RunCommand = Callable[[list[str]], object]


def make_seeds(root: Path, run: RunCommand) -> None:
    """Make every valid input below `root`, where the model is already; `run` calls `vis` and raises where it fails."""
    for fields in VIDEOS:
        make_video(_folder(root / "videos"), num_frames=len(FRAMES), size=SIZE, **fields)
    make_pictures(_folder(root / "images"))
    make_masks(_folder(root / "masks"))
    make_davis(root / "davis")
    make_onnx(_folder(root / "onnx"), run)
    (root / "split.json").write_text(json.dumps(split_data()))
    write_checkpoint(root / "released.pth", hollow_state("r50"))
    make_results(root, run)
    make_submissions(root, run)
    make_imports(root, run)
    config = make_run(_folder(root / "train"), steps=1, extra='train_only = ["detector.box"]')
    run(["train", str(config), "-o", str(root / "run"), "--device", "cpu"])


def make_network(root: Path) -> None:
    """Write a small model."""
    save_model(root / "model", make_model(), {"trained_with": "tiny.toml", "steps": "7"})
    weights = root / "model" / "weights.safetensors"
    weights.write_bytes(in_order(weights.read_bytes()))
    (root / "model" / "CARD.md").write_text("# tiny\n\nMade for tests.\n\n## Results\n\nNothing.\n")


def make_onnx(folder: Path, run: RunCommand) -> None:
    """Write a detector in each kind of layout, each with a TOML file."""
    write_onnx(folder / "yolox.onnx", {"output": yolox_outputs()}, metadata={"license": "Apache-2.0"})
    (folder / "yolox.toml").write_text('resize = "squeeze"\nmean = [0, 0, 0]\npad_value = 3\n')
    write_onnx(folder / "labels.onnx", labelled_outputs(), metadata={"names": "{0: 'cat', 1: 'dog'}"})
    (folder / "labels.toml").write_text('box_units = "pixels"\ninput_size = [64, 96]\n')
    write_onnx(folder / "far.onnx", logits_outputs(3, 1, names=("labels", "dets")), external="far.data")
    (folder / "far.data").write_bytes(bytes(100))
    (folder / "far.toml").write_text('layout = "rf-detr"\ncategories = ["cat", "dog"]\n')
    for path in sorted(folder.glob("*.onnx")):
        run(["models", "info", str(path)])


def make_pictures(folder: Path) -> None:
    """Write a frame in each format and depth of pixel."""
    image = picture(3, SIZE)
    grey = image[..., 0]
    bgr = image[..., ::-1]
    for suffix in ("png", "jpg", "webp", "tiff", "bmp"):
        cv2.imwrite(str(folder / f"rgb.{suffix}"), bgr)
    cv2.imwrite(str(folder / "deep.png"), bgr.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "deep.tiff"), grey.astype(np.uint16) * 16)
    cv2.imwrite(str(folder / "grey.png"), grey)
    cv2.imwrite(str(folder / "alpha.png"), np.dstack([bgr, grey]))
    Image.fromarray(grey > 99).save(folder / "bits.png")
    Image.fromarray(image).quantize(16).save(folder / "palette.png")
    Image.fromarray(image).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(image).save(folder / "still.gif")
    more = [Image.fromarray(image[:, ::-1]), Image.fromarray(image)]
    for name in ("pages.tiff", "moving.gif", "moving.png", "moving.webp"):
        more[0].save(folder / name, save_all=True, append_images=more)


def labels(frame: int = 0) -> NDArray[np.uint8]:
    """Paint two objects, of which the second moves."""
    painted = np.zeros(SIZE[::-1], np.uint8)
    painted[4:14, 4:20] = 1
    painted[16:28, 20 + 2 * frame : 40 + 2 * frame] = 2
    return painted


def make_masks(folder: Path) -> None:
    """Write a label map as a palette, grey, colour and black-and-white PNG."""
    write_label_png(labels(), folder / "palette.png")
    cv2.imwrite(str(folder / "grey.png"), labels())
    cv2.imwrite(str(folder / "deep.png"), labels().astype(np.uint16))
    cv2.imwrite(
        str(folder / "rgb.png"), np.dstack([labels() == 1, labels() == 2, labels() == 9]).astype(np.uint8) * 255
    )
    cv2.imwrite(str(folder / "white.png"), (labels() == 1).astype(np.uint8) * 255)
    Image.fromarray(labels() == 1).save(folder / "bits.png")


def make_davis(root: Path) -> None:
    """Write two sequences with frames, masks and lists."""
    for name, frames in SEQUENCES.items():
        for number, frame in enumerate(frames):
            images, masks = root / "JPEGImages/480p" / name, root / "Annotations_unsupervised/480p" / name
            cv2.imwrite(str(_folder(images) / f"{frame}.jpg"), picture(number, SIZE)[..., ::-1])
            write_label_png(labels(number), _folder(masks) / f"{frame}.png")
    lists = _folder(root / "ImageSets/2017")
    for split in ("val", "train"):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in SEQUENCES))


def split_data() -> dict[str, Any]:
    """Return the two sequences as a split of YouTube-VIS."""
    videos, annotations = [], []
    for video_id, (name, frames) in enumerate(SEQUENCES.items(), 1):
        files = [f"{name}/{frame}.jpg" for frame in frames]
        size = {"width": SIZE[0], "height": SIZE[1], "length": len(frames)}
        videos.append({"id": video_id, **size, "file_names": files})
        for value in (1, 2):
            masks = [labels(number) == value for number in range(len(frames))]
            entry = {"id": len(annotations) + 1, "video_id": video_id, "category_id": value, "iscrowd": 0, **size}
            entry["segmentations"] = [encode_mask(mask) for mask in masks]
            entry["areas"] = [int(mask.sum()) for mask in masks]
            entry["bboxes"] = [[4, 4, 16, 10] for _ in masks]
            annotations.append(entry)
    annotations[0]["segmentations"][1] = [[4, 4, 20, 4, 20, 14, 4, 14]]
    annotations[1]["segmentations"][1] = annotations[1]["areas"][1] = annotations[1]["bboxes"][1] = None
    return {"info": {}, "videos": videos, "categories": list(CATEGORIES), "annotations": annotations}


def make_results(root: Path, run: RunCommand) -> None:
    """Let `vis segment` propagate given masks, and give the instances categories of the split."""
    frames = root / "davis/JPEGImages/480p"
    mask = root / "masks/palette.png"
    sources = [root / "videos/clip.mp4", frames / "clip", frames / "other"]
    for source, folder in zip(sources, ("of_video", "results", "results"), strict=True):
        given = ["--masks", str(mask), "--model", str(root / "model"), "--no-render", "--device", "cpu"]
        run(["segment", str(source), "-o", str(root / folder), *given])
    for path in sorted((root / "results").glob("*.json")):
        data = json.loads(path.read_text())
        data["categories"] = list(CATEGORIES)
        for number, instance in enumerate(data["instances"], 1):
            instance["category_id"], instance["score"] = number, 0.9 - number / 10
            instance["category_scores"] = {str(number): instance["score"]}
            shown = [labels(frame) == number for frame in range(len(instance["segmentations"]))]
            instance["segmentations"] = [encode_mask(shape) for shape in shown]
        path.write_text(json.dumps(data))


def make_submissions(root: Path, run: RunCommand) -> None:
    """Let `vis export-json` write the results in every format, and unpack the zips."""
    split, davis = str(root / "split.json"), str(root / "davis")
    out = _folder(root / "submissions")
    results = str(root / "results")
    run(["export-json", results, "--split", split, "-o", str(out / "ytvis.zip")])
    run(["export-json", results, "--split", davis, "-o", str(out / "davis.zip")])
    run(["export-json", results, "--split", davis, "--format", "davis", "-o", str(out / "davis")])
    run(["export", results, "--to", "mots", "-o", str(out / "mots.zip")])
    shutil.unpack_archive(out / "ytvis.zip", out / "ytvis")


def make_imports(root: Path, run: RunCommand) -> None:
    """Export one result for each format of `vis import`, once as cars for MOTS."""
    out, result = _folder(root / "imports"), str(root / "results/clip.json")
    run(["export", result, "--to", "cvat", "-o", str(out / "tracks.xml")])
    run(["export", result, "--to", "cvat", "--masks", "-o", str(out / "masks.xml")])
    run(["export", result, "--to", "coco-video", "-o", str(out / "data.json")])
    names = [f"{category['name']}=car" for category in CATEGORIES]
    run(["export", result, "--to", "mots", "--rename", ",".join(names), "-o", str(out / "clip.txt")])


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
