"""Train a Seq Mask R-CNN from one config: batches, joint loss, optimiser, checkpoints, log; called by `vis train`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vis_cli.errors import VisError
from vis_cli.network.backbones import freeze_first_stage
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.weights import load_model, save_model
from vis_cli.training.checkpoint import CHECKPOINT_NAME, WeightAverage, read_checkpoint, write_checkpoint
from vis_cli.training.config import OptimConfig, TrainConfig, read_train_config
from vis_cli.training.imagenet import load_imagenet
from vis_cli.training.initialise import scale_laterals, start_as_label_copier
from vis_cli.training.objective import GuidanceShares, clip_losses
from vis_cli.training.pairs import BatchPlan, init_worker
from vis_cli.training.sources import build_dataset, build_plan
from vis_cli.training.structures import TrainClip, collate
from vis_cli.training.torchvision_start import load_coco

START_BATCHES = 4  # whose frames the Seq-Prop head is fitted to at the start

Progress = Callable[[int, int, dict[str, float]], None]


def train(config_path: Path, out: Path, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Run a config to its last step and write the averaged weights to `out`.

    Args:
        config_path: the run's TOML file.
        out: folder of checkpoint.pt, log.jsonl and weights.safetensors.
        resume: go on from the checkpoint in `out`; the result is that of an unbroken run.
        progress: called after every step with the step, their number and the losses.

    Returns:
        The model folder, which is `out`.

    Raises:
        VisError: config, data, checkpoint or output cannot be used, or a loss is not finite.
    """
    tune_malloc()
    config = read_train_config(config_path)
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    _open_output(out, resume=resume)
    model = build_model(config)
    if config.starts_prop_head and not resume:
        _start_prop_head(model, config)
    optimizer = build_optimizer(model, config.optim)
    average = WeightAverage(model, config.optim.ema_decay)
    start = read_checkpoint(out, model, average, optimizer, generator) if resume else 0
    for step, clips in enumerate(_iter_batches(config, start), start):
        losses = _train_step(model, optimizer, clips, config, step, generator)
        average.update(model, step)
        _log(out, step, losses)
        if progress is not None:
            progress(step + 1, config.steps, losses)
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            write_checkpoint(out, model, average, optimizer, step + 1, generator)
    average.copy_to(model)
    save_model(out, model, {"trained_with": config_path.name, "steps": str(config.steps)})
    return out


def build_model(config: TrainConfig) -> SeqMaskRCNN:
    """Build the network in training mode with the start that the config names.

    Raises:
        VisError: the start cannot be had.
    """
    model = SeqMaskRCNN(config.model_config())
    scale_laterals(model)
    if config.init == "imagenet":
        load_imagenet(model)
        freeze_first_stage(model.backbone)
    elif config.init == "coco":
        load_coco(model)
        freeze_first_stage(model.backbone)
    elif config.init != "none":
        _load_matching(model, load_model(config.init).model.state_dict())
        freeze_first_stage(model.backbone)
    if config.train_only:
        _freeze_but(model, config.train_only)
    return model.to(memory_format=torch.channels_last).train()


def _freeze_but(model: SeqMaskRCNN, parts: tuple[str, ...]) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.startswith(parts))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise VisError(f"train_only is {', '.join(parts)}, but no part of the network that learns is named so")


def build_optimizer(model: SeqMaskRCNN, optim: OptimConfig) -> torch.optim.AdamW:
    """Build AdamW with smaller rates for some parts and no weight decay on biases and norms."""
    shares = {"backbone": optim.backbone_share, "fpn": optim.unnormed_share, "prop_head": optim.unnormed_share}
    groups: dict[tuple[str, bool], list[Tensor]] = {}
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    for name, parameter in trained:
        groups.setdefault((name.partition(".")[0], parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "share": shares.get(part, 1.0),
                "weight_decay": optim.weight_decay if is_matrix else 0.0,
            }
            for (part, is_matrix), parameters in groups.items()
        ],
        lr=optim.learning_rate,
        fused=True,
    )


def learning_rate(step: int, steps: int, optim: OptimConfig) -> float:
    """Return the rate at a step: linear warm-up, then half a cosine down to `final_share`."""
    warm = min(1.0, (step + 1) / max(1, optim.warmup_steps))
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    return optim.learning_rate * warm * (optim.final_share + (1.0 - optim.final_share) * cosine)


def guidance_shares(step: int, config: TrainConfig) -> GuidanceShares:
    """Return the share of true masks, falling linearly over the first half of the run."""
    start, end = config.true_guidance
    done = min(1.0, 2.0 * step / max(1, config.steps))
    true = start + (end - start) * done
    return GuidanceShares(true, min(config.perturbed_guidance, 1.0 - true))


def autocast_dtype(precision: str) -> torch.dtype | None:
    """Return bfloat16 where asked for or, for "auto", where the CPU computes with it; None for float32."""
    if precision == "auto":
        fast = torch.cpu._is_avx512_bf16_supported() if hasattr(torch.cpu, "_is_avx512_bf16_supported") else False
        return torch.bfloat16 if fast else None
    return {"bfloat16": torch.bfloat16, "float32": None}[precision]


def _train_step(
    model: SeqMaskRCNN,
    optimizer: torch.optim.Optimizer,
    clips: list[TrainClip],
    config: TrainConfig,
    step: int,
    generator: torch.Generator,
) -> dict[str, float]:
    rate = learning_rate(step, config.steps, config.optim)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    dtype = autocast_dtype(config.precision)
    began = time.perf_counter()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        losses = clip_losses(
            model,
            clips,
            guidance=guidance_shares(step, config),
            cross_entropy_weight=config.cross_entropy_weight,
            generator=generator,
            detect_share=config.detect_share,
        )
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
    if not torch.isfinite(total):
        raise VisError(f"loss is {total.item()} at step {step}; clips: {', '.join(clip.name for clip in clips)}")
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(total)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
    optimizer.step()
    values = {name: loss.item() for name, loss in losses.items()}
    return {
        "loss": total.item(),
        **values,
        "grad_norm": norm.item(),
        "lr": rate,
        "seconds": time.perf_counter() - began,
    }


@torch.no_grad()
def _start_prop_head(model: SeqMaskRCNN, config: TrainConfig) -> None:
    """Start the Seq-Prop head from what the backbone says of some frames like those of the run."""
    dataset = build_dataset(config)
    plan = BatchPlan(START_BATCHES, config.batch_size, config.canvases[:1], config.seed)
    images = [torch.cat([dataset[key].images for key in keys]) for keys in plan]
    start_as_label_copier(model.prop_head, torch.cat([model.encode_frames(batch).pyramid[0] for batch in images]))


def _iter_batches(config: TrainConfig, start: int) -> Iterator[list[TrainClip]]:
    loader = DataLoader(
        build_dataset(config),
        batch_sampler=build_plan(config, start),
        num_workers=config.num_workers,
        collate_fn=collate,
        worker_init_fn=init_worker,
        generator=torch.Generator(),  # its own, so that making the loader leaves the run's random state alone
    )
    yield from loader


def _open_output(out: Path, *, resume: bool) -> None:
    if not resume and (out / CHECKPOINT_NAME).exists():
        raise VisError(f"{out} holds a run already; give --resume to go on, or another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VisError(f"{out}: cannot make this folder ({error.strerror})") from error


def _log(out: Path, step: int, losses: dict[str, float]) -> None:
    record = {"step": step, **{name: round(value, 6) for name, value in losses.items()}}
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _load_matching(model: SeqMaskRCNN, state: dict[str, Tensor]) -> None:
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in state.items() if k in own and own[k].shape == v.shape}, strict=False)
