"""The trainer end to end on a made data set: it learns, resumes exactly, and stops on what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vis_cli.errors import VisError
from vis_cli.network.backbones import BACKBONES, LiteBackbone
from vis_cli.network.detector import SampleSizes
from vis_cli.network.structures import FrameFeatures
from vis_cli.records.rle import encode_mask
from vis_cli.training import objective, step
from vis_cli.training.config import OptimConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.optimizer import build_optimizer, set_rates
from vis_cli.training.processes import Processes
from vis_cli.training.run import Hooks, open_run, preview_clips, start_state
from vis_cli.training.sources import open_data
from vis_cli.training.start import build_model
from vis_cli.training.step import train_step, wrap
from vis_cli.training.trainer import train
from vis_cli.zoo.weights import load_model

pytestmark = pytest.mark.usefixtures("narrow_backbone")
CONFIG = """
steps = {steps}
batch_size = {batch_size}
canvases = [[64, 64]]
checkpoint_every = {every}
init = "{init}"
num_workers = 0
precision = "float32"
cross_entropy_weight = 0.5
{extra}
[model]
name = "tiny"
backbone = "efficientnet_lite2"
fpn_channels = 16
box_channels = 16
mask_convs = 1
class_specific = false
encoder_channels = 16
key_channels = 8
value_channels = 8
decoder_channels = 8
categories = ["cat", "object"]
[optim]
learning_rate = 2e-3
warmup_steps = 1
[[data]]
kind = "images"
annotations = "stills.json"
images = "."
{tables}
"""


def make_run(
    folder: Path,
    *,
    steps: int = 2,
    every: int = 1,
    batch_size: int = 1,
    init: str = "none",
    extra: str = "",
    tables: str = "",
) -> Path:
    """Write a still with two discs, its annotations and a config; return the config's path."""
    picture = np.full((80, 80, 3), 40, np.uint8)
    annotations = []
    for number, (x, colour) in enumerate([(22, (30, 200, 90)), (58, (200, 60, 30))], 1):
        mask = np.zeros((80, 80), np.uint8)
        cv2.circle(mask, (x, 40), 14, 1, -1)
        picture[mask > 0] = colour
        entry = {"id": number, "image_id": 1, "category_id": 7, "iscrowd": 0, "area": int(mask.sum())}
        annotations.append(entry | {"bbox": [x - 14, 26, 29, 29], "segmentation": encode_mask(mask > 0)})
    cv2.imwrite(str(folder / "discs.png"), picture)
    images = [{"id": 1, "file_name": "discs.png", "width": 80, "height": 80}]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cat"}]}
    (folder / "stills.json").write_text(json.dumps(data))
    config = folder / "run.toml"
    config.write_text(
        CONFIG.format(steps=steps, every=every, batch_size=batch_size, init=init, extra=extra, tables=tables)
    )
    return config


def test_a_run_writes_a_loadable_model_and_a_log(tmp_path: Path) -> None:
    seen: list[int] = []
    hooks = Hooks(lambda done, total, losses: seen.append(done))
    out = train(make_run(tmp_path, batch_size=4), tmp_path / "out", hooks=hooks).folder
    assert seen == [1, 2]
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 1]
    assert {"loss_cls", "loss_box", "loss_mask", "loss_prop", "loss_rpn_box"} <= set(records[0])
    assert [c.name for c in load_model(str(out)).model.config.categories] == ["cat", "object"]


def test_resume_equals_an_unbroken_run(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=4, every=2)
    train(config, tmp_path / "whole")
    stop = RuntimeError("power cut")

    def cut(done: int, total: int, losses: dict[str, float]) -> None:
        if done == 3:
            raise stop

    with pytest.raises(RuntimeError, match="power cut"):
        train(config, tmp_path / "broken", hooks=Hooks(cut))
    train(config, tmp_path / "broken", resume=True)
    whole, resumed = (
        torch.load(tmp_path / name / "checkpoint-000004.pt", weights_only=True) for name in ("whole", "broken")
    )
    for kind in ("model", "average"):  # in float32, as the shipped weights are not
        for name, value in whole[kind].items():
            torch.testing.assert_close(resumed[kind][name], value, rtol=0, atol=1e-6, msg=name)


@pytest.mark.slow
def test_one_pair_is_learnt_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All losses together and that of propagation fall tenfold where every step sees the same two frames."""
    monkeypatch.setitem(BACKBONES, "efficientnet_lite2", LiteBackbone)
    path = make_run(tmp_path, steps=450, extra="ground_truth_guidance = [1.0, 1.0]")
    rates = "learning_rate = 3e-3\nbackbone_lr_mult = 1.0\nunnormed_lr_mult = 0.5\nwarmup_steps = 10"
    path.write_text(path.read_text().replace("learning_rate = 2e-3\nwarmup_steps = 1", rates))
    alone = Processes(0, 1, torch.device("cpu"))
    run = open_run(path, tmp_path / "out", alone)
    state, pair = start_state(run, resume=False), preview_clips(run, 3)[2]  # in the first two no object stays in sight
    loss = wrap(state.model, alone)
    losses = [
        train_step(loss, state.optimizer, [[pair]], run.config, step, alone) for step in range(run.config.num_steps)
    ]
    for name in ("loss", "loss_prop"):
        assert np.mean([figures[name] for figures in losses[-5:]]) < 0.1 * losses[0][name], name


@pytest.mark.gpu
def test_a_gpu_learns_as_the_cpu_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "efficientnet_lite2", LiteBackbone)
    path = make_run(tmp_path, steps=1)
    figures = {}
    for name in ("cpu", "cuda"):
        alone = Processes(0, 1, torch.device(name))
        run = open_run(path, tmp_path / name, alone)
        state, pair = start_state(run, resume=False), preview_clips(run, 3)[2]  # one with propagation, as above
        figures[name] = train_step(wrap(state.model, alone), state.optimizer, [[pair]], run.config, 0, alone)
    cpu, gpu = figures["cpu"], figures["cuda"]
    assert gpu["loss_prop"] == pytest.approx(cpu["loss_prop"], rel=0.02)
    assert gpu["loss_mask"] == pytest.approx(cpu["loss_mask"], rel=0.1)  # its sampled regions differ


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=1)
    train(config, tmp_path / "out")
    with pytest.raises(VisError, match="already contains a run"):
        train(config, tmp_path / "out")


def test_resume_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"no checkpoint\. Start the run without --resume"):
        train(make_run(tmp_path), tmp_path / "out", resume=True)


def test_resume_from_a_damaged_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint-000001.pt").write_bytes(b"PK nothing")
    with pytest.raises(VisError, match=r"cannot read .*checkpoint-000001\.pt: it is truncated or not a checkpoint"):
        train(make_run(tmp_path), tmp_path / "out", resume=True)


def test_a_loss_that_is_not_finite_names_the_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> dict[str, torch.Tensor]:
        return {"loss_cls": torch.tensor(float("nan"))}

    monkeypatch.setattr(step, "clip_losses", broken)
    with pytest.raises(VisError, match=r"loss is nan at step 0; clips: .*discs\.png"):
        train(make_run(tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("batchsize = 2", "has no setting batchsize. Did you mean batch_size"),
        ("seed = 'x'", "seed is 'x'. Use an integer"),
        ("this is not toml", "not valid TOML"),
    ],
)
def test_a_mistyped_config_is_named(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(VisError, match=message):
        read_train_config(make_run(tmp_path, extra=extra))


def test_a_config_without_data_or_file(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("steps = 1\n[model]\nname = 'x'\n")
    with pytest.raises(VisError, match=r"has no dataset. Add at least one \[\[data\]\]"):
        read_train_config(config)
    with pytest.raises(VisError, match="cannot read"):
        read_train_config(tmp_path / "none.toml")


def test_an_unknown_generator_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"generator is 'wild'\. Use 'strong' or 'paper'"):
        train(make_run(tmp_path, extra="generator = 'wild'"), tmp_path / "out")


def test_the_papers_generator_is_a_setting(tmp_path: Path) -> None:
    config = read_train_config(make_run(tmp_path, extra="generator = 'paper'\nmax_guided = 1"))
    clip = open_data(config).dataset[(0, 0, (64, 64), 2)]
    assert len(clip.guided_ids) == 1


@pytest.mark.parametrize(("share", "expected"), [(1.0, 3), (0.5, 2), (0.1, 1)])
def test_the_detector_learns_from_a_share_of_the_clips(
    share: float, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[int] = []

    def count(detector: object, features: FrameFeatures, targets: list[object], _: object) -> dict[str, torch.Tensor]:
        taught.append(len(targets))
        assert len(features.c2) == len(targets)
        return {}

    monkeypatch.setattr(objective, "detection_losses", count)
    train(make_run(tmp_path, steps=1, batch_size=3, extra=f"detect_fraction = {share}"), tmp_path / "out")
    assert taught == [expected]


def test_how_much_of_a_frame_the_detector_learns_from_is_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SampleSizes] = []

    def note(*given: object) -> dict[str, torch.Tensor]:
        assert isinstance(given[-1], SampleSizes)
        seen.append(given[-1])
        return {}

    monkeypatch.setattr(objective, "detection_losses", note)
    extra = "anchors_per_frame = 64\nregions_per_frame = 128\nproposals = [300, 200]"
    train(make_run(tmp_path, steps=1, extra=extra), tmp_path / "out")
    assert seen == [SampleSizes(anchors=64, regions=128, proposals=(300, 200))]


def test_a_start_from_a_model_keeps_its_prop_head_unless_a_fresh_one_is_asked_for(tmp_path: Path) -> None:
    first = train(make_run(tmp_path, steps=1), tmp_path / "first").folder
    weights = load_file(first / "weights.safetensors")

    def unmoving(extra: str) -> Path:
        path = make_run(tmp_path, steps=1, init=str(first), extra=extra)
        path.write_text(path.read_text().replace("learning_rate = 2e-3", "learning_rate = 1e-30"))
        return path

    again, fresh = (
        load_file(train(unmoving(extra), tmp_path / name).folder / "weights.safetensors")
        for extra, name in (("", "again"), ("fresh_prop_head = true\nseed = 1", "fresh"))
    )
    for name, value in weights.items():
        assert torch.equal(again[name], value), name
        assert torch.equal(fresh[name], value) or name.startswith("prop_head."), name
    assert not torch.equal(fresh["prop_head.predict.weight"], weights["prop_head.predict.weight"])


def test_one_part_may_learn_alone(tmp_path: Path) -> None:
    first = train(make_run(tmp_path, steps=1), tmp_path / "first").folder
    weights = load_file(first / "weights.safetensors")
    config = make_run(tmp_path, steps=2, init=str(first), extra="train_only = ['detector.box']")
    out = train(config, tmp_path / "second").folder
    for name, value in load_file(out / "weights.safetensors").items():
        assert torch.equal(value, weights[name]) == (not name.startswith("detector.box")), name
    assert "loss_prop" not in json.loads((out / "log.jsonl").read_text().splitlines()[0])


def test_a_part_that_is_not_there_cannot_learn(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="train_only contains detektor, but the network has no such part"):
        train(make_run(tmp_path, extra="train_only = ['detektor']"), tmp_path / "out")


def test_parts_learn_at_their_own_rates(tmp_path: Path) -> None:
    config = read_train_config(make_run(tmp_path))
    optim = OptimConfig(backbone_lr_mult=0.2, unnormed_lr_mult=0.3, weight_decay=0.7)
    model = build_model(config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, optim)
    set_rates(optimizer, optim, 2.0)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            part = names[id(parameter)].partition(".")[0]
            assert group["lr"] == 2.0 * {"backbone": 0.2, "fpn": 0.3, "prop_head": 0.3, "detector": 1.0}[part]
            assert group["weight_decay"] == (0.7 if parameter.ndim > 1 else 0.0)
