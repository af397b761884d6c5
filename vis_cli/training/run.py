"""The constant parts of a run: config, data, processes and hooks. Also its start and its batches.

Used by `trainer` and `check`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch.utils.data import DataLoader

from vis_cli.errors import VisError
from vis_cli.network.detector import SampleSizes
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.checkpoint import RunState, average_weights, read_checkpoint
from vis_cli.training.config import TrainConfig, ValidationConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.loading import ErrorsAsItems, collate_clips, iter_clips
from vis_cli.training.objective import clip_losses
from vis_cli.training.optimizer import build_optimizer
from vis_cli.training.pairs import ClipKey, init_worker
from vis_cli.training.processes import Processes
from vis_cli.training.prop_norms import Forward, add_norms, fold_norms, start_norms
from vis_cli.training.schedule import guidance_fractions
from vis_cli.training.sources import OpenedData, build_plan, open_data
from vis_cli.training.start import Note, build_model, first_batches, start_prop_head
from vis_cli.training.structures import TrainClip
from vis_cli.training.validation import check_validation

ReportStep = Callable[[int, int, dict[str, float]], None]  # completed steps, all steps, metrics of the step
Parts = list[list[TrainClip]]

NORM_BATCHES = 8  # on which the norms of the Seq-Prop head are measured


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that a run calls: `progress` after each step, `note` for information, and `warn` for warnings."""

    progress: ReportStep | None = None
    note: Note | None = None
    warn: Note | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The constant parts of a run."""

    name: str  # file name of the config
    config: TrainConfig
    data: OpenedData
    out: Path
    processes: Processes
    hooks: Hooks
    has_noted: set[str] = field(default_factory=set)  # kinds of notes about images that were printed


def open_run(
    config_path: Path,
    out: Path,
    processes: Processes,
    *,
    data_root: Path | None = None,
    hooks: Hooks | None = None,
) -> Run:
    """Read a config, open its data and check the data of its validation.

    Raises:
        VisError: The config or the data cannot be used.
    """
    hooks = hooks or Hooks()
    warn = hooks.warn if processes.is_first else None
    config = read_train_config(config_path, data_root=data_root, warn=warn)
    processes.share(config.batch_size, config.micro_batch_size)
    _check_validation(config.validation)
    data = open_data(config, hooks.note if processes.is_first else None)
    return Run(config_path.name, config.settled(data.epoch_length or 0), data, out, processes, hooks)


def start_state(run: Run, *, resume: bool) -> RunState:
    """Build the network and its optimizer at the start or, to resume, from the last checkpoint.

    Raises:
        VisError: The weights of the start or the checkpoint cannot be loaded.
    """
    torch.manual_seed(run.config.seed)
    model = build_model(run.config, None if resume else run.hooks.note)
    if run.config.starts_prop_head and not resume:
        start_prop_head(model, run.config, run.data.dataset)
    if run.config.prop_norms:
        add_norms(model.prop_head)
    model.to(run.processes.device)
    if run.config.prop_norms and not resume:
        with _evaluating(model):
            start_norms(model.prop_head, _norm_batches(run), _head_pass(run, model))
    state = RunState(
        model, average_weights(model, run.config.optim.ema_decay), build_optimizer(model, run.config.optim)
    )
    if resume:
        read_checkpoint(run.out, state)
    return state


def averaged_model(run: Run, state: RunState) -> SeqMaskRCNN:
    """Return a copy of the model with the averaged weights, in evaluation mode."""
    model = cast(SeqMaskRCNN, copy.deepcopy(state.average.module)).eval()
    if run.config.prop_norms:
        fold_norms(model.prop_head, _norm_batches(run), _head_pass(run, model))
    return model


@contextmanager
def _evaluating(model: SeqMaskRCNN) -> Iterator[None]:
    """Set the evaluation mode. Afterwards, each module has its mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, is_training in modes.items():
            module.training = is_training


def _norm_batches(run: Run) -> Iterator[list[TrainClip]]:
    """Yield the clips on which the norms of the Seq-Prop head are measured."""
    for clips in first_batches(run.config, run.data.dataset, NORM_BATCHES):
        yield [clip.to(run.processes.device) for clip in clips]


def _head_pass(run: Run, model: SeqMaskRCNN) -> Forward:
    """Return a function that propagates the objects of clips as the last steps of the training do."""
    config = run.config

    def propagate(clips: list[TrainClip]) -> None:
        clip_losses(
            model,
            clips,
            guidance=guidance_fractions(config.num_steps, config),
            cross_entropy_weight=0.0,
            generator=torch.Generator().manual_seed(config.seed),
            sizes=SampleSizes(config.anchors_per_frame, config.regions_per_frame, config.proposals),
            detect_fraction=0.0,
        )

    return propagate


def iter_parts(run: Run, start: int) -> Iterator[Parts]:
    """Yield the parts of this process of the batch of each step, from the step `start`.

    Raises:
        VisError: An image cannot be read.
    """
    config = run.config
    share = run.processes.share(config.batch_size, config.micro_batch_size)
    loader: DataLoader[TrainClip | VisError] = DataLoader(
        ErrorsAsItems(run.data.dataset),
        batch_sampler=build_plan(config, start, epoch_length=run.data.epoch_length, share=share),
        num_workers=config.num_workers,
        collate_fn=collate_clips,
        worker_init_fn=init_worker,
        generator=torch.Generator(),  # separate, so that the loader does not change the random state of the run
    )
    parts = iter_clips(loader)
    for _ in range(start, config.num_steps):
        clips = [next(parts) for _ in range(share.count)]
        _print_notes(run, (clip for part in clips for clip in part))
        yield clips


def preview_clips(run: Run, num: int) -> list[TrainClip]:
    """Return the first clips of the run. Each call returns the same clips."""
    canvas, frames = run.config.canvases[0], run.config.num_frames
    length = run.data.epoch_length or num
    keys: list[ClipKey] = [(0, i, canvas, frames) for i in range(min(num, length))]
    clips = [run.data.dataset[key].to(run.processes.device) for key in keys]
    _print_notes(run, clips)
    return clips


def _print_notes(run: Run, clips: Iterable[TrainClip]) -> None:
    """Report the assumptions about images: one line per kind, with the first image as an example."""
    for note in (note for clip in clips for note in clip.notes):
        kind = note.rpartition(": ")[2]
        if kind not in run.has_noted and run.hooks.note is not None:
            run.has_noted.add(kind)
            run.hooks.note(note)


def _check_validation(validation: ValidationConfig | None) -> None:
    """Check the data of the validation before the training."""
    if validation is None:
        return
    try:
        check_validation(validation)
    except VisError as error:
        raise error.inside("[validation]") from error
