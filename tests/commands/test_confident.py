"""Confident instances: what overlays, tables and messages show of a result, and what they leave out."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.records.davis_factory import write_picture
from tests.records.result_factory import CATEGORIES
from tests.records.video_factory import make_video
from vis_cli.app import app
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.rle import encode_mask
from vis_cli.records.source_identity import identify_source
from vis_cli.records.video import open_video
from vis_cli.settings import GIVEN_MASKS, LIVE, PRESETS, SegmentSettings

from .conftest import Network, Outcome, RunVis, make_found

LIKELY, UNLIKELY = (slice(0, 20), slice(0, 28)), (slice(30, None), slice(40, None))  # inside of the masks
BOTH, NEITHER = (True, True), (False, False)


def drawn_parts(overlay: Path, clip: Path) -> tuple[bool, bool]:
    """Return whether the likely and the unlikely instances are drawn in the last frame."""
    drawn, plain = (list(open_video(path).iter_frames())[-1].astype(int) for path in (overlay, clip))
    changed = np.abs(drawn - plain).max(axis=-1) > 15
    return bool(changed[LIKELY].mean() > 0.5), bool(changed[UNLIKELY].mean() > 0.5)


class Runner:
    """Run `vis segment` on one clip into one folder."""

    def __init__(self, tmp_path: Path, run_vis: RunVis) -> None:
        self.clip, self.out = make_video(tmp_path), tmp_path / "out"
        self.result, self.overlay = self.out / "clip.json", self.out / "clip.mp4"
        self._run_vis = run_vis

    def __call__(self, *options: object) -> Outcome:
        outcome = self._run_vis("segment", self.clip, "-o", self.out, *options)
        assert outcome.code == 0
        return outcome

    def status(self, *options: object) -> str:
        return str(json.loads(self("--json", *options).out)["status"])

    @property
    def drawn(self) -> tuple[bool, bool]:
        return drawn_parts(self.overlay, self.clip)


@pytest.fixture
def segment(tmp_path: Path, run_vis: RunVis, network: Network) -> Runner:
    network.num_unlikely = 1
    return Runner(tmp_path, run_vis)


class TestOverlay:
    @pytest.mark.parametrize(
        ("options", "drawn"),
        [
            ([], (True, False)),
            (["--min-score", "0"], BOTH),
            (["--min-score", "0.2"], BOTH),
            (["--min-score", "0.3"], (True, False)),
            (["--min-score", "1"], NEITHER),
        ],
    )
    def test_shows_confident_instances_or_those_of_a_minimum_score(
        self, options: list[str], drawn: tuple[bool, bool], segment: Runner
    ) -> None:
        segment(*options)
        assert segment.drawn == drawn
        found = read_result(segment.result)
        assert [(instance.score, instance.confident) for instance in found.instances] == [(0.9, True), (0.2, False)]

    def test_the_minimum_score_is_no_part_of_the_result(self, segment: Runner) -> None:
        segment()
        default = segment.result.read_bytes()
        segment("--min-score", "0", "--overwrite")
        assert segment.result.read_bytes() == default
        assert "min_score" not in json.loads(default)["config"]

    def test_another_minimum_score_draws_again_without_the_network(self, segment: Runner, network: Network) -> None:
        segment()
        before = segment.result.stat().st_mtime_ns
        network.loaded.clear()
        network.segmented.clear()
        selections = [([], (True, False)), (["--min-score", "0"], BOTH), (["--min-score", "1"], NEITHER)] * 2
        assert [(segment.status(*options), segment.drawn) for options, _ in selections] == [
            ("skipped" if number == 0 else "done", drawn) for number, (_, drawn) in enumerate(selections)
        ]
        assert network.loaded == network.segmented == []
        assert segment.result.stat().st_mtime_ns == before

    @pytest.mark.parametrize("options", [[], ["--min-score", "0"]])
    def test_the_same_selection_is_skipped(self, options: list[str], segment: Runner) -> None:
        segment(*options)
        before = segment.overlay.stat()
        assert segment.status(*options) == "skipped"
        assert (segment.overlay.stat().st_ino, segment.overlay.stat().st_mtime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
        )

    def test_an_overlay_of_vis_render_is_kept_unless_a_minimum_score_is_given(
        self, segment: Runner, run_vis: RunVis
    ) -> None:
        segment()
        run_vis("render", segment.result, "-o", segment.overlay, "--only", "2", "--overwrite")
        assert (segment.status(), segment.drawn) == ("skipped", (False, True))
        assert (segment.status("--min-score", "0"), segment.drawn) == ("done", BOTH)

    def test_a_damaged_overlay_is_kept_unless_a_minimum_score_is_given(self, segment: Runner) -> None:
        segment()
        segment.overlay.write_bytes(b"mine")
        assert (segment.status(), segment.overlay.read_bytes()) == ("skipped", b"mine")
        assert (segment.status("--min-score", "0"), segment.drawn) == ("done", BOTH)

    def test_without_an_overlay_nothing_is_drawn_again(self, segment: Runner) -> None:
        segment("--no-render")
        assert segment.status("--no-render", "--min-score", "0") == "skipped"
        assert not segment.overlay.exists()

    def test_other_settings_are_reported_as_before(self, segment: Runner, run_vis: RunVis) -> None:
        segment()
        outcome = run_vis("segment", segment.clip, "-o", segment.out, "--min-score", 0, "--set", "confident_score=0.1")
        assert outcome.code == 1
        assert "confident_score 0.25 -> 0.1" in outcome.err
        assert segment.drawn == (True, False)


class TestMessages:
    @pytest.mark.parametrize(
        ("likely", "unlikely", "row", "hint"),
        [
            (2, 0, "instances seconds output: 8 2", None),
            (2, 1, "instances left out seconds output: 8 2 1",
             "1 less likely instance is left out. To see it, use --min-score 0."),
            (2, 3, "instances left out seconds output: 8 2 3",
             "3 less likely instances are left out. To see them, use --min-score 0."),
            (0, 2, "instances left out seconds output: 8 0 2",
             "2 less likely instances are left out. To see them, use --min-score 0."),
            (0, 0, "instances seconds output: 8 0", None),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("rerun", [False, True])
    def test_of_one_video(
        self, likely: int, unlikely: int, row: str, hint: str | None, rerun: bool, segment: Runner, network: Network
    ) -> None:
        network.num_instances, network.num_unlikely = likely, unlikely
        err = segment().err
        if rerun:
            err = segment().err
        columns, numbers = row.split(":")
        head, _, body = err.partition("┩")
        assert " ".join(head.replace("┃", " ").split()).rpartition("frames ")[2].startswith(columns)
        assert [cell.strip() for cell in body.split("│")][2:][: len(numbers.split())] == numbers.split()
        assert err.endswith(hint or "┘")

    def test_of_a_batch(self, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
        clips = [make_video(tmp_path, name, num_frames=2) for name in ("a.mp4", "b.mp4")]
        out, network.num_unlikely = tmp_path / "out", 1
        outcome = run_vis("segment", *clips, tmp_path / "no.mp4", "-o", out, "--no-render")
        assert re.search(
            r"\[1/2\] a: 1 instance in 2 frames \(1 less likely left out, \d+\.\d s\): cat 0\.90 ", outcome.err
        )
        assert "│ b │ 2 │ 1 │ 1 │" in outcome.err
        assert outcome.err.endswith("2 less likely instances are left out. To see them, use --min-score 0.")
        all_shown = run_vis("segment", *clips, "-o", out, "--no-render", "--overwrite", "--min-score", "0")
        assert re.search(r"\[1/2\] a: 2 instances in 2 frames \(\d+\.\d s\): cat x2 \(0\.90 to 0\.20\) ", all_shown.err)
        assert re.search(r"│ b │ 2 │ 2 │ \d+\.\d ", all_shown.err)  # seconds follow, without "less likely"
        assert "left out" not in all_shown.err

    def test_count_instances_below_the_minimum_score(self, segment: Runner) -> None:
        assert segment("--min-score", "1").err.endswith(
            "2 less likely instances are left out. To see them, use --min-score 0."
        )

    def test_fit_into_80_columns(self, tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.chdir(tmp_path)
        clips = [make_video(Path(), name, num_frames=2).name for name in ("launchpad.mp4", "dogs-jump.mp4")]
        network.num_instances, network.num_unlikely = 10, 34
        printed = CliRunner().invoke(app, ["segment", *clips, "-o", "results", "--no-render"]).stderr
        found, *table = [line for line in printed.splitlines() if "dogs-jump: " not in line]
        assert re.fullmatch(
            r"\[1/2\] launchpad: 10 instances in 2 frames \(34 less likely left out, \d+\.\d s\): "
            r"cat x10 \(0\.90 to 0\.00\)",
            found,
        )
        assert len(found) <= 2 * 80
        assert "│ results/launchpad.json │" in printed
        assert max(map(len, table)) <= 80

    def test_quiet_prints_nothing(self, segment: Runner) -> None:
        outcome = segment("--quiet")
        assert (outcome.out, outcome.err) == ("", "")

    @pytest.mark.parametrize(("options", "shown"), [([], 2), (["--min-score", "0"], 5), (["--min-score", "0.85"], 1)])
    def test_json_has_all_counts(self, options: list[str], shown: int, segment: Runner, network: Network) -> None:
        network.num_instances, network.num_unlikely = 2, 3
        report = json.loads(segment("--json", *options).out)
        counts = {name: count for name, count in report.items() if "instances" in name}
        assert counts == {"instances": 5, "confident_instances": 2, "shown_instances": shown}


class TestRender:
    @pytest.fixture
    def result(self, tmp_path: Path) -> Path:
        clip = make_video(tmp_path)
        found = make_found(open_video(clip), 8, 2, SegmentSettings(), num_unlikely=2)
        info = dataclasses.replace(found.video, source=identify_source(clip))
        write_result(dataclasses.replace(found, video=info), tmp_path / "clip.json")
        return tmp_path / "clip.json"

    @pytest.mark.parametrize(
        ("options", "drawn", "said"),
        [
            (
                "",
                (True, False),
                "2 of 4 instances drawn\n2 less likely instances are left out. To see them, use --min-score 0.",
            ),
            ("--min-score 0", BOTH, "4 of 4 instances drawn"),
            ("--min-score 0.2", BOTH, "4 of 4 instances drawn"),
            (
                "--min-score 0.85",
                (True, False),
                "1 of 4 instances drawn\n3 less likely instances are left out. To see them, use --min-score 0.",
            ),
            (
                "--min-score 1",
                NEITHER,
                "0 of 4 instances drawn\n4 less likely instances are left out. To see them, use --min-score 0.",
            ),
            ("--only 3", (False, True), "1 of 4 instances drawn, 3 left out"),
            ("--only 1,4", BOTH, "2 of 4 instances drawn, 2 left out"),
            ("--only 1,2,3,4", BOTH, "4 of 4 instances drawn"),
            ("--only 1,4 --min-score 0.5", (True, False), "1 of 4 instances drawn, 3 left out"),
        ],
    )
    def test_draws_confident_or_selected_instances(
        self, options: str, drawn: tuple[bool, bool], said: str, result: Path, tmp_path: Path, run_vis: RunVis
    ) -> None:
        outcome = run_vis("render", result, "-o", tmp_path / "o.mp4", *options.split())
        assert outcome.err == f"{tmp_path / 'o.mp4'}: {said}".replace("\n", " ")
        assert drawn_parts(tmp_path / "o.mp4", tmp_path / "clip.mp4") == drawn

    def test_draws_all_instances_of_an_earlier_schema(self, result: Path, tmp_path: Path, run_vis: RunVis) -> None:
        data = json.loads(result.read_text())
        for instance in data["instances"]:
            del instance["confident"]
        result.write_text(json.dumps({**data, "schema": 2}))
        outcome = run_vis("render", result, "-o", tmp_path / "o.mp4")
        assert outcome.err == f"{tmp_path / 'o.mp4'}: 4 of 4 instances drawn"
        assert drawn_parts(tmp_path / "o.mp4", tmp_path / "clip.mp4") == BOTH


@pytest.mark.parametrize("value", ["-1", "2", "nan", "inf", "text", ""])
@pytest.mark.parametrize("command", ["segment", "render"])
def test_a_minimum_score_is_a_number_from_0_to_1(command: str, value: str, tmp_path: Path, run_vis: RunVis) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"not read")
    outcome = run_vis(command, source, "-o", tmp_path / "o.mp4", "--min-score", value)
    assert outcome.code == 2
    assert "Invalid value for '--min-score': Input should be" in outcome.err
    assert list(tmp_path.iterdir()) == [source]


class TestAllInstances:
    """Exports, scores, benchmark presets and results contain instances that are not confident."""

    def test_of_an_export(self, segment: Runner, tmp_path: Path, run_vis: RunVis) -> None:
        segment("--min-score", "1")
        outcome = run_vis("export", segment.result, "--to", "coco-video", "-o", tmp_path / "all.json")
        assert "2 instances in 1 video" in outcome.err
        assert [entry["score"] for entry in json.loads((tmp_path / "all.json").read_text())["annotations"]] == [
            0.9,
            0.2,
        ]

    def test_of_each_format(self, segment: Runner, tmp_path: Path, run_vis: RunVis) -> None:
        segment()
        video = {"id": 1, "width": 64, "height": 48, "file_names": [f"clip/{frame:05d}.jpg" for frame in range(8)]}
        split = tmp_path / "split.json"
        split.write_text(json.dumps({"videos": [video], "categories": [{"id": 1, "name": CATEGORIES[1].name}]}))
        run_vis("export-json", segment.result, "--split", split, "-o", tmp_path / "s.zip")
        with zipfile.ZipFile(tmp_path / "s.zip") as archive:
            assert [entry["score"] for entry in json.loads(archive.read("results.json"))] == [0.9, 0.2]
        davis = run_vis("export-json", segment.result, "--format", "davis", "-o", tmp_path / "davis")
        assert "2 instances in 1 video" in davis.err

    @pytest.mark.parametrize("ran", [False, True], ids=["results", "model"])
    def test_of_a_score(self, ran: bool, network: Network, tmp_path: Path, run_vis: RunVis) -> None:
        network.num_instances, network.num_unlikely = 0, 1
        frames, lower_right = tmp_path / "frames" / "clip", np.zeros((48, 64), np.bool_)
        lower_right[24:, 32:] = True
        for frame in range(2):
            write_picture(frames / f"{frame:05d}.jpg", (64, 48))
        names = [f"clip/{frame:05d}.jpg" for frame in range(2)]
        truth = {
            "videos": [{"id": 1, "width": 64, "height": 48, "file_names": names}],
            "annotations": [
                {"id": 1, "video_id": 1, "category_id": 1, "segmentations": [encode_mask(lower_right)] * 2}
            ],
            "categories": [{"id": 1, "name": CATEGORIES[1].name}],
        }
        (tmp_path / "val.json").write_text(json.dumps(truth))
        out = tmp_path / "out"
        if ran:
            source = ["--segment", "--frames", frames.parent, "-o", out, "--render", "--preset", "default"]
        else:
            run_vis("segment", frames, "-o", out)
            source = [out]
        outcome = run_vis("eval", *source, "--annotations", tmp_path / "val.json", "--json", tmp_path / "score.json")
        assert outcome.code == 0
        assert json.loads((tmp_path / "score.json").read_text())["summary"]["ap"] == pytest.approx(1)
        assert "left out" not in outcome.err
        if ran:  # the overlay shows what is scored
            assert drawn_parts(out / "clip.mp4", frames) == (False, True)

    @pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"default", GIVEN_MASKS, LIVE}))
    def test_of_a_benchmark_preset_are_confident(self, preset: str) -> None:
        assert PRESETS[preset].confident_score == 0.0


def test_a_video_without_instances_gets_a_note(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    network.num_instances = 0
    clip = make_video(tmp_path, num_frames=2)
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--set", "detection_score_threshold=0.4")
    assert outcome.code == 0
    assert f"{clip}: no object has a score above 0.4 in the key frames. To find less likely objects" in outcome.err
    assert "no object" not in run_vis("segment", clip, "-o", tmp_path / "other", "--quiet").err
    network.num_instances = 1
    assert "no object" not in run_vis("segment", clip, "-o", tmp_path / "third").err


def test_a_video_without_a_selected_category_names_the_others(
    tmp_path: Path, run_vis: RunVis, network: Network
) -> None:
    network.num_instances, network.excluded = 0, {"person": 1, "zebra": 2, "boat": 1}
    clip = make_video(tmp_path, num_frames=2)
    outcome = run_vis("segment", clip, "-o", tmp_path / "out", "--only", "cat,dog")
    assert (
        f"{clip}: no cat or dog has a score above 0.3 in the key frames. Found, but excluded by --only: zebra (2), "
        "boat (1), person (1). To find less likely objects, use"
    ) in outcome.err
    network.excluded = {f"kind {number:02}": 1 for number in range(40)}
    outcome = run_vis("segment", clip, "-o", tmp_path / "more", "--only", "cat")
    assert "kind 00 (1), kind 01 (1)" in outcome.err
    assert "kind 39" not in outcome.err
    network.excluded = {}
    outcome = run_vis("segment", clip, "-o", tmp_path / "none", "--only", "cat")
    assert "no cat has a score above 0.3 in the key frames. To find" in outcome.err
