"""From options to settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from vis_cli.config import PRESETS, RunConfig, SegmentConfig
from vis_cli.console import UsageError
from vis_cli.options import ZERO_MEANS_NONE, did_you_mean, run_config, segment_config


def given(**options: Any) -> dict[str, Any]:
    """Return what Typer gives: every option by name, None where it was not typed."""
    return {field.name: None for field in dataclasses.fields(SegmentConfig)} | options


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_alone(preset: str) -> None:
    assert segment_config(preset, given()) == PRESETS[preset]


def test_options_win_over_the_preset() -> None:
    config = segment_config("davis-uvos", given(class_agnostic=False, mask_threshold=0.0, num_key_frames=9))
    changes: dict[str, Any] = {"class_agnostic": False, "mask_threshold": 0.0, "num_key_frames": 9}
    assert config == dataclasses.replace(PRESETS["davis-uvos"], **changes)


@pytest.mark.parametrize("name", ZERO_MEANS_NONE)
def test_zero_means_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "full", SegmentConfig(short_side=9, long_side=9, memory_divisions=9, memory_frames=9))
    assert getattr(segment_config("full", given(**{name: 0})), name) is None
    assert getattr(segment_config("full", given(**{name: 5})), name) == 5
    assert getattr(segment_config("full", given()), name) == 9


def test_the_settings_that_may_be_none_are_those_where_zero_means_it() -> None:
    optional = {field.name for field in dataclasses.fields(SegmentConfig) if "None" in str(field.type)}
    assert optional == set(ZERO_MEANS_NONE)


def test_a_value_out_of_range_names_the_option() -> None:
    with pytest.raises(UsageError, match=r"^--soft-nms-sigma is 0.0, but must be above 0$"):
        segment_config("default", given(soft_nms_sigma=0.0))


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps"])
def test_devices(device: str) -> None:
    options = dataclasses.asdict(RunConfig()) | {"device": device}
    assert run_config(options) == dataclasses.replace(RunConfig(), device=device)


@pytest.mark.parametrize(
    ("preset", "precision", "expected"),
    [("default", "auto", "auto"), ("released-ytvis", "auto", "float32"), ("released-davis", "bfloat16", "bfloat16")],
)
def test_released_presets_are_exact_unless_told_otherwise(preset: str, precision: str, expected: str) -> None:
    options = dataclasses.asdict(RunConfig()) | {"preset": preset, "precision": precision}
    assert run_config(options).precision == expected


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "cpu:0", "xcuda"])
def test_devices_that_are_none(device: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        run_config(dataclasses.asdict(RunConfig()) | {"device": device})


def test_did_you_mean() -> None:
    assert did_you_mean("liet", ["r50", "lite"]) == "did you mean 'lite'?"
    assert did_you_mean("zzz", ["r50", "lite"]) == "there are: lite, r50"
