"""Train a Seq Mask R-CNN from one config: steps, checkpoints, log, validation; called by `vis train`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from vis_cli.errors import VisError
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.weights import save_model
from vis_cli.training.checkpoint import RunState, WeightAverage, last_checkpoint, read_checkpoint, write_checkpoint
from vis_cli.training.config import TrainConfig, ValidationConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.optimizer import build_optimizer
from vis_cli.training.pairs import ClipKey, init_worker
from vis_cli.training.preview import draw_preview
from vis_cli.training.processes import Processes, join_processes
from vis_cli.training.run_log import RunLog, open_log
from vis_cli.training.sources import OpenedData, build_plan, open_data
from vis_cli.training.start import build_model, start_prop_head
from vis_cli.training.step import train_step, wrap
from vis_cli.training.stopping import catch_sigterm
from vis_cli.training.structures import TrainClip, collate

BEST_NAME = "best"  # the model folder of the best validation
PREVIEWED = 4  # clips in the pictures of a report

Progress = Callable[[int, int, dict[str, float]], None]
Validate = Callable[[ValidationConfig, SeqMaskRCNN], dict[str, float]]  # the first figure decides which is best
Parts = list[list[TrainClip]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Hold what a run calls: after every step (steps done, in all, figures), and to measure a model."""

    progress: Progress | None = None
    validate: Validate | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say how a run ended."""

    folder: Path
    step: int  # steps done
    finished: bool  # False: it was asked to stop, and saved itself


@dataclass(frozen=True, slots=True)
class Run:
    """Hold what stays the same through a run."""

    name: str  # of the config's file
    config: TrainConfig
    data: OpenedData
    out: Path
    processes: Processes
    hooks: Hooks


def train(
    config_path: Path,
    out: Path,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    data_root: Path | None = None,
    hooks: Hooks | None = None,
) -> Outcome:
    """Run a config to its last step and write the averaged weights to `out`.

    Under `torchrun` the processes share every step's batch, and the first one writes.

    Args:
        config_path: the run's TOML file.
        out: folder of the checkpoints, log.jsonl, tensorboard/, best/ and weights.safetensors.
        resume: go on from the last checkpoint in `out`; the result is that of an unbroken run.
        device: where the network learns; None: the CPU.
        data_root: folder that relative data paths are taken from; None: the config's own.
        hooks: what to call on the way.

    Returns:
        The model folder, which is `out`, and whether the run came to its end: SIGTERM makes it save itself and stop.

    Raises:
        VisError: config, data, checkpoint or output cannot be used, or a loss is not finite.
    """
    tune_malloc()
    with join_processes(device or torch.device("cpu")) as processes:
        run = open_run(config_path, out, processes, data_root=data_root, hooks=hooks)
        _open_output(run, resume=resume)
        state = start_state(run, resume=resume)
        with open_log(out, state.step, silent=not processes.is_first) as log, catch_sigterm() as stopping:
            finished = _run_steps(run, state, log, stopping)
        if finished and processes.is_first:
            save_model(out, averaged_model(state), _provenance(run, state))
        return Outcome(out, state.step, finished)


def open_run(
    config_path: Path,
    out: Path,
    processes: Processes,
    *,
    data_root: Path | None = None,
    hooks: Hooks | None = None,
) -> Run:
    """Read a config and open its data.

    Raises:
        VisError: either cannot be used.
    """
    config = read_train_config(config_path, data_root=data_root)
    processes.share(config.batch_size, config.micro_batch_size)
    _require_validation_data(config.validation)
    data = open_data(config)
    return Run(config_path.name, config.settled(data.epoch_items), data, out, processes, hooks or Hooks())


def start_state(run: Run, *, resume: bool) -> RunState:
    """Build the network and its optimiser as they start, or as they were left.

    Raises:
        VisError: the start or the checkpoint cannot be had.
    """
    torch.manual_seed(run.config.seed)
    model = build_model(run.config)
    if run.config.starts_prop_head and not resume:
        start_prop_head(model, run.config, run.data.dataset)
    model.to(run.processes.device)
    state = RunState(model, WeightAverage(model, run.config.optim.ema_decay), build_optimizer(model, run.config.optim))
    if resume:
        read_checkpoint(run.out, state)
    return state


def iter_parts(run: Run, start: int) -> Iterator[Parts]:
    """Yield what this process does of every step's batch, from a step on.

    Raises:
        VisError: a picture cannot be read.
    """
    config = run.config
    share = run.processes.share(config.batch_size, config.micro_batch_size)
    loader: DataLoader[TrainClip] = DataLoader(
        run.data.dataset,
        batch_sampler=build_plan(config, start, epoch_length=run.data.epoch_length, share=share),
        num_workers=config.num_workers,
        collate_fn=collate,
        worker_init_fn=init_worker,
        generator=torch.Generator(),  # its own, so that making the loader leaves the run's random state alone
    )
    parts = iter(loader)
    for _ in range(start, config.num_steps):
        yield [next(parts) for _ in range(share.count)]


def averaged_model(state: RunState) -> SeqMaskRCNN:
    """Return a copy of the model with the averaged weights, in evaluation mode."""
    model = copy.deepcopy(state.model)
    state.average.copy_to(model)
    return model.eval()


def preview_clips(run: Run, num: int = PREVIEWED) -> list[TrainClip]:
    """Return some clips of the run, the same ones at every time."""
    canvas, frames = run.config.canvases[0], run.config.num_frames
    length = run.data.epoch_length or num
    keys: list[ClipKey] = [(0, i, canvas, frames) for i in range(min(num, length))]
    return [run.data.dataset[key].to(run.processes.device) for key in keys]


def _run_steps(run: Run, state: RunState, log: RunLog, stopping: Callable[[], bool]) -> bool:
    """Do the steps that are left; return whether they all were done."""
    loss = wrap(state.model, run.processes)
    batches, config = iter_parts(run, state.step), run.config
    ended = time.perf_counter()
    while state.step < config.num_steps:
        parts = _next_parts(run, state, batches, stopping)
        if parts is None:
            return False
        now = config.at(state.step)
        figures = train_step(loss, state.optimizer, parts, now, state.step, run.processes)
        state.average.update(state.model, state.step)
        began, ended = ended, time.perf_counter()
        images = config.batch_size * now.num_frames
        figures |= {"seconds": ended - began, "images_per_second": images / (ended - began)}
        log.write(state.step, figures)
        state.step += 1
        _after_step(run, state, log, figures)
    return True


def _next_parts(run: Run, state: RunState, batches: Iterator[Parts], stopping: Callable[[], bool]) -> Parts | None:
    """Return the clips of the next step, or None where the processes were asked to stop; the run is saved then.

    Raises:
        VisError: a process cannot read a picture; the run is saved, too.
    """
    parts: Parts | None = None
    failure: VisError | None = None
    try:
        parts = next(batches)
    except VisError as error:
        failure = VisError(_last_line(error))
    flags = run.processes.gather((failure is not None, stopping()))
    if not any(failed or stops for failed, stops in flags):
        return parts
    _save(run, state)
    if failure is not None:
        raise VisError(f"{failure}; the run is saved at step {state.step}, --resume goes on") from failure
    if any(failed for failed, _ in flags):
        raise VisError("another process of the run could not read its data")
    return None


def _after_step(run: Run, state: RunState, log: RunLog, figures: dict[str, float]) -> None:
    """Report, validate and save where it is time to."""
    config, is_last = run.config, state.step == run.config.num_steps
    if run.hooks.progress is not None and run.processes.is_first:
        run.hooks.progress(state.step, config.num_steps, figures)
    reports = run.processes.is_first and (is_last or state.step % (config.report_every or 1) == 0)
    if reports:
        _validate(run, state, log)
    if is_last or state.step % config.checkpoint_every == 0:
        _save(run, state)
    if reports and log.shows_pictures:
        picture = draw_preview(averaged_model(state), preview_clips(run))
        log.show(state.step, "clips: true masks, masks propagated", picture)


def _validate(run: Run, state: RunState, log: RunLog) -> None:
    """Measure the averaged weights, and keep them if they are the best."""
    if run.config.validation is None or run.hooks.validate is None:
        return
    model = averaged_model(state)
    figures = run.hooks.validate(run.config.validation, model)
    log.write(state.step - 1, {f"val_{name}": value for name, value in figures.items()})
    score = next(iter(figures.values()))
    if state.best_score is None or score > state.best_score:
        state.best_score = score
        provenance = {**_provenance(run, state), "validation": f"{next(iter(figures))} {score:.4f}"}
        save_model(run.out / BEST_NAME, model, provenance)


def _save(run: Run, state: RunState) -> None:
    if run.processes.is_first:
        write_checkpoint(run.out, state, keep=run.config.keep_checkpoints)


def _provenance(run: Run, state: RunState) -> dict[str, str]:
    return {"trained_with": run.name, "steps": str(state.step)}


def _require_validation_data(validation: ValidationConfig | None) -> None:
    """See that what is validated on is there, before hours of training."""
    for path in (validation.images, validation.annotations) if validation else ():
        if path and not Path(path).exists():
            raise VisError(f"[validation] {path} is missing")


def _open_output(run: Run, *, resume: bool) -> None:
    if not resume and last_checkpoint(run.out) is not None:
        raise VisError(f"{run.out} holds a run already; give --resume to go on, or another --out")
    try:
        run.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VisError(f"{run.out}: cannot make this folder ({error.strerror})") from error


def _last_line(error: VisError) -> str:
    """Return the message itself, which torch puts under a traceback where the error is of a loading process."""
    return str(error).strip().splitlines()[-1].removeprefix(f"{VisError.__module__}.{VisError.__name__}: ")
