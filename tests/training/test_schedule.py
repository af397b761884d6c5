"""What changes from step to step: rates, shares, and the settings of [[schedule]]."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.training.config import OptimConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.objective import GuidanceFractions
from vis_cli.training.schedule import guidance_fractions, learning_rate
from vis_cli.zoo.included_files import zoo_dir

from .test_trainer import make_run

SCHEDULE = """
[[schedule]]
from_step = 20
num_frames = 3
unnormed_lr_mult = 0.5
[[schedule]]
from_step = 10
canvases = [[32, 64]]
unnormed_lr_mult = 0.2
"""


def test_schedule_warms_up_then_falls() -> None:
    optim = OptimConfig(learning_rate=1.0, warmup_steps=10, final_lr_fraction=0.1)
    rates = [learning_rate(step, 100, optim) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.95
    assert rates[100] == pytest.approx(0.1)


def test_true_guidance_falls_over_the_first_half(tmp_path: Path) -> None:
    config = read_train_config(make_run(tmp_path, steps=100, extra="ground_truth_guidance = [0.9, 0.3]"))
    shares = [guidance_fractions(step, config).ground_truth for step in (0, 25, 50, 99)]
    assert shares == pytest.approx([0.9, 0.6, 0.3, 0.3])


@pytest.mark.parametrize(("written", "expected"), [("0.2", [0.1, 0.2, 0.2, 0.2]), ("[0.4, 0.0]", [0.1, 0.2, 0.0, 0.0])])
def test_perturbed_guidance_stays_or_falls_with_the_true(written: str, expected: list[float], tmp_path: Path) -> None:
    extra = f"ground_truth_guidance = [0.9, 0.0]\nperturbed_guidance = {written}"
    config = read_train_config(make_run(tmp_path, steps=100, extra=extra))
    shares = [guidance_fractions(step, config).perturbed for step in (0, 25, 50, 99)]
    assert shares == pytest.approx(expected)


@pytest.mark.parametrize("path", sorted((zoo_dir() / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_the_papers_recipes_end_with_estimated_guidance_alone(path: Path) -> None:
    config = read_train_config(path).settled(1000)
    assert guidance_fractions(config.num_steps - 1, config) == GuidanceFractions(0.0, 0.0)


def test_a_rate_may_fall_in_steps() -> None:
    optim = OptimConfig(learning_rate=1.0, warmup_steps=0, decay="steps", milestones=(0.5, 0.9), gamma=0.1)
    rates = [learning_rate(step, 100, optim) for step in (0, 49, 50, 89, 90)]
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])


def test_a_warm_up_may_start_from_a_share_of_the_rate() -> None:
    optim = OptimConfig(learning_rate=3.0, warmup_steps=10, warmup_start=1 / 3, decay="steps")
    assert learning_rate(0, 100, optim) == pytest.approx(1.2)
    assert learning_rate(9, 100, optim) == pytest.approx(3.0)


def test_settings_change_from_their_step_on_in_whatever_order_they_are_written(tmp_path: Path) -> None:
    config = read_train_config(make_run(tmp_path, steps=30, tables=SCHEDULE)).settled(0)
    seen = [(c.num_frames, c.canvases, c.optim.unnormed_lr_mult) for c in map(config.at, (9, 10, 19, 20))]
    assert seen == [
        (2, ((64, 64),), 0.1),
        (2, ((32, 64),), 0.2),
        (2, ((32, 64),), 0.2),
        (3, ((32, 64),), 0.5),
    ]


def test_epochs_become_steps(tmp_path: Path) -> None:
    tables = "[[schedule]]\nfrom_epoch = 1.5\nnum_frames = 3\n"
    path = make_run(tmp_path, batch_size=4, tables=tables)
    path.write_text(path.read_text().replace("steps = 2", "epochs = 2"))
    config = read_train_config(path).settled(40)
    assert (config.num_steps, config.report_every) == (20, 10)
    assert [config.at(step).num_frames for step in (14, 15)] == [2, 3]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("[[schedule]]\nnum_frames = 3\n", "Give either from_step or from_epoch"),
        ("[[schedule]]\nfrom_epoch = 1.0\n", "has from_epoch, but the run has steps"),
        ("[[schedule]]\nfrom_step = 1\nframes = 3\n", r"has no setting frames. Did you mean num_frames"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(tables: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VisError, match=message):
        read_train_config(make_run(tmp_path, tables=tables))
