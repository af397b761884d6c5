"""Settings: parsed and checked by the range of their field, found by name, and old names."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from vis_cli.errors import VisError
from vis_cli.setting_fields import settings_of, shown_value
from vis_cli.settings import (
    OLD_NAMES,
    PRESETS,
    RunSettings,
    SegmentSettings,
    find_preset,
    find_setting,
    parse_overrides,
    parse_run_overrides,
    rename_old,
    split_overrides,
)

STEPS = ["input", "windows", "key frames", "detection", "propagation", "scoring", "reduction", "output"]


def test_settings_are_grouped_by_step_in_the_order_of_the_method() -> None:
    steps = [setting.step for setting in settings_of(SegmentSettings).values()]
    assert list(dict.fromkeys(steps)) == STEPS
    assert steps == sorted(steps, key=STEPS.index)


@pytest.mark.parametrize("kind", [SegmentSettings, RunSettings])
def test_each_field_is_described(kind: type[Any]) -> None:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    assert settings_of(kind).keys() == fields.keys()
    for name, setting in settings_of(kind).items():
        assert setting.help.endswith("."), name
        assert setting.values or name == "device"
        assert setting.check(setting.default) == fields[name].default


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_value_of_a_preset_is_parsed_from_its_text(preset: str) -> None:
    for name, setting in settings_of(SegmentSettings).items():
        value = getattr(PRESETS[preset], name)
        assert setting.parse(shown_value(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("num_key_frames=6", 6),
        (" mask_threshold = 1 ", 1.0),
        ("class_agnostic=true", True),
        ("memory_frames=none", None),
        ("reduction=none", "none"),
        ("reduction=soft-nms", "soft-nms"),
        ("soft_nms_sigma=1e-3", 0.001),
    ],
)
def test_overrides(text: str, value: object) -> None:
    (found,) = parse_overrides([text]).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("num_key_frames=0", "num_key_frames is 0. Use a whole number from 1 to 1,000,000."),
        ("num_key_frames=1000001", "num_key_frames is 1000001. Use a whole number from 1 to 1,000,000."),
        ("num_key_frames=4.0", "num_key_frames is 4.0. Use a whole number from 1 to 1,000,000."),
        ("num_key_frames=none", "num_key_frames is none. Use a whole number from 1 to 1,000,000."),
        ("memory_frames=0", "memory_frames is 0. Use a whole number from 1 to 1,000,000, or none."),
        ("soft_nms_sigma=0", "soft_nms_sigma is 0.0. Use a number above 0."),
        ("soft_nms_sigma=inf", "soft_nms_sigma is inf. Use a number above 0."),
        ("mask_threshold=nan", "mask_threshold is nan. Use a number from 0 to 1."),
        ("mask_threshold=-0.1", "mask_threshold is -0.1. Use a number from 0 to 1."),
        ("mask_threshold=1.1", "mask_threshold is 1.1. Use a number from 0 to 1."),
        ("class_agnostic=yes", "class_agnostic is yes. Use true or false."),
        ("mask_canvas=big", "mask_canvas is big. Use video or network."),
        ("reduction=", "reduction is . Use nms, soft-nms, category-aware or none."),
        ("reduction=\x1b[31m" + 50 * "x", r"reduction is \x1b[31m" + 32 * "x" + "... Use nms"),
        ("num_key_frame=3", "no setting 'num_key_frame'. Did you mean num_key_frames?"),
        ("zzz=3", "no setting 'zzz'. Use one of: backend, box_nms_iou, "),
        ("detection_score=0.3", "detection_score is now detection_score_threshold. Use the new name."),
        ("mask_threshold", "'mask_threshold' has no '='. Use NAME=VALUE, such as num_key_frames=6."),
    ],
)
def test_an_override_that_cannot_be_meant(text: str, said: str) -> None:
    with pytest.raises(VisError) as caught:
        parse_overrides([text])
    assert str(caught.value).startswith(said)


def test_an_override_is_given_once() -> None:
    assert parse_overrides([]) == {}
    with pytest.raises(VisError, match=r"^mask_threshold is set twice\. Set it once\.$"):
        parse_overrides(["mask_threshold=0.4", "mask_threshold=0.4"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_key_frames": 0}, "num_key_frames is 0. Use a whole number"),
        ({"num_key_frames": None}, "num_key_frames is none. Use a whole number"),
        ({"num_key_frames": True}, "num_key_frames is true. Use a whole number"),
        ({"mask_threshold": "0.5x"}, "mask_threshold is 0.5x. Use a number"),
        ({"mask_threshold": math.nan}, "mask_threshold is nan. Use a number"),
        ({"class_agnostic": 0}, "class_agnostic is 0. Use true or false."),
        ({"reduction": "mns"}, "reduction is mns. Use nms"),
    ],
)
def test_a_program_cannot_make_settings_outside_their_range(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(VisError) as caught:
        SegmentSettings(**changes)
    assert str(caught.value).startswith(said)


def test_whole_numbers_become_floats_where_a_setting_is_one() -> None:
    assert type(SegmentSettings(mask_threshold=1).mask_threshold) is float


def test_run_settings_are_checked() -> None:
    with pytest.raises(VisError, match=r"^precision is fast\. Use auto, float32, bfloat16, float16 or int8\.$"):
        RunSettings(precision="fast")  # type: ignore[arg-type]
    with pytest.raises(VisError, match=r"^frame_budget_mb is -1\. Use a whole number from 0"):
        RunSettings(frame_budget_mb=-1)


def test_overrides_of_a_run_are_separate() -> None:
    method, run = split_overrides(["mask_threshold=0.4", " backend = torch", "backend", "precision=int8"])
    assert (method, run) == (["mask_threshold=0.4"], [" backend = torch", "backend", "precision=int8"])
    assert parse_run_overrides([run[0], run[2]]) == {"backend": "torch", "precision": "int8"}
    with pytest.raises(VisError, match=r"^backend is cuda\. Use auto, torch or openvino\.$"):
        parse_run_overrides(["backend=cuda"])
    with pytest.raises(VisError, match="has no '='"):
        parse_run_overrides(run)
    with pytest.raises(VisError, match=r"^backend is a setting of the run\. Use --set backend=VALUE\.$"):
        find_setting("backend")  # of a TOML file


def test_presets_are_found_by_name() -> None:
    assert find_preset("ovis") is PRESETS["ovis"]
    with pytest.raises(VisError, match=r"^no preset 'ovi'\. Did you mean ovis\?$"):
        find_preset("ovi")


def test_old_names_lead_to_settings_and_are_none_themselves() -> None:
    known = settings_of(SegmentSettings)
    assert all(find_setting(new).name == new for new in OLD_NAMES.values())
    assert not OLD_NAMES.keys() & known.keys()
    assert rename_old({"sequence_iou": 0.5, "max_instances": 3, "other": 1}) == {
        "sequence_nms_iou": 0.5,
        "max_instances": 3,
        "other": 1,
    }
