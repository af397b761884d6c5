"""Reading a run's TOML file: types, ranges, near names, and files that extend others."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from vis_cli.errors import VisError
from vis_cli.network.backbones import build_backbone
from vis_cli.training.category_maps import make_label_map
from vis_cli.training.config import (
    OLD_NAMES,
    STARTS_WITHOUT_PROP_HEAD,
    OptimConfig,
    ScheduleConfig,
    SourceConfig,
    TrainConfig,
    ValidationConfig,
)
from vis_cli.training.config_file import read_train_config
from vis_cli.zoo.included_files import zoo_dir

from .test_trainer import make_run

CONFIGS = sorted(path for path in zoo_dir().rglob("*.toml") if path.parent.name != "paper")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "canvases = [[64]]",
            r"canvases contains \[64\]\. Use a list of 1 to 1,000 lists of 2 integers from 1 to 4,096",
        ),
        ("canvases = 64", "canvases is 64. Use a list of"),
        ("canvases = []", r"canvases is \[\]\. Use a list of 1 to 1,000"),
        ("train_only = 'fpn'", "train_only is 'fpn'. Use a list of strings"),
        ("micro_batch_size = 1.5", "micro_batch_size is 1.5. Use an integer from 1 to 65,536"),
        ("micro_batch_size = 0", "micro_batch_size is 0. Use an integer from 1 to 65,536"),
        ("micro_batch_size = true", "micro_batch_size is True. Use an integer"),
        ("epochs = 2", "Give either steps or epochs"),
        ("keep_checkpoints = 0", "keep_checkpoints is 0. Use an integer from 1 to"),
        ("pair_sampling = 'unifrom'", r"Did you mean uniform\? Use 'near', 'uniform' or 'covering'"),
        ("precision = 'float16'", r"Did you mean bfloat16\? Use 'auto', 'float32' or 'bfloat16'"),
        ("scale_jitter = [2.0, 0.1]", "Give the smaller scale first"),
        ("max_pastes = -1", "max_pastes is -1. Use an integer from 0 to"),
        ("schedule = 3", r"schedule is not a list of tables. Write \[\[schedule\]\]"),
        ("steps = 0", "steps is 0. Use an integer from 1 to 100,000,000"),
        ("num_workers = -1", "num_workers is -1. Use an integer from 0 to"),
        ("seed = -1", "seed is -1. Use an integer from 0 to"),
        ("norm_eval = 1", "norm_eval is 1. Use true or false"),
        ("cross_entropy_weight = -0.5", "cross_entropy_weight is -0.5. Use a number from 0"),
        ("cross_entropy_weight = true", "cross_entropy_weight is True. Use a number from 0"),
        ("canvases = [[64, 0]]", "canvases contains 0. Use a list of"),
        ("ground_truth_guidance = [1.0, 1.5]", "guidance contains 1.5. Use a list of 2 numbers from 0 to 1"),
        ("anchors_per_frame = 0", "anchors_per_frame is 0. Use an integer from 1 to"),
        ("regions_per_frame = 0", "regions_per_frame is 0. Use an integer from 1 to"),
        ("proposals = [200, 0]", "proposals contains 0. Use a list of 2 integers from 1 to"),
        ("perturbed_guidance = [0.2, -0.1]", "perturbed_guidance contains -0.1. Use a list of 2 numbers from 0 to 1"),
        ("perturbed_guidance = [0.2]", r"perturbed_guidance is \[0.2\]. Use a list of 2 numbers from 0 to 1"),
        ("num_workers = 9223372036854775807", "num_workers is 9223372036854775807. Use an integer from 0 to 1,024"),
        ("seed = 9223372036854775808", "an integer has more than 64 bits"),
        ("canvases = [[64, 1000000]]", "canvases contains 1000000. Use a list of"),
        ("canvases = [[4096, 4096]]\nnum_frames = 900", "makes clips of 15,099,494,400 pixels. Use at most"),
        ("cross_entropy_weight = nan", "cross_entropy_weight is nan. Use a number from 0"),
        ("cross_entropy_weight = inf", "cross_entropy_weight is inf. Use a number from 0"),
        ("detect_fraction = 2", "detect_fraction is 2. Use a number from 0 to 1"),
        ("detekt = 2", "has no setting detekt"),
    ],
)
def test_values_are_checked(extra: str, message: str, tmp_path: Path) -> None:
    path = make_run(tmp_path)
    name = extra.partition(" ")[0]
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name} ")]
    path.write_text("\n".join([extra, *lines]))
    with pytest.raises(VisError, match=message):
        read_train_config(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'kind = "images"',
            'kind = "image"',
            r"\[\[data\]\] 1: kind is 'image'\. Did you mean images\? Use 'images', 'boxes'",
        ),
        ('images = "."', "", r"\[\[data\]\] 1: kind images needs the folder"),
        ('images = "."', 'images = "."\ncategory_map = 3', "category_map is 3. Use a string or a table of strings"),
        ('images = "."', 'images = "."\nlabelled = {a = [3]}', "labelled contains 3. Use a table of lists of strings"),
        ('annotations = "stills.json"', "", r"\[\[data\]\] 1: lacks the setting annotations. Add annotations"),
        ("warmup_steps = 1", "warmup = 1", r"\[optim\]: has no setting warmup. Did you mean warmup_steps"),
        ('categories = ["cat", "object"]', "", r"\[model\]: categories is \[\]. Use a list of at least one name"),
        ('name = "tiny"', "", r"\[model\]: lacks the setting name"),
        ("mask_convs = 1", "mask_conv = 1", r"\[model\]: has no setting mask_conv. Did you mean mask_convs"),
        ("mask_convs = 1", "mask_convs = '1'", r"\[model\]: mask_convs is '1'. Use an integer"),
        ("mask_convs = 1", "mask_convs = true", r"\[model\]: mask_convs is True. Use an integer"),
        ("mask_convs = 1", "box_convention = 'old'", r"box_convention is 'old'. Use 'modern' or 'legacy'"),
        ('"efficientnet_lite2"', '"resnet50"', r"\[model\]: backbone is 'resnet50'. Use .*r50"),
        ("mask_convs = 1", 'detector = "picodet"', r"\[model\]: detector is 'picodet'. Did you mean picodet-s"),
        ("mask_convs = 1", "detector = 3", r"\[model\]: detector is 3. Use a string"),
        ("warmup_steps = 1", "clip_norm = 0", r"\[optim\]: clip_norm is 0. Use a number above 0 and up to"),
        ("warmup_steps = 1", "ema_decay = 2", r"\[optim\]: ema_decay is 2. Use a number from 0 to 1"),
        ("warmup_steps = 1", "decoder_lr_mult = -1", r"\[optim\]: decoder_lr_mult is -1. Use a number from 0 to"),
        ("warmup_steps = 1", "milestones = [0.5, 2]", r"\[optim\]: milestones contains 2. Use a list of numbers"),
        ("key_channels = 8", "key_channels = 0", r"\[model\]: key_channels is 0. Use a value from 1 to 8,192"),
        ("fpn_channels = 16", "fpn_channels = -1", r"\[model\]: fpn_channels is -1. Use a value from 1 to 8,192"),
        ("mask_convs = 1", "mask_convs = -1", r"\[model\]: mask_convs is -1. Use a value from 0 to 64"),
        ("mask_convs = 1", "short_side = 0", r"\[model\]: short_side is 0. Use a value from 1 to 8,192"),
        ("mask_convs = 1", "pixel_std = [1, 0, 1]", r"\[model\]: pixel_std is \[1.0, 0.0, 1.0\], but must be above 0"),
        ('["cat", "object"]', '["cat", "object", "cat"]', r"\[model\]: categories names cat more than once"),
        (
            "[model]",
            "[[schedule]]\nfrom_step = 1\nnum_frames = 0\n[model]",
            r"\[\[schedule\]\] 1: num_frames is 0. Use an integer from 1 to 1,000",
        ),
        (
            "[model]",
            "[[schedule]]\nfrom_step = 1\n[[schedule]]\nfrom_step = 2\nfrom_epoch = 2\n[model]",
            r"\[\[schedule\]\] 2: needs exactly one start",
        ),
        (
            "[model]",
            "[[schedule]]\nfrom_step = 1\ncanvases = [[4096, 4096]]\nnum_frames = 900\n[model]",
            r"\[\[schedule\]\] 1: num_frames 900 at canvas \[4096, 4096\] makes clips of",
        ),
        (
            "[model]",
            "[validation]\nkind = 'davis'\nimages = '.'\npreset = 'best'\n[model]",
            r"\[validation\]: preset is 'best'. Use default",
        ),
        ("[model]", "[validation]\n[model]", r"run\.toml: \[validation\]: needs the folder"),
        ("mask_convs = 1", "mask_convs = 1000000", r"\[model\]: mask_convs is 1000000. Use a value from 0 to 64"),
        ("box_channels = 16", "box_channels = 1000000", "box_channels is 1000000. Use a value from 1 to 8,192"),
        ("mask_convs = 1", "pixel_mean = [nan, 0, 0]", "pixel_mean is .*Use values up to"),
        ("learning_rate = 2e-3", "learning_rate = inf", "learning_rate is inf. Use a number above 0 and up to 100"),
        ("warmup_steps = 1", "warmup_steps = 1000000000000", "warmup_steps is 1000000000000. Use an integer from 0 to"),
        ('images = "."', 'images = "."\nweight = 1e308', "weight is 1e.308. Use a number from 0 to 1,000,000"),
        ('images = "."', 'images = "a\\u0000b"', "contains the character NUL"),
        ("[[data]]", "[data]", r"data is not a list of tables. Write \[\[data\]\]"),
        ("[model]", "[[model]]", r"run\.toml: model is not a table. Write \[model\]"),
        ('[[data]]\nkind = "images"\nannotations = "stills.json"\nimages = "."', "", r"Add at least one \[\[data\]\]"),
    ],
)
def test_tables_are_checked(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = make_run(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(VisError, match=message):
        read_train_config(path)


def test_old_names_are_read_and_reported_in_one_line(tmp_path: Path) -> None:
    tables = 'unmapped = "refuse"\n[[schedule]]\nfrom_step = 1\nunnormed_share = 0.2\n'
    path = make_run(tmp_path, extra="detect_share = 0.5", tables=tables)
    text = path.read_text().replace("[optim]", "[optim]\nbackbone_share = 0.25")
    path.write_text(text.replace('kind = "images"', 'kind = "stills"'))
    lines: list[str] = []
    config = read_train_config(path, warn=lines.append)
    assert (config.detect_fraction, config.optim.backbone_lr_mult) == (0.5, 0.25)
    assert config.schedule[0].unnormed_lr_mult == 0.2
    assert (config.data[0].kind, config.data[0].unmapped) == ("images", "reject")
    assert lines == [
        f"{path}: detect_share is now detect_fraction. Old names are still read. "
        f"{path}: [optim]: backbone_share is now backbone_lr_mult. Old names are still read. "
        f'{path}: [data]: kind "stills" is now "images". Old names are still read. '
        f'{path}: [data]: unmapped "refuse" is now "reject". Old names are still read. '
        f"{path}: [schedule]: unnormed_share is now unnormed_lr_mult. Old names are still read."
    ]
    assert read_train_config(path) == config


def test_old_names_are_replaced_before_files_are_merged(tmp_path: Path) -> None:
    path = make_run(tmp_path, extra="most_pastes = 1")
    own = tmp_path / "own.toml"
    own.write_text(f'extends = "{path.name}"\nmax_pastes = 2\n')
    assert read_train_config(own).max_pastes == 2


def test_new_names_are_reported_by_no_line(tmp_path: Path) -> None:
    lines: list[str] = []
    read_train_config(make_run(tmp_path, extra="detect_fraction = 0.5"), warn=lines.append)
    assert lines == []


def test_a_setting_is_there_under_one_name(tmp_path: Path) -> None:
    path = make_run(tmp_path, extra="detect_share = 0.5\ndetect_fraction = 0.5")
    with pytest.raises(
        VisError, match=r"detect_share is the old name of detect_fraction, and the table has both\. Remove"
    ):
        read_train_config(path)


def test_old_names_lead_to_fields() -> None:
    fields = {field.name for kind in (TrainConfig, OptimConfig, SourceConfig) for field in dataclasses.fields(kind)}
    assert set(OLD_NAMES.values()) <= fields
    assert not OLD_NAMES.keys() & fields


def test_epochs_with_too_many_steps_are_one_line(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    path.write_text(path.read_text().replace("steps = 2", "epochs = 1e6", 1))
    with pytest.raises(VisError, match=r"steps is 1000000000. Use an integer from 1 to 100,000,000"):
        read_train_config(path).settled(1000)


@pytest.mark.parametrize("table", [TrainConfig, SourceConfig, OptimConfig, ScheduleConfig, ValidationConfig])
def test_every_setting_has_one_line_of_help(table: type) -> None:
    for name, setting in TypeAdapter(table).json_schema()["properties"].items():
        parts = [setting, *setting.get("anyOf", ())]
        is_table = name in ("model", "optim", "schedule", "validation")
        assert is_table or any(part.get("description", "").endswith(".") for part in parts), name


def test_a_file_may_extend_another(tmp_path: Path) -> None:
    base = make_run(tmp_path, extra="seed = 3")
    (tmp_path / "deep").mkdir()
    own = tmp_path / "deep" / "own.toml"
    own.write_text(f'extends = "../{base.name}"\nbatch_size = 9\n[model]\nname = "other"\n')
    config, whole = read_train_config(own), read_train_config(base)
    assert (config.batch_size, config.seed, config.model.name) == (9, 3, "other")
    assert config.model.backbone == whole.model.backbone
    assert Path(config.data[0].annotations).resolve() == (tmp_path / "stills.json").resolve()


def test_a_file_may_extend_several_of_which_the_last_wins(tmp_path: Path) -> None:
    base = make_run(tmp_path, extra="seed = 3")
    (tmp_path / "more.toml").write_text("seed = 4\nbatch_size = 8\n[optim]\nmomentum = 0.5\n")
    own = tmp_path / "own.toml"
    own.write_text(f'extends = ["{base.name}", "more.toml"]\nbatch_size = 9\n')
    config = read_train_config(own)
    assert (config.seed, config.batch_size, config.optim.momentum) == (4, 9, 0.5)
    assert config.optim.warmup_steps == read_train_config(base).optim.warmup_steps
    own.write_text("extends = 3\n")
    with pytest.raises(VisError, match=r"extends is 3\. Use the name of a file or a list of names"):
        read_train_config(own)


def test_a_file_that_extends_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('extends = "a.toml"\n')
    with pytest.raises(VisError, match="extends itself"):
        read_train_config(path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"a" * 2**20 + b" = 1", "the limit is 1 MiB"),
        (b"a = " + b"[" * 100_000, "nested more than 16 levels deep"),
        (b"a = " + b"[" * 20 + b"]" * 20, "nested more than 16 levels deep"),
        (b".".join([b"a"] * 20) + b" = 1", "nested more than 16 levels deep"),
        (b"\n" + b".".join([b"a"] * 20_000) + b" = 1", "line 2 has more than 100 dots"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"a = 0x" + b"f" * 5000, "an integer has more than 64 bits"),
        (b"a = '" + b"x" * 5000, "not valid TOML"),
        (b"x" * 5000 + b" = 1", r"has no setting x{200}… \(5000 characters\)"),
        (b"seed = '" + b"x" * 5000 + b"'", "the string 'x{200}… .* is too long"),
        (b"extends = 'a\\u0000.toml'", "No such file"),
        (b'extends = "a\\u0000.toml"', "contains the character NUL"),
        (b"extends = ['" + b"x" * 900 + b"']", "too long"),
        (b"seed = ['" + b"', '".join([b"x" * 90] * 50) + b"']", "seed is .*…"),
        (b"extends = '/dev/zero'", "/dev/zero: the path is a device"),
        (b"extends = '.'", "the path is a folder"),
        (b"extends = 'pipe'", "the path is a pipe"),
    ],
)
def test_a_damaged_file_is_one_line(content: bytes, cause: str, tmp_path: Path) -> None:
    path = make_run(tmp_path)
    own = tmp_path / "own.toml"
    os.mkfifo(tmp_path / "pipe")
    own.write_bytes(content + b"\n" + path.read_bytes())
    with pytest.raises(VisError, match=cause) as caught:
        read_train_config(own)
    assert len(str(caught.value)) < 1500


def test_files_that_extend_files_have_a_maximum_number(tmp_path: Path) -> None:
    for i in range(110):
        (tmp_path / f"{i}.toml").write_text(f"extends = '{i + 1}.toml'")
    with pytest.raises(VisError, match="leads to more than 100 files"):
        read_train_config(tmp_path / "0.toml")


def test_files_that_name_a_file_twice_have_a_maximum_number(tmp_path: Path) -> None:
    for i in range(25):
        (tmp_path / f"{i}.toml").write_text(f"extends = ['{i + 1}.toml', '{i + 1}.toml']")
    make_run(tmp_path).rename(tmp_path / "25.toml")
    with pytest.raises(VisError, match="leads to more than 100 files"):
        read_train_config(tmp_path / "0.toml")
    assert read_train_config(tmp_path / "23.toml").steps == 2


def test_a_ring_of_symlinks_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").symlink_to("b.toml")
    (tmp_path / "b.toml").symlink_to("a.toml")
    with pytest.raises(VisError, match="levels of symbolic links"):
        read_train_config(tmp_path / "a.toml")


def test_data_paths_may_start_from_another_folder(tmp_path: Path) -> None:
    config = read_train_config(make_run(tmp_path), data_root=Path("/sets"))
    assert config.data[0].annotations == "/sets/stills.json"


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.parent.name == "recipes"], ids=lambda path: path.stem)
def test_the_papers_recipes_sample_as_much_of_a_frame_as_is_released(path: Path) -> None:
    config = read_train_config(path)
    assert (config.anchors_per_frame, config.regions_per_frame, config.proposals) == (64, 128, (200, 200))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_config_of_the_zoo_is_whole(path: Path) -> None:
    config = read_train_config(path)
    names = tuple(category.name for category in config.model.categories)
    assert all(make_label_map(source, names) for source in config.data)
    assert config.settled(1000).num_steps > 0
    with torch.device("meta"):
        build_backbone(config.model.backbone)
    assert config.init in (*STARTS_WITHOUT_PROP_HEAD, "lite") or config.init.startswith("runs/")


def test_a_model_can_name_an_included_detector(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    path.write_text(path.read_text().replace("mask_convs = 1", 'mask_convs = 1\ndetector = "picodet-s"'))
    assert read_train_config(path).model.detector == "picodet-s"
