"""Cases of configs, training data, weights, released checkpoints and run folders."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch

from tests.robustness.case import Workshop
from tests.robustness.octets import mutate_bytes
from tests.robustness.paths import disturb_folder, swap_type
from tests.robustness.pictures import mutate_image
from tests.robustness.tensors import mutate_log, mutate_pickle, mutate_safetensors, saved
from tests.robustness.trees import dump_toml, hostile_value, mutate_json, mutate_tree
from vis_cli.network.config import ModelConfig
from vis_cli.training.config import OptimConfig, ScheduleConfig, SourceConfig, TrainConfig, ValidationConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SWAPPED = 0.1
ENDLESS = ("steps", "epochs")  # fields whose huge values are right, and mean months of work
CPU = ("--device", "cpu")


def config(shop: Workshop) -> list[str]:
    """Damage a run's TOML file, or what it extends."""
    path = shop.take("train", "train") / "run.toml"
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
        return _train(shop, path, check=shop.often(0.5))
    tree = tomllib.loads(path.read_text())
    if shop.often(0.2):
        target = shop.rng.choice(("base.toml", "run.toml", "../x.toml", "/dev/zero", "nul\0", "", ".", "é" * 300))
        tree["extends"] = shop.rng.choice((target, [target, target], [target] * 20, 7, {}))
        base = path.with_name("base.toml")
        base.write_bytes(shop.rng.choice((b"seed = 3\n", b'extends = "run.toml"\n', b"\xff", b"seed =")))
        if shop.often(0.2):
            swap_type(shop.rng, base)
    elif shop.often(0.4):
        _set_fields(shop, tree)
    else:
        tree = mutate_tree(shop.rng, tree)
    tree = tree if isinstance(tree, dict) else {"steps": tree}
    data = dump_toml(tree)
    path.write_bytes(mutate_bytes(shop.rng, data) if shop.often(0.2) else data)
    return _train(shop, path, check=any(_is_long(tree.get(name)) for name in ENDLESS) or shop.often(0.5))


def annotations(shop: Workshop) -> list[str]:
    """Damage the annotations or an image of a dataset in one of the three layouts."""
    folder = shop.take("train", "train")
    path = folder / "run.toml"
    kind = shop.rng.choice(("stills", "stills", "video", "davis"))
    if kind == "stills":
        damaged = folder / shop.rng.choice(("stills.json", "stills.json", "discs.png"))
    elif kind == "video":
        annotations = shop.take("split.json", "train/split.json")
        source = {"kind": "video", "annotations": "split.json", "images": str(shop.seeds / "davis/JPEGImages/480p")}
        if shop.often(0.3):
            source["images"] = "frames"
            shop.take("davis/JPEGImages/480p", "train/frames")
            annotations = shop.rng.choice(sorted((folder / "frames").rglob("*.jpg")))
        damaged = annotations
        _use_source(path, source)
    else:
        root = shop.take("davis", "train/davis")
        _use_source(path, {"kind": "davis", "annotations": "davis/ImageSets/2017/train.txt"})
        damaged = shop.rng.choice(sorted(file for file in root.rglob("*") if file.is_file()))
    if shop.often(SWAPPED):
        swap_type(shop.rng, damaged)
    elif damaged.suffix == ".json":
        shop.change(damaged, mutate_json)
    else:
        shop.change(damaged, lambda rng, data: mutate_image(rng, damaged.name, data))
    return _train(shop, path, check=shop.often(0.6))


def weights(shop: Workshop) -> list[str]:
    """Damage a model folder; describe it, segment with it, or train on from it."""
    folder = shop.take("model")
    path = folder / "weights.safetensors"
    choice = shop.rng.random()
    if choice < 0.1:
        swap_type(shop.rng, shop.rng.choice((path, folder / "CARD.md")))
    elif choice < 0.2:
        shop.change(folder / "CARD.md", mutate_bytes)
    elif choice < 0.25:
        disturb_folder(shop.rng, folder)
    else:
        shop.change(path, mutate_safetensors)
    choice = shop.rng.randrange(5)
    if choice == 0:
        run = shop.take("train", "train") / "run.toml"
        text = run.read_text().replace('init = "none"', 'init = "../model"')
        run.write_text(text)
        return _train(shop, run, check=True)
    if choice <= 2:
        clip = shop.take("videos/clip.mp4")
        return ["segment", shop.name(clip), "-o", "out", "--model", "in/model", *CPU, "--no-render"]
    return ["models", "info", "in/model"]


def released(shop: Workshop) -> list[str]:
    """Damage a checkpoint of the paper's authors and import it."""
    path = shop.input / "released.pth"
    content = torch.load(shop.seeds / "released.pth", weights_only=True)
    if shop.often(SWAPPED):
        path.touch()
        swap_type(shop.rng, path)
    else:
        path.write_bytes(mutate_pickle(shop.rng, content, "state_dict", old_format=shop.often(0.5)))
    return ["models", "import", shop.name(path), "--as", "r50", "--dataset", "ytvis2019", "-o", "out"]


def run_folder(shop: Workshop) -> list[str]:
    """Damage the folder of a run that is resumed: its checkpoint, its log, what lies beside them."""
    config = shop.take("train", "train") / "run.toml"
    config.write_text(config.read_text().replace("steps = 1", "steps = 2"))
    out = shop.take("run", "out-run")
    checkpoint, log = out / "checkpoint-000001.pt", out / "log.jsonl"
    choice = shop.rng.random()
    if choice < 0.5:
        content: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        checkpoint.write_bytes(mutate_pickle(shop.rng, content, shop.rng.choice(("model", "average", "optimizer"))))
    elif choice < 0.75:
        shop.change(log, mutate_log)
    elif choice < 0.9:
        swap_type(shop.rng, shop.rng.choice((checkpoint, log, out / "tensorboard", out / "weights.safetensors")))
    else:
        (out / "checkpoint-000009.pt").write_bytes(shop.rng.choice((b"", b"PK", saved({"step": 9}))))
    return ["train", shop.name(config), "-o", shop.name(out), "--resume", *CPU]


def _train(shop: Workshop, path: Path, *, check: bool) -> list[str]:
    return ["train", shop.name(path), "-o", "out", *CPU, *(["--check"] if check else [])]


def _use_source(path: Path, source: dict[str, str]) -> None:
    tree = tomllib.loads(path.read_text())
    tree["data"] = [source]
    tree["model"]["categories"] = ["cat", "dog", "object"]
    path.write_bytes(dump_toml(tree))


def _set_fields(shop: Workshop, tree: dict[str, Any]) -> None:
    """Give fields of the config that the run leaves out: one or two, with hostile values or those of another field."""
    tables: dict[str, type] = {"": TrainConfig, "optim": OptimConfig, "data": SourceConfig, "model": ModelConfig}
    rng = shop.rng
    tables |= {"schedule": ScheduleConfig, "validation": ValidationConfig}
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(tables))
        field = rng.choice([f for f in dataclasses.fields(tables[name]) if f.name not in (*ENDLESS, *tables)])
        default = None if field.default is dataclasses.MISSING else field.default
        value = hostile_value(rng, list(default) if isinstance(default, tuple) else default)
        if name == "data":
            tree["data"][0][field.name] = value
        elif name == "schedule":
            tree["schedule"] = [{"from_step": rng.choice((0, 1, 10**9)), field.name: value}]
        elif name == "validation":
            tree["validation"] = {
                "kind": "davis",
                "images": str(shop.seeds / "davis"),
                "sequences": ["clip"],
                field.name: value,
            }
        else:
            (tree[name] if name else tree)[field.name] = value


def _is_long(value: object) -> bool:
    return isinstance(value, int | float) and not value <= 3
