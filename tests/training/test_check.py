"""What a person can look at: `vis train --check`, the pictures and the curves of a run."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.commands.conftest import RunVis, run_vis
from tests.network.factories import make_model
from tests.records.video_factory import picture, with_exif_orientation, write_image
from vis_cli.training import run_log
from vis_cli.training.preview import draw_preview
from vis_cli.training.processes import Processes
from vis_cli.training.run import Hooks, iter_parts, open_run, preview_clips
from vis_cli.training.trainer import train

from .test_pairs import make_clip
from .test_trainer import make_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")
__all__ = ["run_vis"]  # a fixture


def test_a_check_draws_twelve_clips_does_one_step_and_leaves_no_run(tmp_path: Path, run_vis: RunVis) -> None:
    config = make_run(tmp_path, steps=50, batch_size=4)
    outcome = run_vis("train", config, "-o", tmp_path / "out", "--check", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["check.png"]
    sheet = cv2.imread(str(tmp_path / "out" / "check.png"))
    assert sheet.shape == (4 * (64 + 4), 3 * (2 * 64 + 4), 3)
    tiles = [sheet[y : y + 64, x : x + 128] for y in range(0, 272, 68) for x in range(0, 396, 132)]
    assert len({tile.tobytes() for tile in tiles}) == 12
    assert "stills.json: 1 images or frames at which a training clip can start" in outcome.out
    assert "one of 50 steps took" in outcome.out
    assert "loss_prop" in outcome.out


def test_a_check_says_what_would_stop_the_run(tmp_path: Path, run_vis: RunVis) -> None:
    config = make_run(tmp_path)
    (tmp_path / "discs.png").unlink()
    outcome = run_vis("train", config, "-o", tmp_path / "out", "--check")
    assert outcome.code == 1
    assert "discs.png is missing. Restore it, or remove the entry." in outcome.err


def test_the_assumption_about_a_rotation_is_printed_once(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=3, batch_size=2)
    data = json.loads((tmp_path / "stills.json").read_text())
    data["images"][0].update(file_name="discs.jpg", width=80, height=60)
    for item in data["annotations"]:
        item["segmentation"] = [[10, 10, 50, 10, 50, 50, 10, 50]]
    (tmp_path / "stills.json").write_text(json.dumps(data))
    write_image(tmp_path / "discs.jpg", picture(0, (80, 60)))
    (tmp_path / "discs.jpg").write_bytes(with_exif_orientation((tmp_path / "discs.jpg").read_bytes(), 6))
    notes: list[str] = []
    run = open_run(config, tmp_path, Processes(0, 1, torch.device("cpu")), hooks=Hooks(note=notes.append))
    assert len(preview_clips(run, 3)) + len(list(iter_parts(run, 0))) == 6
    (note,) = notes
    assert "discs.jpg: the annotations have the size of the stored image, so its EXIF rotation is not applied" in note


def test_a_preview_shows_true_masks_beside_those_that_came_of_the_guidance() -> None:
    model = make_model()
    clip, unguided = make_clip(canvas=(64, 96)), make_clip(canvas=(64, 96))
    clip.guided_ids = torch.tensor([3])
    picture = draw_preview(model, [clip, unguided])
    assert picture.shape == (2 * 68, 2 * (2 * 96 + 4), 3)
    given, guided = picture[:64, :96], picture[:64, 196 : 196 + 96]
    np.testing.assert_array_equal(given, guided)  # frame 0: the guidance itself
    assert picture[68:132, :192].any()
    assert not picture[68:132, 196:].any()  # nothing is guided, so nothing is followed


def test_a_run_leaves_curves_and_pictures_for_tensorboard(tmp_path: Path) -> None:
    out = train(make_run(tmp_path, extra="report_every = 1"), tmp_path / "out").folder
    events = EventAccumulator(str(out / run_log.BOARD_NAME)).Reload()
    logged = [json.loads(line)["loss"] for line in (out / run_log.LOG_NAME).read_text().splitlines()]
    assert [event.step for event in events.Scalars("loss")] == [0, 1]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(logged, rel=1e-5)
    assert {"loss", "lr", "images_per_second"} <= set(events.Tags()["scalars"])
    (name,) = events.Tags()["images"]
    assert [event.step for event in events.Images(name)] == [1, 2]


def test_without_tensorboard_a_run_has_its_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_vis: RunVis
) -> None:
    monkeypatch.setattr(run_log, "has_tensorboard", lambda: False)
    outcome = run_vis("train", make_run(tmp_path, steps=1), "-o", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0
    assert "TensorBoard is not installed: no curves and images are written" in outcome.err
    assert not (tmp_path / "out" / run_log.BOARD_NAME).exists()
    assert (tmp_path / "out" / "log.jsonl").exists()
