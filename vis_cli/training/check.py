"""Check of a run before its start: its data, an image of twelve clips, and one step. Used by `vis train --check`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from vis_cli.files.atomic import atomic_path
from vis_cli.files.library_output import silenced_libraries
from vis_cli.network.malloc import tune_malloc
from vis_cli.training.contact_sheet import draw_contact_sheet
from vis_cli.training.processes import Processes
from vis_cli.training.run import Hooks, iter_parts, open_run, preview_clips, start_state
from vis_cli.training.step import train_step, wrap

SHEET_NAME = "check.png"
NUM_CLIPS = 12


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Result of a check."""

    sheet: Path  # image of twelve clips
    num_items: dict[str, int]  # images or frames of each dataset
    num_steps: int
    losses: dict[str, float]  # losses of the first step
    seconds: float  # time of the step and of loading its clips


def check_run(
    config_path: Path,
    out: Path,
    *,
    device: torch.device | None = None,
    data_root: Path | None = None,
    hooks: Hooks | None = None,
) -> CheckReport:
    """Check the data of a run and of its validation, draw twelve clips and train one step. No weights are written.

    Args:
        config_path: TOML file of the run.
        out: Folder of the image.
        device: Device of the step. None: the CPU.
        data_root: Folder of relative data paths. None: the folder of the file that contains the path.
        hooks: Functions that the run calls.

    Raises:
        VisError: The run cannot start.
    """
    tune_malloc()
    alone = Processes(0, 1, device or torch.device("cpu"))
    run = open_run(config_path, out, alone, data_root=data_root, hooks=hooks)
    sheet = draw_contact_sheet([clip.to(torch.device("cpu")) for clip in preview_clips(run, NUM_CLIPS)], columns=3)
    with atomic_path(out / SHEET_NAME) as temporary, silenced_libraries():
        temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())
    state = start_state(run, resume=False)
    began = time.perf_counter()
    parts = next(iter_parts(run, 0))
    losses = train_step(wrap(state.model, alone), state.optimizer, parts, run.config.at(0), 0, alone)
    return CheckReport(out / SHEET_NAME, run.data.num_items, run.config.num_steps, losses, time.perf_counter() - began)
