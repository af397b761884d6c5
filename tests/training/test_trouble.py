"""A run in trouble: loader processes that die, memory that runs out, a folder that another run holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.files.locks import exclusive_lock
from vis_cli.training import loading
from vis_cli.training import step as step_module
from vis_cli.training.config import OptimConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.loading import iter_clips
from vis_cli.training.optimizer import build_optimizer
from vis_cli.training.processes import Processes
from vis_cli.training.run import Hooks
from vis_cli.training.step import train_step, wrap
from vis_cli.training.trainer import train

from .test_pairs import make_clip
from .test_trainer import make_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")
MESSAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError(),
]


class Slow(torch.utils.data.Dataset[int]):
    """Items that take a while."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        time.sleep(0.1)
        return index


class Broken(torch.utils.data.Dataset[int]):
    """Items that raise."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        raise self.error


def test_a_killed_loader_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = _MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_try_get_data", lambda self: poll(self, timeout=0.2))
    clips = iter_clips(torch.utils.data.DataLoader(Slow(), num_workers=2))  # type: ignore[arg-type]
    killer = kill_one_child(signal.SIGKILL)
    with pytest.raises(VisError, match=r"killed by SIGKILL, often because memory ran out.*num_workers"):
        list(clips_with(clips, killer))
    assert not active_children()


def kill_one_child(number: signal.Signals) -> Iterator[None]:
    os.kill(active_children()[0].pid or 0, number)
    yield


def clips_with(clips: Iterator[object], killer: Iterator[None]) -> Iterator[object]:
    next(clips)
    next(killer)
    yield from clips


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("error", MESSAGES[1:], ids=["torch", "python"])
def test_a_loader_without_memory_is_one_line(error: BaseException, num_workers: int) -> None:
    loader = torch.utils.data.DataLoader(Broken(error), num_workers=num_workers)
    with pytest.raises(VisError, match=r"out of memory while [01] processes load clips.*smaller num_workers"):
        next(iter_clips(loader))  # type: ignore[arg-type]


def test_an_error_of_the_program_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        next(iter_clips(torch.utils.data.DataLoader(Broken(RuntimeError("a bug")))))  # type: ignore[arg-type]


def test_processes_that_cannot_start_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(loading, "iter", refuse, raising=False)
    with pytest.raises(VisError, match=r"3 loader processes cannot start .*Resource temporarily"):
        next(iter_clips(torch.utils.data.DataLoader(Slow(), num_workers=3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", MESSAGES, ids=["cuda", "torch", "python"])
def test_a_step_without_memory_saves_the_run(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    def break_in_time(done: int, total: int, figures: dict[str, float]) -> None:
        monkeypatch.setattr(step_module, "clip_losses", fail)

    config = make_run(tmp_path, steps=3, every=100)
    with pytest.raises(
        VisError, match=r"out of memory at step 1.*micro_batch_size.*saved at step 1\. Resume it with --resume"
    ):
        train(config, tmp_path / "out", hooks=Hooks(break_in_time))
    assert (tmp_path / "out" / "checkpoint-000001.pt").is_file()


def test_memory_that_runs_out_before_the_first_step_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MESSAGES[1]

    monkeypatch.setattr("vis_cli.training.trainer.start_state", fail)
    with pytest.raises(VisError, match=r"out of memory.*micro_batch_size"):
        train(make_run(tmp_path), tmp_path / "out")


def test_a_second_run_in_a_folder_is_rejected(tmp_path: Path) -> None:
    config = make_run(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    code = f"""
from pathlib import Path
from vis_cli.files.locks import exclusive_lock
with exclusive_lock(Path({str(out)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(VisError, match=r"cannot write .*out: another process writes"):
            train(config, out)
        other.communicate("\n")
    assert [path.name for path in out.iterdir()] == []


def test_a_forked_process_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with exclusive_lock(tmp_path):
        child = os.fork()
        if child == 0:
            os.read(read_end, 1)
            os._exit(0)
    try:
        with exclusive_lock(tmp_path):  # the child still runs, and its copy of the lock must be gone
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.write(write_end, b"x")
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", ["tensorboard", "best"])
def test_a_file_where_a_folder_is_written_is_named_before_the_first_step(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("")
    with pytest.raises(VisError, match=rf"{name}: it is not a folder"):
        train(make_run(tmp_path), tmp_path / "out")


@pytest.mark.slow
def test_a_run_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    config, temporary = make_run(tmp_path, steps=1), tmp_path / "tmp"
    temporary.mkdir()
    config.write_text(config.read_text().replace("num_workers = 0", "num_workers = 1"))
    code = f"""
from pathlib import Path
from vis_cli.training.trainer import train
train(Path({str(config)!r}), Path({str(tmp_path / "out")!r}))
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    assert [path.name for path in temporary.iterdir()] == []


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model().train()
    optimizer = build_optimizer(model, OptimConfig())
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def infinite_slope(model: torch.nn.Module, *_: object, **__: object) -> dict[str, torch.Tensor]:
        return {"loss_cls": torch.sqrt(0.0 * model.fpn.inner_blocks[0][0].bias.sum())}  # 0, with a slope of NaN

    monkeypatch.setattr(step_module, "clip_losses", infinite_slope)
    config, alone = read_train_config(make_run(tmp_path)), Processes(0, 1, torch.device("cpu"))
    with pytest.raises(VisError, match=r"the gradient is (nan|inf) at step 7; clips: "):
        train_step(wrap(model, alone), optimizer, [[make_clip()]], config, 7, alone)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
