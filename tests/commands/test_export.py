"""`vis export`: results into the formats of other tools, and what it rejects."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.davis_factory import write_picture
from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.video_factory import make_video
from vis_cli.records.bundle import read_bundle
from vis_cli.records.exports.formats import FORMATS
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import read_youtube_vis

from .conftest import RunVis

MASK = make_mask(["##....", "##....", "......", "......"])
OUTPUTS = {name: f"out{item.suffix or ''}" for name, item in FORMATS.items() if name != "parquet"}
WITH_IMAGES = [name for name, item in FORMATS.items() if item.images]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three videos of one frame and the category of the results' instances, under another id."""
    videos = [
        {"id": 10 + i, "width": 6, "height": 4, "length": 1, "file_names": [f"{name}/00000.jpg"]}
        for i, name in enumerate(("a", "b", "c"))
    ]
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"videos": videos, "categories": [{"id": 33, "name": "cat"}]}))
    return path


def make_results(folder: Path, *names: str, category_id: int = 7) -> Path:
    for name in names:
        instance = make_instance(1, [MASK], category_id=category_id)
        write_result(make_result([instance], name=name), folder / f"{name}.json")
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return the result of a video that is next to it: 3 frames of 32x24."""
    video = make_video(tmp_path, num_frames=3, size=(32, 24))
    mask = make_mask(["#" * 8 + "." * 24] * 24)
    instances = [make_instance(1, [mask, None, mask]), make_instance(2, [mask] * 3, score=0.3, category_id=3)]
    result = make_result(instances, size=(24, 32), num_frames=3)
    info = dataclasses.replace(result.video, path=video, source=identify_source(video))
    write_result(dataclasses.replace(result, video=info), tmp_path / "clip.json")
    return tmp_path / "clip.json"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_format(
    name: str, clip: Path, tmp_path: Path, run_vis: RunVis, untouched: Callable[[Path], Path]
) -> None:
    untouched(clip)
    untouched(clip.with_suffix(".mp4"))
    out = tmp_path / "folder" / OUTPUTS[name]
    outcome = run_vis("export", clip, "--to", name, "-o", out)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.endswith(f"{out}: {0 if name == 'mots' else 2} instances in 1 video")
    assert out.exists()
    assert run_vis("export", clip, "--to", name, "-o", out).code == 2
    assert run_vis("export", clip, "--to", name, "-o", out, "--overwrite", "--quiet").code == 0


@pytest.mark.parametrize("name", OUTPUTS)
def test_results_without_instances(name: str, tmp_path: Path, run_vis: RunVis) -> None:
    write_result(make_result(), tmp_path / "a.json")
    out = tmp_path / OUTPUTS[name]
    outcome = run_vis("export", tmp_path / "a.json", "--to", name, "-o", out, "--no-images")
    assert outcome.code == 0
    assert outcome.err == f"warning: the export contains no instance {out}: 0 instances in 1 video"


@pytest.mark.parametrize("name", OUTPUTS)
def test_another_json_file_is_rejected(name: str, tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "foreign.json").write_text('{"images": []}')
    outcome = run_vis("export", tmp_path / "foreign.json", "--to", name, "-o", tmp_path / OUTPUTS[name])
    assert outcome.code == 1
    assert outcome.err.endswith("foreign.json: 'schema' is missing. Add 'schema', an integer.")
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.json"]


def test_an_unknown_format(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("export", clip, "--to", "yoloseg", "-o", tmp_path / "out")
    assert (outcome.code, outcome.err) == (2, "error: --to: no format 'yoloseg'. Did you mean yolo-seg?")
    outcome = run_vis("export", clip, "--to", "\x1b", "-o", tmp_path / "out")
    assert "no format '\\\\x1b'. Use one of: coco, " in outcome.err


def test_folders_patterns_and_files_count_once(tmp_path: Path, run_vis: RunVis) -> None:
    results = make_results(tmp_path / "day1", "a", "b")
    (results / "other.json").write_text("{}")
    inputs = (results, results / "a.json", tmp_path / "day?" / "[ab].json")
    outcome = run_vis("export", *inputs, "--to", "csv", "-o", tmp_path / "t.csv")
    assert outcome.code == 0
    assert "warning: ignored files that are not results of `vis segment`" in outcome.err
    assert [row["video"] for row in rows(tmp_path / "t.csv")] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("no.json", "no such file or folder"), ("*.jsn", "no file matches the pattern"), ("empty", "no results (*.json)")],
)
def test_inputs_that_do_not_exist(name: str, said: str, tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "empty").mkdir()
    outcome = run_vis("export", tmp_path / name, "--to", "csv", "-o", tmp_path / "t.csv")
    assert (outcome.code, said in outcome.err) == (2, True)


def test_two_results_of_one_video(tmp_path: Path, run_vis: RunVis) -> None:
    first, second = make_results(tmp_path / "x", "a"), make_results(tmp_path / "y", "a")
    for name in ("csv", "labelme"):
        out = tmp_path / OUTPUTS[name]
        outcome = run_vis("export", first, second, "--to", name, "-o", out, "--no-images")
        assert (outcome.code, outcome.err) == (1, "error: a: two results have this video. Keep one of them.")
        assert not out.exists()


class TestOutput:
    """Existing files, inputs, and names that do not fit."""

    def test_existing_files_are_kept(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        for name in ("t.csv", "t_instances.csv"):
            (tmp_path / name).write_text("mine")
            outcome = run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv")
            assert outcome.err == f"error: cannot write {tmp_path / name}: it exists. Use --overwrite to replace it."
            assert (outcome.code, (tmp_path / name).read_text()) == (2, "mine")
            assert run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv", "--overwrite").code == 0
            (tmp_path / "t.csv").unlink()

    def test_an_output_that_is_an_input(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        before = clip.read_text()
        for name in ("coco", "coco-video", "label-studio"):
            outcome = run_vis("export", clip, "--to", name, "-o", clip, "--overwrite")
            assert outcome.err == f"error: cannot write {clip}: it is an input. Use another output name."
            assert (outcome.code, clip.read_text()) == (2, before)

    def test_an_output_that_is_the_file_of_new_names(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        names = tmp_path / "names.json"
        names.write_text('{"cat": "dog"}')
        outcome = run_vis("export", clip, "--to", "coco", "-o", names, "--rename", names, "--overwrite")
        assert (outcome.code, names.read_text()) == (2, '{"cat": "dog"}')

    def test_a_folder_that_contains_an_input(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("export", clip, "--to", "labelme", "-o", tmp_path, "--overwrite")
        assert (outcome.code, "the folder contains the input clip.json" in outcome.err) == (2, True)

    def test_a_folder_that_is_the_video(self, tmp_path: Path, run_vis: RunVis) -> None:
        frames = tmp_path / "frames"
        write_picture(frames / "a.jpg")
        result = make_result(size=(36, 48), num_frames=1)
        info = dataclasses.replace(result.video, path=frames, source=identify_source(frames))
        write_result(dataclasses.replace(result, video=info), tmp_path / "r" / "a.json")
        outcome = run_vis("export", tmp_path / "r" / "a.json", "--to", "labelme", "-o", frames, "--overwrite")
        assert (outcome.code, "it is an input" in outcome.err) == (2, True)
        assert [path.name for path in frames.iterdir()] == ["a.jpg"]

    @pytest.mark.parametrize(
        ("name", "out", "hint"),
        [
            ("csv", "t.json", "Use a name that ends in .csv."),
            ("csv", "t", "Use a name that ends in .csv."),
            ("cvat", "t.json", "Use a name that ends in .xml, or a folder or a name that ends in .zip."),
            ("labelme", "t.json", "Use a folder or a name that ends in .zip."),
            ("label-studio", "t.zip", "Use a name that ends in .json."),
        ],
    )
    def test_a_name_of_another_kind(
        self, name: str, out: str, hint: str, clip: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        outcome = run_vis("export", clip, "--to", name, "-o", tmp_path / out)
        assert (outcome.code, outcome.err.endswith(hint)) == (2, True)

    def test_a_file_where_a_folder_is_needed(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "out").write_text("mine")
        (tmp_path / "d.csv").mkdir()
        outcome = run_vis("export", clip, "--to", "yolo-seg", "-o", tmp_path / "out", "--overwrite")
        assert (outcome.code, "it is a file. Use a folder" in outcome.err) == (2, True)
        outcome = run_vis("export", clip, "--to", "csv", "-o", tmp_path / "d.csv", "--overwrite")
        assert (outcome.code, "it is a folder. Use another -o OUT." in outcome.err) == (2, True)

    def test_one_file_for_several_videos(self, tmp_path: Path, run_vis: RunVis) -> None:
        results = make_results(tmp_path / "results", "a", "b")
        outcome = run_vis("export", results, "--to", "cvat", "-o", tmp_path / "t.xml")
        said = "cvat has one file per video, and there are 2 results. Use a folder, or a .zip file."
        assert (outcome.code, said in outcome.err) == (2, True), outcome.err
        assert run_vis("export", results, "--to", "cvat", "-o", tmp_path / "t.zip").code == 0
        with read_bundle(tmp_path / "t.zip") as bundle:
            assert sorted(bundle.names) == ["a.xml", "b.xml"]

    def test_files_of_an_earlier_export_are_reported(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        command = ("export", clip, "--to", "yolo-seg", "-o", tmp_path / "out", "--overwrite")
        assert run_vis(*command).code == 0
        assert "warning" not in run_vis(*command).err
        outcome = run_vis(*command, "--every", 2)
        assert f"warning: {tmp_path / 'out'} also contains 2 files that this export did not write" in outcome.err

    def test_an_error_leaves_no_file(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "z.json").write_text(clip.read_text().replace('"schema":3', '"schema":99'))
        for name, out in OUTPUTS.items():
            target = tmp_path / "new" / (out if FORMATS[name].suffix != ".xml" else "out")
            target = target.with_suffix("") if FORMATS[name].per_video else target
            assert run_vis("export", clip, tmp_path / "z.json", "--to", name, "-o", target).code == 1
        assert not (tmp_path / "new").exists()


class TestChoice:
    """--min-score, --only, --top, --every and --rename."""

    def instances(self, run_vis: RunVis, result: Path, *options: object) -> list[tuple[str, str]]:
        out = result.parent / "t.csv"
        outcome = run_vis("export", result, "--to", "csv", "-o", out, "--overwrite", *options)
        assert outcome.code == 0, outcome.err
        return [(row["instance"], row["category"]) for row in rows(out.with_name("t_instances.csv"))]

    @pytest.mark.parametrize(
        ("options", "ids"),
        [
            ((), ["1", "2"]),
            (("--min-score", 0.5), ["1"]),
            (("--top", 1), ["1"]),
            (("--only", "2"), ["2"]),
            (("--only", "1, giant-panda"), ["1", "2"]),
            (("--only", "CAT"), ["1"]),
            (("--only", "panda"), ["2"]),  # a synonym
            (("--only", "1", "--only", "2"), ["1", "2"]),
        ],
    )
    def test_instances(self, options: tuple[object, ...], ids: list[str], clip: Path, run_vis: RunVis) -> None:
        if "panda" in options:
            text = clip.read_text().replace('"giant_panda"', '"Giant Panda"')
            clip.write_text(text)
        assert [id_ for id_, _ in self.instances(run_vis, clip, *options)] == ids

    def test_what_is_left_out_is_reported(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv", "--min-score", 0.5)
        assert "omitted by --min-score, --only or --top: 1 instance" in outcome.err

    def test_instances_that_are_not_confident_are_reported(self, tmp_path: Path, run_vis: RunVis) -> None:
        write_result(make_result([make_instance(1, [MASK], confident=False)]), tmp_path / "a.json")
        outcome = run_vis("export", tmp_path / "a.json", "--to", "csv", "-o", tmp_path / "t.csv")
        assert "exported with a low score: 1 less likely instance. To omit instances, use --min-score" in outcome.err

    def test_a_name_with_a_comma(self, clip: Path, run_vis: RunVis) -> None:
        clip.write_text(clip.read_text().replace('"cat"', '"cat, tabby"'))
        assert self.instances(run_vis, clip, "--only", "cat, tabby") == [("1", "cat, tabby")]

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (
                "dgo",
                "--only: no instance or category dgo. The results have these categories: cat, giant_panda.",
            ),
            ("cta", "--only: no instance or category cta. Did you mean cat?"),
            ("1,9", "--only: no instance or category 9. "),
            ("1,", "--only: a name is empty. Use ids or categories, such as 1,4 or person."),
        ],
    )
    def test_unknown_ids_and_categories(
        self, value: str, said: str, clip: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        outcome = run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv", "--only", value)
        assert (outcome.code, said in outcome.err) == (2, True), outcome.err
        assert not (tmp_path / "t.csv").exists()

    def test_an_id_that_one_of_several_results_has(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        make_results(tmp_path / "more", "a")
        outcome = run_vis("export", clip, tmp_path / "more", "--to", "csv", "-o", tmp_path / "t.csv", "--only", "2")
        assert outcome.code == 0
        assert outcome.err.endswith("t.csv: 1 instance in 2 videos")

    def test_new_names(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        assert self.instances(run_vis, clip, "--rename", "cat=animal,Giant Panda=animal") == [
            ("1", "animal"),
            ("2", "animal"),
        ]
        (tmp_path / "names.json").write_text('{"cat": "a, b"}')
        named = self.instances(run_vis, clip, "--rename", tmp_path / "names.json")
        assert named == [("1", "a, b"), ("2", "giant_panda")]

    @pytest.mark.parametrize(
        ("value", "code", "said"),
        [
            ("cat", 2, "--rename: 'cat' is not OLD=NEW. Use pairs such as truck=vehicle"),
            ("=x", 2, "--rename: '=x' is not OLD=NEW."),
            ("cat=", 2, "the new name of cat is empty or contains control characters"),
            ("cat=\x1b", 2, "the new name of cat is empty or contains control characters"),
            ("cat=a,CAT=b", 2, "--rename: CAT has two new names. Use each category once."),
            ("cta=a", 2, "--rename: no category cta. Did you mean cat?"),
            ("no.json", 1, "cannot read no.json"),
        ],
    )
    def test_new_names_that_are_wrong(
        self, value: str, code: int, said: str, clip: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        outcome = run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv", "--rename", value)
        assert (outcome.code, said in outcome.err) == (code, True), outcome.err

    @pytest.mark.parametrize("text", ["[]", "{}", '{"cat": 1}'])
    def test_a_file_of_new_names_that_is_wrong(self, text: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        (tmp_path / "names.json").write_text(text)
        options = ("--to", "csv", "-o", tmp_path / "t.csv", "--rename", tmp_path / "names.json")
        assert run_vis("export", clip, *options).code == 1

    def test_frames(self, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        assert run_vis("export", clip, "--to", "csv", "-o", tmp_path / "t.csv", "--every", 2).code == 0
        assert [row["frame"] for row in rows(tmp_path / "t.csv")] == ["0", "2", "0", "2"]


class TestImages:
    """Frames of the video, and a video that is missing or another one."""

    @pytest.mark.parametrize("name", WITH_IMAGES)
    def test_are_written_for_every_second_frame(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        assert run_vis("export", clip, "--to", name, "-o", tmp_path / "out", "--every", 2).code == 0
        images = sorted(path.name for path in (tmp_path / "out").rglob("*.jpg"))
        assert images == ["clip_000000.jpg", "clip_000002.jpg"]

    @pytest.mark.parametrize("name", WITH_IMAGES)
    def test_of_a_missing_video(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        moved = clip.with_suffix(".mp4").rename(tmp_path / "moved.mp4")
        command = ("export", clip, "--to", name, "-o", tmp_path / "out")
        outcome = run_vis(*command)
        said = "it is missing. Pass --video FILE. Or use --no-images to write only the annotations."
        assert (outcome.code, said in outcome.err) == (2, True), outcome.err
        assert not (tmp_path / "out").exists()
        assert run_vis(*command, "--no-images").code == 0
        assert list((tmp_path / "out").rglob("*.jpg")) == []
        assert run_vis(*command, "--video", moved, "--overwrite").code == 0
        assert len(list((tmp_path / "out").rglob("*.jpg"))) == 3

    @pytest.mark.parametrize("name", [name for name in OUTPUTS if name not in WITH_IMAGES])
    def test_other_formats_need_no_video(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        clip.with_suffix(".mp4").unlink()
        assert run_vis("export", clip, "--to", name, "-o", tmp_path / OUTPUTS[name]).code == 0

    @pytest.mark.parametrize("name", ["coco", "datumaro"])
    def test_one_json_file_needs_no_video(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        clip.with_suffix(".mp4").unlink()
        assert run_vis("export", clip, "--to", name, "-o", tmp_path / "only.json").code == 0

    @pytest.mark.parametrize(("frames", "size"), [(2, (32, 24)), (4, (32, 24)), (3, (64, 24))])
    def test_of_a_result_of_schema_1_with_another_video(
        self, frames: int, size: tuple[int, int], clip: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        result = read_result(clip)
        write_result(dataclasses.replace(result, video=dataclasses.replace(result.video, source=None)), clip)
        make_video(tmp_path, num_frames=frames, size=size)
        outcome = run_vis("export", clip, "--to", "coco", "-o", tmp_path / "out")
        said = "frames of 64x24" if frames == 3 else f"it has {frames} frames, but the result has 3"
        assert (outcome.code, said in outcome.err) == (1, True)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "csv", "-o", "t.csv", "--masks"], "--masks does not apply to csv. Omit --masks."),
        (["--to", "csv", "-o", "t.csv", "--split", "val.json"], "--split does not apply to csv. Omit --split."),
        (
            ["--to", "csv", "-o", "t.csv", "--video", "clip.mp4"],
            "--video does not apply to csv: the format has no images.",
        ),
        (
            ["--to", "mots", "-o", "t", "--split", "val.json", "--every", "2"],
            "--every cannot be combined with --split.",
        ),
        (["--to", "mots", "-o", "t.txt", "--split", "val.json"], "a split has several videos. Use a folder, or a .zip"),
        (["--to", "coco", "-o", "t", "--video", "clip.mp4", "copy.json"], "--video needs one result, but there are 2."),
    ],
)
def test_options_that_do_not_apply(
    options: list[str], said: str, clip: Path, split: Path, tmp_path: Path, run_vis: RunVis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "copy.json")
    before = sorted(tmp_path.rglob("*"))
    outcome = run_vis("export", "clip.json", *options)
    assert (outcome.code, said in outcome.err) == (2, True), outcome.err
    assert sorted(tmp_path.rglob("*")) == before


def test_parquet_names_the_missing_package(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        outcome = run_vis("export", clip, "--to", "parquet", "-o", tmp_path / "t.parquet")
        said = "the package pyarrow is missing. Install it with `pip install 'vis-cli[parquet]'`, or use --to csv."
        assert (outcome.code, outcome.err.endswith(said)) == (1, True)
        assert not (tmp_path / "t.parquet").exists()


def test_cvat_with_masks(clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
    assert run_vis("export", clip, "--to", "cvat", "--masks", "-o", tmp_path / "t.xml").code == 0
    assert (tmp_path / "t.xml").read_text().count("<track ") == 5


class TestFormerFormatsOfExportJson:
    """coco-video and mots, with and without a split."""

    @pytest.mark.parametrize("name", ["coco-video", "mots"])
    def test_export_json_names_the_replacement(self, name: str, clip: Path, tmp_path: Path, run_vis: RunVis) -> None:
        outcome = run_vis("export-json", clip, "--format", name, "-o", tmp_path / "out.json")
        said = f"error: {name} is a format of another command. Use `vis export --to {name}`."
        assert (outcome.code, outcome.err) == (2, said)

    def test_coco_video(self, split: Path, tmp_path: Path, run_vis: RunVis) -> None:
        results, out = make_results(tmp_path / "results", "a", "b"), tmp_path / "found.json"
        assert run_vis("export", results, "--to", "coco-video", "-o", out).code == 0
        assert [video.id for video in read_youtube_vis(out).videos] == [1, 2]
        command = ("export", results, "--to", "coco-video", "--split", split, "-o", out, "--overwrite")
        assert run_vis(*command).code == 0
        assert [video.id for video in read_youtube_vis(out).videos] == [10, 11]

    def test_mots(self, tmp_path: Path, run_vis: RunVis) -> None:
        categories = (Category(7, "person"), Category(8, "cat"))
        instances = [make_instance(1, [MASK]), make_instance(2, [MASK], category_id=8)]
        write_result(make_result(instances, name="a", categories=categories), tmp_path / "a.json")
        for out, path in (("out", "out/a.txt"), ("one.txt", "one.txt")):
            outcome = run_vis("export", tmp_path / "a.json", "--to", "mots", "-o", tmp_path / out)
            assert outcome.code == 0
            assert (tmp_path / path).read_text().startswith("0 2001 2 4 6 ")
        assert "omitted categories that MOTS does not contain: cat" in outcome.err
        assert "person as pedestrian" in outcome.err

    def test_mots_for_a_split_in_a_zip(self, split: Path, tmp_path: Path, run_vis: RunVis) -> None:
        results = make_results(tmp_path / "results", "b")
        command = ("export", results, "--to", "mots", "--split", split, "-o", tmp_path / "s.zip")
        outcome = run_vis(*command)
        assert outcome.code == 0
        assert "warning: videos without a result, written without instances: a, c" in outcome.err
        with read_bundle(tmp_path / "s.zip") as bundle:
            assert sorted(bundle.names) == ["a.txt", "b.txt", "c.txt"]

    @pytest.mark.parametrize(("stored", "named"), [(True, False), (False, True), (False, False)])
    def test_frames_of_mots_have_the_numbers_of_the_images(
        self, stored: bool, named: bool, tmp_path: Path, run_vis: RunVis
    ) -> None:
        for number in range(2):
            write_picture(tmp_path / "dog" / f"{number * 5:05d}.jpg")
        made = make_result([make_instance(1, [MASK, MASK])], name="dog", num_frames=2, categories=(Category(7, "car"),))
        names = ("00000.jpg", "00005.jpg") if stored else None
        source = identify_source(tmp_path / "dog") if stored else None  # schema 1 stores neither
        video = dataclasses.replace(made.video, path=Path("dog"), source=source, frame_names=names)
        write_result(dataclasses.replace(made, video=video), tmp_path / "dog.json")
        options = ("--video", tmp_path / "dog") if named else ()
        assert run_vis("export", tmp_path / "dog.json", "--to", "mots", "-o", tmp_path / "t.txt", *options).code == 0
        numbers = [line.split()[0] for line in (tmp_path / "t.txt").read_text().splitlines()]
        assert numbers == (["0", "5"] if stored or named else ["0", "1"])
