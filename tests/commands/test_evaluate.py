"""`vis eval`: results of others scored; each of its ways and each error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.records.davis_factory import write_picture
from tests.records.result_factory import make_instance, make_result
from vis_cli.records.davis import write_label_png
from vis_cli.records.result_json import write_result
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category
from vis_cli.settings import find_preset

from .conftest import Network, RunVis

SIZE = (4, 6)
QUARTER = np.zeros(SIZE, np.bool_)  # what the stand-in for the network finds in every frame
QUARTER[:2, :3] = True
ELSEWHERE = QUARTER[::-1, ::-1]
NUM_FRAMES = {"good": 3, "bad": 2, "none": 2}  # found, found elsewhere, without objects


def make_truth() -> dict[str, Any]:
    videos = [
        {"id": i, "width": 6, "height": 4, "file_names": [f"{name}/{frame:05d}.jpg" for frame in range(count)]}
        for i, (name, count) in enumerate(NUM_FRAMES.items())
    ]
    annotations = [
        {"id": 1, "video_id": 0, "category_id": 5, "segmentations": [encode_mask(QUARTER)] * 3},
        {"id": 2, "video_id": 1, "category_id": 5, "segmentations": [encode_mask(ELSEWHERE)] * 2},
    ]
    categories = [{"id": 5, "name": "Cat"}, {"id": 6, "name": "dog"}]
    return {"videos": videos, "annotations": annotations, "categories": categories}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """One object that is found and one that is not; no annotation has `iscrowd`."""
    path = tmp_path / "val.json"
    path.write_text(json.dumps(make_truth()))
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results.json that finds the first object exactly."""
    masks = [encode_mask(QUARTER)]
    entries = [
        {"video_id": video, "category_id": 5, "score": 0.9, "segmentations": masks * count}
        for video, count in enumerate((3, 2))
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """Two sequences in the plain layout, with frames."""
    root = tmp_path / "davis"
    for name, mask in (("good", QUARTER), ("bad", ELSEWHERE)):
        for frame in range(3):
            write_label_png(mask.astype(np.uint8), root / "Annotations" / name / f"{frame:05d}.png")
            write_picture(root / "JPEGImages" / name / f"{frame:05d}.jpg", SIZE[::-1])
    return root


@pytest.fixture
def pngs(tmp_path: Path) -> Path:
    """Predictions for it: the upper left quarter in both."""
    for name in ("good", "bad"):
        for frame in range(3):
            write_label_png(QUARTER.astype(np.uint8), tmp_path / "pngs" / name / f"{frame:05d}.png")
    return tmp_path / "pngs"


def write_frames(folder: Path) -> Path:
    for name, count in NUM_FRAMES.items():
        for frame in range(count):
            write_picture(folder / name / f"{frame:05d}.jpg", SIZE[::-1])
    return folder


def row(table: str, first: str) -> list[str]:
    """Return the cells of the first row that begins with a text."""
    lines = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in table.splitlines()]
    return next(cells for cells in lines if cells[0] == first)


def test_results_json(results: Path, truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("eval", results, "--annotations", truth, "--json", tmp_path / "out.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert row(outcome.out, "AP") == ["AP", *["50.5"] * 4, "–", "–"]
    assert row(outcome.out, "AR") == ["AR", "50.0", "50.0", "50.0", "50.0", "–", "–"]
    assert row(outcome.out, "Cat") == ["Cat", "2", "50.5", "50.5", "50.5", "50.0"]
    assert row(outcome.out, "background")[:3] == ["background", "1", "0.0"]
    for name in ("mean over categories", "all categories as one"):
        assert row(outcome.out, name)[1:] == ["65.5", "42.9", "100.0", "100.0", "60.0", "20.0", "0"]
    assert row(outcome.out, "good")[3:] == ["100.0", "100.0", "0"]
    assert row(outcome.out, "none")[3:] == ["–", "–", "–"]
    data = json.loads((tmp_path / "out.json").read_text())
    assert data["summary"]["ap"] == pytest.approx(51 / 101)
    assert data["summary"]["ap_large"] == -1
    assert [category["name"] for category in data["categories"]] == ["dog", "Cat"]
    assert data["categories"][1]["precision"]["0.50"] == [1.0] * 51 + [0.0] * 50
    assert len(data["recalls"]) == 101
    assert [(video["name"], video["mean_iou"]) for video in data["videos"]] == [("bad", 0), ("good", 1), ("none", None)]
    assert sum(error["count"] for error in data["errors"]) == 2
    assert data["identity"]["det_a"] == pytest.approx(3 / 7)
    assert data["mean_identity"] == data["identity"] == data["categories"][1]["identity"]
    assert data["categories"][0]["identity"] is None
    assert [video["identity"] and video["identity"]["hota"] for video in data["videos"]] == [0, 1, None]
    assert data["results"] == str(results)


def test_the_worst_come_first(results: Path, truth: Path, run_vis: RunVis) -> None:
    out = run_vis("eval", results, "--annotations", truth).out
    assert out.index("│ bad ") < out.index("│ good ") < out.index("│ none ")
    assert "dog" not in out  # a category without objects


def test_many_videos_are_cut(results: Path, truth: Path, run_vis: RunVis) -> None:
    data = make_truth()
    data["videos"] += [{"id": 90 + i, "width": 6, "height": 4, "file_names": [f"v{i}/0.jpg"]} for i in range(9)]
    truth.write_text(json.dumps(data))
    out = run_vis("eval", results, "--annotations", truth).out
    assert "and 2 videos more; --json lists all" in out


def test_a_zip_and_a_folder_give_the_same(results: Path, truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    expected = run_vis("eval", results, "--annotations", truth).out
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(results, "results.json")
    assert run_vis("eval", tmp_path / "s.zip", "--annotations", truth).out == expected
    for name, count in (("good", 3), ("bad", 2)):
        instance = make_instance(1, [QUARTER] * count)
        write_result(make_result([instance], name=name, num_frames=count), tmp_path / "found" / f"{name}.json")
    assert run_vis("eval", tmp_path / "found", "--annotations", truth).out == expected


def test_what_does_not_count_is_said(truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    panda, owl = Category(3, "giant_panda"), Category(7, "dog")
    instances = [make_instance(1, [QUARTER] * 3, category_id=3), make_instance(2, [QUARTER] * 3)]
    result = make_result(instances, name="good", num_frames=3, categories=(panda, owl))
    write_result(result, tmp_path / "found" / "good.json")
    outcome = run_vis("eval", tmp_path / "found", "--annotations", truth)
    assert outcome.code == 0
    assert f"warning: ignored categories that {truth} does not contain: giant_panda" in outcome.err
    assert row(outcome.out, "class")[1] == "1"


def test_an_empty_list_scores_zero_and_is_said(truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "results.json").write_text("[]")
    outcome = run_vis("eval", tmp_path / "results.json", "--annotations", truth)
    assert outcome.code == 0
    assert row(outcome.out, "AP")[1] == "0.0"
    assert "has no prediction: AP is 0. The official evaluator fails on an empty list" in outcome.err


@pytest.mark.parametrize("annotations", [None, []])
def test_a_split_without_ground_truth(annotations: object, results: Path, truth: Path, run_vis: RunVis) -> None:
    truth.write_text(json.dumps(make_truth() | {"annotations": annotations}))
    outcome = run_vis("eval", results, "--annotations", truth)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"{truth}: it has no annotations" in outcome.err
    assert f"vis export-json {results} --split {truth} -o submission.zip" in outcome.err


def test_damaged_results_are_one_line(results: Path, truth: Path, run_vis: RunVis) -> None:
    entries = json.loads(results.read_text())
    entries[1]["segmentations"].pop()
    results.write_text(json.dumps(entries))
    outcome = run_vis("eval", results, "--annotations", truth)
    assert (outcome.code, outcome.out) == (1, "")
    problem = "'segmentations' has 1 entries, video bad has 2 frames. Use one mask or null per frame."
    assert outcome.err == f"error: {results}: entry 1: {problem}"


def test_a_folder_of_pngs(pngs: Path, davis: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("eval", pngs, "--davis", davis, "--json", tmp_path / "out.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert row(outcome.out, "2")[2:5] == ["50.0", "50.0", "0.0"]  # J mean, recall, decay
    assert row(outcome.out, "good") == ["good", "1", *["100.0"] * 4, "0"]
    assert row(outcome.out, "bad")[5:] == ["0.0", "0"]
    assert row(outcome.out, "all sequences")[1:] == ["57.7", "33.3", "100.0", "100.0", "50.0", "0.0", "0"]
    assert outcome.out.index("│ bad ") < outcome.out.index("│ good ")
    data = json.loads((tmp_path / "out.json").read_text())
    assert (data["task"], data["davis"], data["results"]) == ("unsupervised", str(davis), str(pngs))
    assert data["summary"]["region"]["mean"] == 0.5
    assert [(s["name"], s["objects"][0]["region"]["mean"]) for s in data["sequences"]] == [("bad", 0.0), ("good", 1.0)]
    assert [s["identity"]["hota"] for s in data["sequences"]] == [0.0, 1.0]
    assert data["identity"]["idf1"] == 0.5


def test_only_some_sequences(pngs: Path, davis: Path, run_vis: RunVis) -> None:
    outcome = run_vis("eval", pngs, "--davis", davis, "--sequences", "good,")
    assert row(outcome.out, "1")[1] == "100.0"
    assert "bad" not in outcome.out
    assert run_vis("eval", pngs, "--davis", davis, "--sequences", "eel").code == 1


def test_semi_supervised_needs_neither_the_first_nor_the_last_frame(pngs: Path, davis: Path, run_vis: RunVis) -> None:
    for name in ("good", "bad"):
        (pngs / name / "00000.png").unlink()
        (pngs / name / "00002.png").unlink()
    outcome = run_vis("eval", pngs, "--davis", davis, "--task", "semi-supervised")
    assert row(outcome.out, "good")[2] == "100.0"
    outcome = run_vis("eval", pngs, "--davis", davis)
    assert outcome.code == 1
    assert f"{pngs / 'bad' / '00000.png'}: the file does not exist. Add a PNG" in outcome.err


def test_a_sequence_without_objects_has_no_numbers(pngs: Path, davis: Path, tmp_path: Path, run_vis: RunVis) -> None:
    for frame in range(3):
        write_label_png(np.zeros(SIZE, np.uint8), davis / "Annotations" / "bad" / f"{frame:05d}.png")
    outcome = run_vis("eval", pngs, "--davis", davis, "--json", tmp_path / "out.json", "--plots", tmp_path / "plots")
    assert row(outcome.out, "bad") == ["bad", "0", *"–––––"]
    assert json.loads((tmp_path / "out.json").read_text())["sequences"][1]["jf_mean"] is None


def test_damaged_pngs(pngs: Path, davis: Path, run_vis: RunVis) -> None:
    picture = pngs / "good" / "00001.png"
    for image, message in [
        (Image.new("RGB", SIZE[::-1]), "the PNG has colours (RGB) instead of labels"),
        (Image.new("L", SIZE), "the prediction is 4x6 pixels, the ground truth is 6x4. Write"),
        (Image.new("L", SIZE[::-1], 21), "the highest label is 21, but at most 20 proposals are allowed"),
    ]:
        image.save(picture)
        outcome = run_vis("eval", pngs, "--davis", davis)
        assert (outcome.code, outcome.out) == (1, "")
        assert f"{picture}: {message}" in outcome.err


def test_results_of_segment_for_davis(davis: Path, tmp_path: Path, run_vis: RunVis) -> None:
    for name in ("good", "bad"):
        result = make_result([make_instance(1, [QUARTER] * 3)], name=name, num_frames=3)
        write_result(result, tmp_path / "found" / f"{name}.json")
    outcome = run_vis("eval", tmp_path / "found", "--davis", davis)
    assert row(outcome.out, "2")[2] == "50.0"


def test_plots(results: Path, truth: Path, pngs: Path, davis: Path, tmp_path: Path, run_vis: RunVis) -> None:
    plots = tmp_path / "plots"
    assert run_vis("eval", results, "--annotations", truth, "--plots", plots).code == 0
    assert sorted(path.name for path in plots.iterdir()) == ["ap_by_category.png", "precision_recall.png"]
    outcome = run_vis("eval", pngs, "--davis", davis, "--plots", plots)
    assert (outcome.code, "--overwrite" in outcome.err) == (2, True)
    assert run_vis("eval", pngs, "--davis", davis, "--plots", plots, "--overwrite").code == 0
    assert (plots / "jf_by_sequence.png").stat().st_size > 1000


def test_an_existing_json_is_kept(results: Path, truth: Path, run_vis: RunVis) -> None:
    before = truth.read_text()
    outcome = run_vis("eval", results, "--annotations", truth, "--json", truth)
    assert (outcome.code, truth.read_text()) == (2, before)


def test_no_input_is_overwritten_even_when_asked(results: Path, truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    write_result(make_result(name="good", num_frames=3), tmp_path / "found" / "good.json")
    for source, out in ((results, truth), (results, results), (tmp_path / "found", tmp_path / "found" / "good.json")):
        before = out.read_text()
        outcome = run_vis("eval", source, "--annotations", truth, "--json", out, "--overwrite")
        assert (outcome.code, outcome.out, out.read_text()) == (2, "", before)
        assert outcome.err == f"error: cannot write {out}: it is an input. Use another output name."


def test_a_model_on_a_split(network: Network, truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    frames = write_frames(tmp_path / "JPEGImages")
    arguments = ("--model", "r50", "--annotations", truth, "--frames", frames, "--json", tmp_path / "out.json")
    outcome = run_vis("eval", "--segment", *arguments, "--num-key-frames", 7, "--device", "cpu", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert row(outcome.out, "AP")[1] == "50.5"
    ((model, config, run),) = network.loaded
    assert (model, config.num_key_frames, config.class_agnostic, run.device) == ("r50", 7, False, "cpu")
    assert network.segmented == ["good", "bad", "none"]
    data = json.loads((tmp_path / "out.json").read_text())
    assert (data["model"]["name"], data["config"]["num_key_frames"]) == ("fake", 7)
    assert set(data["seconds"]) == set(NUM_FRAMES)


@pytest.mark.parametrize(("options", "preset"), [((), "given-masks"), (("--preset", "davis-uvos"), "davis-uvos")])
def test_given_masks_of_davis_have_their_own_preset(
    options: tuple[str, ...], preset: str, network: Network, davis: Path, run_vis: RunVis
) -> None:
    arguments = ("--task", "semi-supervised", "--sequences", "good", "--quiet")
    assert run_vis("eval", "--segment", "--davis", davis, *arguments, *options).code == 0
    assert network.loaded[0][1] == find_preset(preset)


def test_a_model_on_davis(network: Network, davis: Path, tmp_path: Path, run_vis: RunVis) -> None:
    kept = tmp_path / "kept"
    outcome = run_vis("eval", "--segment", "--davis", davis, "-o", kept, "--render", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert row(outcome.out, "good")[2] == "100.0"
    assert len(row(outcome.out, "good")) == 8  # the seconds, too
    assert network.loaded[0][1].class_agnostic  # davis-uvos
    assert network.guidance is None
    assert sorted(path.name for path in kept.iterdir()) == ["bad.json", "bad.mp4", "good.json", "good.mp4"]
    again = run_vis("eval", "--segment", "--davis", davis, "-o", kept)
    assert (again.code, "it contains results" in again.err) == (2, True)
    assert run_vis("eval", "--segment", "--davis", davis, "-o", kept, "--overwrite").code == 0
    assert len(network.segmented) == 4


def test_overwrite_keeps_the_results_of_other_videos(
    network: Network, davis: Path, tmp_path: Path, run_vis: RunVis
) -> None:
    kept = tmp_path / "kept"
    arguments = ("eval", "--segment", "--model", "lite", "-o", kept, "--overwrite", "--davis")
    assert run_vis(*arguments, davis).code == 0
    before = (kept / "good.json").read_bytes()
    other = Path(shutil.copytree(davis, tmp_path / "other"))
    write_picture(other / "JPEGImages" / "good" / "00001.jpg", SIZE[::-1], "L")
    outcome = run_vis(*arguments, other)
    assert (outcome.code, "good.json: it is the result of another video" in outcome.err) == (2, True)
    assert (kept / "good.json").read_bytes() == before
    moved = davis.rename(tmp_path / "moved")
    assert run_vis(*arguments, moved).code == 0


@pytest.mark.parametrize(
    ("named", "loaded"),
    [
        (("--detector", "d", "--propagator", "p"), ("d", "p")),
        (("--model", "m", "--propagator", "p"), ("m", "p")),
        (("--model", "m", "--detector", "d"), ("d", "m")),
    ],
)
def test_two_models_are_one(
    named: tuple[str, ...],
    loaded: tuple[str, str],
    network: Network,
    davis: Path,
    run_vis: RunVis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_network(model: str, *, detector: str | None, propagator: str | None, device: str) -> tuple[str, str]:
        assert device == "auto"
        return detector or model, propagator or model

    monkeypatch.setattr("vis_cli.zoo.composition.load_network", load_network)
    outcome = run_vis("eval", "--segment", *named, "--davis", davis, "--set", "max_instances=3", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert [model for model, *_ in network.loaded] == [loaded]
    assert row(outcome.out, "good")[2] == "100.0"


def test_the_options_of_a_model_stand_together(run_vis: RunVis) -> None:
    panel = run_vis("eval", "--help").out.partition("Segment first")[2].partition("╰")[0]
    assert all(option in panel for option in ("--segment", "--model", "--preset", "--frames", "--set", "--device"))


def test_a_model_is_given_the_first_masks_in_semi_supervised(network: Network, davis: Path, run_vis: RunVis) -> None:
    arguments = ("--task", "semi-supervised", "--sequences", "good", "--preset", "default")
    outcome = run_vis("eval", "--segment", "--davis", davis, *arguments)
    assert outcome.code == 0
    assert network.guidance is not None
    assert list(network.guidance) == [0]
    np.testing.assert_array_equal(network.guidance[0], QUARTER)
    assert not network.loaded[0][1].class_agnostic
    assert not network.detects
    run_vis("eval", "--segment", "--davis", davis, "--sequences", "good")
    assert network.detects


def test_a_video_that_fails_leaves_no_figures(network: Network, davis: Path, run_vis: RunVis) -> None:
    (davis / "JPEGImages" / "bad" / "00001.jpg").write_bytes(b"")
    outcome = run_vis("eval", "--segment", "--davis", davis)
    assert (outcome.code, outcome.out) == (1, "")
    assert "cannot score: 1 of 2 videos failed, the first is bad" in outcome.err


def test_ctrl_c_leaves_no_figures(network: Network, davis: Path, run_vis: RunVis) -> None:
    network.raises["good"] = KeyboardInterrupt()
    outcome = run_vis("eval", "--segment", "--davis", davis)
    assert (outcome.code, outcome.out) == (130, "")


def test_frames_that_are_not_those_of_the_split(network: Network, truth: Path, tmp_path: Path, run_vis: RunVis) -> None:
    frames = write_frames(tmp_path / "JPEGImages")
    write_picture(frames / "bad" / "00009.jpg", SIZE[::-1])
    arguments = ("eval", "--segment", "--annotations", truth, "--frames")
    outcome = run_vis(*arguments, frames)
    assert outcome.code == 1
    assert f"{frames / 'bad'}: has 3 images, but {truth} lists 2, 00000.jpg to 00001.jpg" in outcome.err
    outcome = run_vis(*arguments, tmp_path)
    assert f"{tmp_path / 'good'}: is missing, but {truth} lists this video" in outcome.err
    assert network.segmented == []


def test_davis_without_frames(network: Network, davis: Path, run_vis: RunVis) -> None:
    (davis / "JPEGImages").rename(davis / "elsewhere")
    outcome = run_vis("eval", "--segment", "--davis", davis)
    assert (outcome.code, "Put the JPEGImages folder" in outcome.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("RESULTS", "Use either --annotations SPLIT.json (YouTube-VIS, OVIS) or --davis DIR."),
        ("RESULTS --annotations TRUTH --davis DAVIS", "Use either --annotations"),
        ("--annotations TRUTH", "no RESULTS to score. Give RESULTS, or --segment to run a model first."),
        ("RESULTS --segment --davis DAVIS", "RESULTS and --segment are both given. Omit RESULTS, or omit --segment"),
        ("RESULTS --model lite --davis DAVIS", "--model needs --segment, which runs a model before"),
        ("--model lite --davis DAVIS", "--model needs --segment, which runs a model before"),
        ("RESULTS --detector lite --davis DAVIS", "--detector needs --segment"),
        ("RESULTS --annotations TRUTH --task unsupervised", "--task needs --davis DIR."),
        ("RESULTS --annotations TRUTH --sequences a", "--sequences needs --davis DIR."),
        ("RESULTS --annotations TRUTH --preset ovis", "--preset needs --segment"),
        ("RESULTS --annotations TRUTH --set max_instances=3", "--set needs --segment"),
        ("RESULTS --annotations TRUTH --device cpu", "--device needs --segment"),
        (
            "RESULTS --annotations TRUTH --max-instances 3",
            "No such option: --max-instances. Use --set max_instances=VALUE.",
        ),
        ("--segment --annotations TRUTH", "--segment needs the images of the split. Use --frames DIR"),
        ("--segment --davis DAVIS --task semi-supervised --detector lite", "Omit --detector."),
        ("--segment --davis DAVIS --render", "--render needs -o DIR"),
        ("--segment --davis DAVIS --preset davis-uvo", "no preset 'davis-uvo'. Did you mean davis-uvos?"),
        ("RESULTS --davis DAVIS", "For DAVIS, use a folder"),
        ("none.json --davis DAVIS", "does not exist"),
    ],
)
def test_wrong_usage(words: str, said: str, results: Path, truth: Path, davis: Path, run_vis: RunVis) -> None:
    places = {"RESULTS": results, "TRUTH": truth, "DAVIS": davis}
    outcome = run_vis("eval", *(places.get(word, word) for word in words.split()))
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_results_are_scored_without_torch(results: Path, truth: Path, pngs: Path, davis: Path) -> None:
    code = (
        "import json, sys; from typer.testing import CliRunner; from vis_cli.app import app\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    result = CliRunner().invoke(app, ['eval', *words])\n"
        "    assert (result.exit_code, result.stderr) == (0, ''), result.output\n"
        "    assert not {'torch', 'torchvision', 'timm', 'matplotlib'} & set(sys.modules), words\n"
    )
    commands = [[str(results), "--annotations", str(truth)], [str(pngs), "--davis", str(davis)]]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
