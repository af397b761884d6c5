"""The commands that `kill` interrupts: their small inputs, how a run begins and goes on, and what it has to leave.

Used by `kill`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from tests.network.factories import make_model
from tests.records.video_factory import make_video
from tests.training.test_trainer import make_run
from tests.zoo.released_factory import hollow_state, write_checkpoint
from vis_cli.records.davis import write_label_png
from vis_cli.zoo.weights import save_model

SIZE = (64, 48)  # width, height
NUM_FRAMES = 4

Contents = dict[str, Any]  # what is compared, by relative path


@dataclass(frozen=True, slots=True)
class Command:
    """Describe a command line: the words `SEEDS` and `OUT` stand for folders."""

    name: str
    argv: tuple[str, ...]
    again: tuple[str, ...] = ()  # added by a person who runs it again and finds a result, or a part of one
    marker: str = ""  # file pattern in OUT that makes `again` needed; "": any file
    share: int = 1  # of the cases


MODEL = ("--model", "SEEDS/model", "--device", "cpu")
PLOTS = ("--plots", "OUT/plots")
COMMANDS = (
    Command(
        "segment",
        ("segment", "SEEDS/videos/clip.mp4", "-o", "OUT", "--masks", "SEEDS/mask.png", *MODEL),
        share=2,
    ),
    Command("segment batch", ("segment", "SEEDS/videos", "-o", "OUT", *MODEL), share=2),
    Command("render", ("render", "SEEDS/results/clip.json", "-o", "OUT/o.mp4"), ("--overwrite",)),
    Command(
        "export-json zip",
        ("export-json", "SEEDS/results", "--format", "davis", "-o", "OUT/o.zip"),
        ("--overwrite",),
    ),
    Command(
        "export-json folder",
        ("export-json", "SEEDS/results", "--format", "davis", "-o", "OUT"),
        ("--overwrite",),
    ),
    Command(
        "export coco",
        ("export", "SEEDS/results", "--to", "coco-video", "-o", "OUT/o.json"),
        ("--overwrite",),
    ),
    Command(
        "eval",
        (
            "eval",
            "SEEDS/submission.json",
            "--annotations",
            "SEEDS/truth.json",
            "--json",
            "OUT/o.json",
            "--plots",
            "OUT/plots",
        ),
        ("--overwrite",),
    ),
    Command(
        "train", ("train", "SEEDS/train/run.toml", "-o", "OUT", "--device", "cpu"), ("--resume",), "checkpoint-*.pt", 2
    ),
    Command(
        "models import",
        ("models", "import", "SEEDS/released.pth", "--as", "r50", "--dataset", "ytvis2019", "-o", "OUT"),
        ("--overwrite",),
        "weights.safetensors",
    ),
)


def make_seeds(root: Path, run: Callable[[list[str]], None]) -> None:
    """Make the inputs of all commands below `root`; `run` calls `vis`."""
    for name in ("videos", "train"):
        (root / name).mkdir(parents=True)
    for name in ("clip.mp4", "other.mp4"):
        make_video(root / "videos", name, num_frames=NUM_FRAMES, size=SIZE, sound="aac" if name == "clip.mp4" else None)
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[4:20, 4:30], labels[24:44, 30:60] = 1, 2
    write_label_png(labels, root / "mask.png")
    torch.manual_seed(0)
    save_model(root / "model", make_model(), {"trained_with": "tiny.toml"})
    write_checkpoint(root / "released.pth", hollow_state("r50"))
    make_run(root / "train", steps=2, every=1)
    given = ["--masks", str(root / "mask.png"), "--model", str(root / "model"), "--no-render", "--device", "cpu"]
    run(["segment", str(root / "videos" / "clip.mp4"), "-o", str(root / "results"), *given])
    run(["export", str(root / "results"), "--to", "coco-video", "-o", str(root / "truth.json")])
    _make_submission(root)


def read_contents(out: Path) -> Contents:
    """Return what two runs must have in common, of each file that is complete; a file that cannot be read raises."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    contents = {str(path.relative_to(out)): _read(path) for path in files}
    return {name: content for name, content in contents.items() if content is not None}


def leftovers(folder: Path) -> list[str]:
    """Return the hidden files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith("."))


def _make_submission(root: Path) -> None:
    truth = json.loads((root / "truth.json").read_text())
    keys = ("video_id", "category_id", "segmentations")
    entries = [{**{key: entry[key] for key in keys}, "score": 0.5} for entry in truth["annotations"]]
    (root / "submission.json").write_text(json.dumps(entries))


def _read(path: Path) -> Any:
    if "tfevents" in path.name:
        return None  # TensorBoard appends, and its files hold times
    if path.name == "log.jsonl":
        return [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text()))
    if path.suffix == ".pt":
        state = torch.load(path, weights_only=True)
        return {name: value.numpy().tobytes() for name, value in state["model"].items()}
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    if path.suffix == ".png":
        with Image.open(path) as image:
            return image.size, np.asarray(image).tobytes()
    return path.read_bytes()


def _without_times(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_times(value) for key, value in data.items() if "second" not in key}
    return data
