"""Several processes on one run: they share each step's batch, and the result is that of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vis_cli.errors import VisError
from vis_cli.training.pairs import Share
from vis_cli.training.processes import Processes, join_processes
from vis_cli.training.step import seed_part

from .test_trainer import make_run

CPU = torch.device("cpu")
STEPS, TOLERANCE = 4, 1e-4


def test_alone_a_process_does_every_part() -> None:
    with join_processes(CPU) as alone:
        assert alone.is_first
        assert alone.gather("x") == ["x"]
        assert alone.share(6, None) == Share(1, 0, 1)
        assert alone.share(6, 2) == Share(3, 0, 3)


def test_processes_share_the_parts_evenly() -> None:
    shares = [Processes(rank, 2, CPU).share(8, 2) for rank in (0, 1)]
    assert shares == [Share(4, 0, 2), Share(4, 2, 2)]
    assert Processes(1, 2, CPU).share(8, None) == Share(2, 1, 1)


@pytest.mark.parametrize(("batch_size", "micro_batch_size"), [(3, None), (4, 3), (4, 4), (1, None)])
def test_a_batch_that_does_not_come_out_even_is_refused(batch_size: int, micro_batch_size: int | None) -> None:
    with pytest.raises(VisError, match="cannot be divided evenly among 2 processes"):
        Processes(0, 2, CPU).share(batch_size, micro_batch_size)


def test_the_draws_of_a_part_depend_on_seed_step_and_part_alone() -> None:
    draws = {
        key: (float(torch.rand(1, generator=seed_part(*key))), float(torch.rand(1)))
        for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    assert len({value for pair in draws.values() for value in pair}) == 8
    assert float(torch.rand(1, generator=seed_part(0, 1, 0))) == draws[0, 1, 0][0]


def run_vis_train(config: Path, out: Path, *, processes: int) -> list[dict[str, float]]:
    """Train by the command line, on one or more processes, and return the log."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [
        sys.executable,
        *start,
        "-m",
        "vis_cli",
        "train",
        str(config),
        "-o",
        str(out),
        "--device",
        "cpu",
        "--quiet",
    ]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_at_the_same_batch(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=STEPS, every=STEPS, batch_size=4, extra="micro_batch_size = 1")
    # SGD: Adam's first steps blow the rounding of tiny gradients up to whole steps.
    config.write_text(config.read_text().replace("learning_rate = 2e-3", 'kind = "sgd"\nlearning_rate = 1e-3'))
    one = run_vis_train(config, tmp_path / "one", processes=1)
    two = run_vis_train(config, tmp_path / "two", processes=2)
    assert [entry["step"] for entry in two] == list(range(STEPS))
    for alone, shared in zip(one, two, strict=True):
        names = [name for name in alone if name.startswith("loss") or name == "grad_norm"]
        assert {name: shared[name] for name in names} == pytest.approx(
            {name: alone[name] for name in names}, rel=TOLERANCE, abs=TOLERANCE
        )
    weights, same = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert max(float((weights[k].float() - same[k].float()).abs().max()) for k in weights) < 1e-3
