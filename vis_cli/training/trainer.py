"""Training loop: steps, checkpoints, log and validation. Used by `vis train`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from vis_cli.errors import VisError
from vis_cli.files.atomic import write_error
from vis_cli.files.locks import exclusive_lock
from vis_cli.network.malloc import tune_malloc
from vis_cli.training.checkpoint import RunState, last_checkpoint, write_checkpoint
from vis_cli.training.preview import draw_preview
from vis_cli.training.processes import join_processes
from vis_cli.training.run import Hooks, Parts, Run, averaged_model, iter_parts, open_run, preview_clips, start_state
from vis_cli.training.run_log import BOARD_NAME, RunLog, open_log
from vis_cli.training.shortage import REMEDY, OutOfMemoryError, is_shortage
from vis_cli.training.step import train_step, wrap
from vis_cli.training.stopping import catch_sigterm
from vis_cli.training.validation import validate
from vis_cli.zoo.folder import WEIGHTS_NAME
from vis_cli.zoo.weights import save_model

BEST_NAME = "best"  # model folder with the weights of the best validation
PREVIEWED = 4  # clips in a preview image


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a run."""

    folder: Path
    step: int  # number of completed steps
    finished: bool  # False: SIGTERM stopped the run, and its state is saved


def train(
    config_path: Path,
    out: Path,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    data_root: Path | None = None,
    hooks: Hooks | None = None,
) -> Outcome:
    """Train a network and write the averaged weights to `out`.

    With `torchrun`, the processes divide the batch of each step, and only the first process writes. After SIGTERM, the
    run saves its state and stops.

    Args:
        config_path: TOML file of the run.
        out: Folder of the checkpoints, log.jsonl, tensorboard/, best/ and weights.safetensors.
        resume: Resume from the last checkpoint in `out`. The result is the same as without an interruption.
        device: Device of the training. None: the CPU.
        data_root: Folder of relative data paths. None: the folder of the file that contains the path.
        hooks: Functions that the run calls.

    Raises:
        VisError: The config, the data, a checkpoint or the output cannot be used, or a loss is not finite.
    """
    tune_malloc()
    with join_processes(device or torch.device("cpu")) as processes:
        run = open_run(config_path, out, processes, data_root=data_root, hooks=hooks)
        with _open_output(run, resume=resume):
            try:
                return _train(run, resume=resume)
            except (MemoryError, RuntimeError) as error:
                if not is_shortage(error):
                    raise
                raise VisError(
                    f"out of memory; the last checkpoint in {out} is unchanged", hint=f"{REMEDY}."
                ) from error


def _train(run: Run, *, resume: bool) -> Outcome:
    state = start_state(run, resume=resume)
    silent = not run.processes.is_first
    with open_log(run.out, state.step, silent=silent, note=run.hooks.note) as log, catch_sigterm() as stopping:
        finished = _run_steps(run, state, log, stopping)
    if finished and run.processes.is_first:
        save_model(run.out, averaged_model(run, state), _provenance(run, state))
    return Outcome(run.out, state.step, finished)


def _run_steps(run: Run, state: RunState, log: RunLog, stopping: Callable[[], bool]) -> bool:
    """Train the remaining steps. Return False if the run was stopped."""
    loss = wrap(state.model, run.processes)
    batches, config = iter_parts(run, state.step), run.config
    if state.validated < state.step and _is_report(run, state):
        _validate(run, state, log)  # the run was interrupted before this validation
    ended = time.perf_counter()
    while state.step < config.num_steps:
        parts = _next_parts(run, state, batches, stopping)
        if parts is None:
            return False
        now = config.at(state.step)
        try:
            figures = train_step(loss, state.optimizer, parts, now, state.step, run.processes)
        except OutOfMemoryError as error:
            _save(run, state)
            raise error.with_hint(_resume_hint(state)) from error
        state.average.update_parameters(state.model)
        began, ended = ended, time.perf_counter()
        images = config.batch_size * now.num_frames
        figures |= {"seconds": ended - began, "images_per_second": images / (ended - began)}
        log.write(state.step, figures)
        state.step += 1
        _after_step(run, state, log, figures)
    return True


def _next_parts(run: Run, state: RunState, batches: Iterator[Parts], stopping: Callable[[], bool]) -> Parts | None:
    """Return the clips of the next step. After SIGTERM, save the run and return None.

    Raises:
        VisError: A process cannot read an image. The run is saved before.
    """
    parts: Parts | None = None
    failure: VisError | None = None
    try:
        parts = next(batches)
    except VisError as error:
        failure = error
    flags = run.processes.gather((failure is not None, stopping()))
    if not any(failed or stops for failed, stops in flags):
        return parts
    _save(run, state)
    if failure is not None:
        raise failure.with_hint(_resume_hint(state)) from failure
    if any(failed for failed, _ in flags):
        raise VisError("another process of the run cannot read its data. See its error line.")
    return None


def _after_step(run: Run, state: RunState, log: RunLog, figures: dict[str, float]) -> None:
    """Report the step. Save, validate and draw a preview at the steps of the config."""
    config, is_last = run.config, state.step == run.config.num_steps
    if run.hooks.progress is not None and run.processes.is_first:
        run.hooks.progress(state.step, config.num_steps, figures)
    reports = _is_report(run, state)
    if is_last or state.step % config.checkpoint_every == 0 or (reports and _validates(run)):
        _save(run, state)
    if reports:
        _validate(run, state, log)
    if reports and run.processes.is_first and log.shows_images:
        preview = draw_preview(averaged_model(run, state), preview_clips(run, PREVIEWED))
        log.show(state.step, "clips: ground-truth masks, propagated masks", preview)


def _is_report(run: Run, state: RunState) -> bool:
    return state.step == run.config.num_steps or state.step % (run.config.report_every or 1) == 0


def _validates(run: Run) -> bool:
    return run.config.validation is not None


def _validate(run: Run, state: RunState, log: RunLog) -> None:
    """Score the averaged weights, keep them if they are the best, and save that this validation is done.

    Raises:
        VisError: The split cannot be segmented or scored. The run is saved before.
    """
    if run.config.validation is None or not run.processes.is_first:
        return
    model = averaged_model(run, state)
    try:
        figures = validate(run.config.validation, model, device=str(run.processes.device))
    except VisError as error:
        raise error.inside("[validation]").with_hint(_resume_hint(state)) from error
    if run.hooks.note is not None:
        run.hooks.note("validation: " + ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items()))
    log.write(state.step - 1, {f"val_{name}": value for name, value in figures.items()})
    score = next(iter(figures.values()))
    if not math.isnan(score) and (state.best_score is None or score > state.best_score):
        state.best_score = score
        provenance = {**_provenance(run, state), "validation": f"{next(iter(figures))} {score:.4f}"}
        save_model(run.out / BEST_NAME, model, provenance)
    state.validated = state.step
    _save(run, state)


def _save(run: Run, state: RunState) -> None:
    if run.processes.is_first:
        write_checkpoint(run.out, state, keep=run.config.keep_checkpoints)


def _resume_hint(state: RunState) -> str:
    return f"The run is saved at step {state.step}. Resume it with --resume."


def _provenance(run: Run, state: RunState) -> dict[str, str]:
    return {"trained_with": run.name, "steps": str(state.step)}


@contextmanager
def _open_output(run: Run, *, resume: bool) -> Iterator[None]:
    """Create the folder of the run, and lock it in the first process."""
    if not resume and last_checkpoint(run.out) is not None:
        raise VisError(f"{run.out} already contains a run. Resume it with --resume, or use another --out.")
    with ExitStack() as stack:
        try:
            run.out.mkdir(parents=True, exist_ok=True)
            _require_kinds(run.out)
            if run.processes.is_first:
                stack.enter_context(exclusive_lock(run.out))
        except OSError as error:
            raise write_error(run.out, error) from error
        yield


def _require_kinds(out: Path) -> None:
    """Check before the first step that the run can write its files at the end."""
    folders, files = (BOARD_NAME, BEST_NAME), (WEIGHTS_NAME, f"{BEST_NAME}/{WEIGHTS_NAME}")
    for name in folders:
        if (out / name).exists() and not (out / name).is_dir():
            raise VisError(f"cannot write into {out / name}: it is not a folder. Move it away.")
    for name in files:
        if (out / name).is_dir():
            raise VisError(f"cannot write {out / name}: it is a folder. Move it away.")
