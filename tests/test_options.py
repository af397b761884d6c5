"""From options to settings, and how a command declares its options."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from vis_cli.commands.method_settings import method_settings
from vis_cli.commands.option_groups import REMOVED, GroupedCommand, changed_options, grouped
from vis_cli.console import Reporter, UsageError
from vis_cli.options import RUN_PANEL, MethodOptions, RunOptions
from vis_cli.settings import PRESETS, RunSettings, SegmentSettings


def settings_for(preset: str | None = None, **options: Any) -> SegmentSettings:
    return method_settings(MethodOptions(preset=preset, **options), Reporter())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_alone(preset: str) -> None:
    assert settings_for(preset) == PRESETS[preset]


def test_the_preset_of_a_command_applies_where_none_is_given() -> None:
    assert method_settings(MethodOptions(), Reporter(), preset="ovis") == PRESETS["ovis"]
    assert method_settings(MethodOptions(preset="default"), Reporter(), preset="ovis") == PRESETS["default"]


def test_options_override_the_preset() -> None:
    given = settings_for("davis-uvos", num_key_frames=9, overrides=["class_agnostic=false", "mask_threshold=0"])
    changes: dict[str, Any] = {"class_agnostic": False, "mask_threshold": 0.0, "num_key_frames": 9}
    assert given == dataclasses.replace(PRESETS["davis-uvos"], **changes)


def test_options_override_the_file_which_overrides_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('num_key_frames = 2\nmask_threshold = 1\nmemory_frames = "none"\nreduction = "none"\n')
    given = settings_for("ovis", settings_file=path, overrides=["num_key_frames=3"], short_side=96)
    expected = {"mask_threshold": 1.0, "memory_frames": None, "reduction": "none", "num_key_frames": 3}
    assert given == dataclasses.replace(PRESETS["ovis"], short_side=96, **expected)  # type: ignore[arg-type]


def test_a_file_may_have_old_names_which_one_line_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.toml"
    path.write_text("detection_score = 0.3\nnum_key_frames = 2\nfollowed_iou = 1\n")
    given = settings_for(settings_file=path)
    assert (given.detection_score_threshold, given.early_reduction_iou, given.num_key_frames) == (0.3, 1.0, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: {path}: detection_score is now detection_score_threshold, followed_iou is now early_reduction_iou. "
        "Old names are still read."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mask_treshold = 0.5", "no setting 'mask_treshold'. Did you mean mask_threshold?"),
        ("mask_threshold = 2", "mask_threshold is 2.0. Use a number from 0 to 1."),
        ("num_key_frames = 2.5", "num_key_frames is 2.5. Use a whole number from 1 to 1,000,000."),
        ("num_key_frames = true", "num_key_frames is true. Use a whole number"),
        ('num_key_frames = "none"', "num_key_frames is none. Use a whole number"),
        ("class_agnostic = 1", "class_agnostic is 1. Use true or false."),
        ("mask_threshold = [0.5]", "mask_threshold is [0.5]. Use a number from 0 to 1."),
        ("score_threshold = 0.1\nsequence_score = 0.2", "sequence_score is the old name of score_threshold"),
        ("score_threshold", "not valid TOML"),
    ],
)
def test_a_file_that_is_wrong_names_itself_and_the_setting(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        settings_for(settings_file=path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_setting_is_given_once() -> None:
    with pytest.raises(UsageError, match=r"^--num-key-frames and --set num_key_frames are both given\. Omit one"):
        settings_for(num_key_frames=3, overrides=["num_key_frames=3"])


def test_a_value_out_of_range_names_the_option() -> None:
    with pytest.raises(UsageError, match=r"^--num-key-frames is 0\. Use a whole number from 1 to 1,000,000\.$"):
        settings_for(num_key_frames=0)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps"])
def test_devices(device: str) -> None:
    assert RunOptions(device=device).settings(None) == dataclasses.replace(RunSettings(), device=device)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "cpu:0", "xcuda"])
def test_devices_that_are_none(device: str) -> None:
    with pytest.raises(UsageError, match="no device"):
        RunOptions(device=device).settings(None)


@pytest.mark.parametrize(
    ("preset", "precision", "expected"),
    [("default", "auto", "auto"), ("released-ytvis", "auto", "float32"), ("released-davis", "bfloat16", "bfloat16")],
)
def test_released_presets_are_exact_unless_told_otherwise(preset: str, precision: Any, expected: str) -> None:
    assert RunOptions(precision=precision).settings(preset).precision == expected


def test_settings_of_a_run_are_set_like_settings_of_the_method() -> None:
    overrides = ["mask_threshold=0.4", "backend=torch", "device=cuda:1"]
    assert RunOptions().settings(None, overrides) == RunSettings(device="cuda:1", backend="torch")
    assert settings_for(overrides=overrides) == SegmentSettings(mask_threshold=0.4)
    assert RunOptions().settings("released-ytvis", ["precision=bfloat16"]).precision == "bfloat16"
    with pytest.raises(UsageError, match=r"^--backend and --set backend are both given\. Omit one of them\.$"):
        RunOptions(backend="openvino").settings(None, overrides)
    with pytest.raises(UsageError, match=r"^backend is set twice"):
        RunOptions().settings(None, [*overrides, "backend=auto"])
    with pytest.raises(UsageError, match="no device 'gpu'"):
        RunOptions().settings(None, ["device=gpu"])


@dataclass(frozen=True)
class Words:
    """A group of options."""

    first: Annotated[str, typer.Option("--first", help="First.")] = "one"
    rare: Annotated[int, typer.Option("--rare", help="Rare.", rich_help_panel=RUN_PANEL)] = 2


def make_app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode="rich")

    @app.command(cls=GroupedCommand)
    @grouped
    def command(name: Annotated[str, typer.Argument(help="Name.")], *, words: Annotated[Words, "Words panel"]) -> None:
        """Print the options."""
        typer.echo(f"{name} {words}")

    return app


def test_a_group_is_one_parameter() -> None:
    result = CliRunner().invoke(make_app(), ["x", "--rare", "5"])
    assert (result.exit_code, result.stdout) == (0, "x Words(first='one', rare=5)\n")


def test_rare_options_are_in_the_long_help_only() -> None:
    app = make_app()
    for _ in range(2):  # one page does not change the next
        short, long = (CliRunner().invoke(app, [option]).stdout for option in ("--help", "--help-all"))
        assert "--first" in short.partition("Words panel")[2]
        assert "--rare" not in short
        assert "--rare" in long.partition(RUN_PANEL)[2]
        assert "--first" in long


def test_changed_options() -> None:
    assert list(changed_options(Words())) == []
    assert list(changed_options(Words("two", 3))) == ["--first", "--rare"]


def test_every_setting_has_a_replacement_of_its_former_option() -> None:
    for name in (field.name for field in dataclasses.fields(SegmentSettings)):
        assert name in " ".join(REMOVED.values())
    assert REMOVED["--sequence-iou"].startswith("--set sequence_nms_iou=VALUE.")
    assert REMOVED["--class-agnostic"].startswith("--set class_agnostic=true.")


def test_a_value_after_two_dashes_is_no_removed_option() -> None:
    result = CliRunner().invoke(make_app(), ["--", "--detection-score"])
    assert (result.exit_code, result.stdout) == (0, "--detection-score Words(first='one', rare=2)\n")
