"""The commands of README.md, the tutorials and docs/how-to run in their order, section by section; so does the Python
example. `test_tutorials.py` compares the output on the tutorials.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import typer

from tests.commands.conftest import Network, RunVis, network, run_vis  # noqa: F401 (fixtures)
from tests.engine.fakes import FakeNetwork, draw_frame, moving_boxes
from tests.records.davis_factory import SIZE, VAL, write_davis, write_mask
from tests.records.video_factory import make_images, make_video, rewrite, write_image
from tests.training.test_trainer import make_run
from tests.zoo.detectors.onnx_factory import write_onnx, yolox_outputs
from tests.zoo.released_factory import hollow_state, write_checkpoint
from vis_cli.app import app
from vis_cli.records.davis import write_label_png
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category, ModelInfo
from vis_cli.zoo.weights import LoadedModel

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIALS = sorted((ROOT / "docs").glob("tutorials/*.md"))
PAGES = (
    *(ROOT / "README.md", *TUTORIALS, *sorted((ROOT / "docs").glob("how-to/*.md"))),
    *(ROOT / "docs/explanation/presets.md", ROOT / "docs/README.md"),
)

NAMES = ("beach", "clip", "frames", "holiday", "walk")  # of all videos here, in every split
IMAGES = ("00000.jpg", "00001.jpg", "00002.jpg")  # of each of them
OUTPUT_OPTIONS = ("-o", "--out", "--json", "--plots")


def sections() -> dict[str, list[str]]:
    """Return the lines that are `vis` commands, by the heading they stand under. A tutorial is one section."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        parts = [text.removeprefix("# ")] if page in TUTORIALS else re.split(r"^##? ", text, flags=re.MULTILINE)[1:]
        for part in parts:
            heading, _, text = part.partition("\n")
            if lines := [line.strip() for line in text.splitlines() if re.match(r"( {4}|\$ )(\$ )?vis\s", line)]:
                name = heading if page.name == "README.md" else f"{page.stem}: {heading}"
                assert name not in found
                found[name] = lines
    return found


def make_clip(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    make_video(path.parent, path.name, num_frames=len(IMAGES), size=SIZE)


def make_frames(path: Path) -> None:
    make_images(path, IMAGES, SIZE)


def make_frame_folders(path: Path) -> None:
    for name in NAMES:
        make_frames(path / name)


SAMPLES = ("launchpad", "cat")  # of the tutorials


def make_split(path: Path, names: Sequence[str] = NAMES) -> None:
    """Write a split of all the videos, each with a cat in the upper left quarter, where the stand-in finds one."""
    width, height = SIZE
    cat = np.zeros((height, width), np.bool_)
    cat[: height // 2, : width // 2] = True
    videos = [
        {"id": i, "width": width, "height": height, "file_names": [f"{name}/{image}" for image in IMAGES]}
        for i, name in enumerate(names)
    ]
    annotations = [
        {"id": i, "video_id": i, "category_id": 1, "iscrowd": 0, "segmentations": [encode_mask(cat)] * len(IMAGES)}
        for i in range(len(names))
    ]
    data = {"videos": videos, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    path.write_text(json.dumps(data))


def make_submission(path: Path) -> None:
    mask = encode_mask(np.ones(SIZE[::-1], np.bool_))
    entries = json.dumps([{"video_id": 0, "category_id": 1, "score": 0.5, "segmentations": [mask] * len(IMAGES)}])
    if path.suffix == ".json":
        path.write_text(entries)
        return
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("results.json", entries)


def make_davis(path: Path) -> None:
    stems = [Path(image).stem for image in IMAGES]
    write_davis(path, sequences=dict.fromkeys(NAMES, stems))
    for name in NAMES:
        for stem in stems:
            write_mask(path / "Annotations" / "480p" / name / f"{stem}.png")


def make_pngs(path: Path) -> None:
    for name in NAMES:
        for image in IMAGES:
            write_mask(path / name / f"{Path(image).stem}.png")


def make_first_mask(path: Path) -> None:
    labels = np.ones(SIZE[::-1], np.uint8)
    labels[:, -1] = 2
    write_label_png(labels, path)


def make_detections(path: Path) -> None:
    path.write_text("1,-1,2,2,3,2,0.9,-1,-1,-1\n")


def make_detector(path: Path) -> None:
    write_onnx(path, {"output": yolox_outputs()})


def make_corrected(path: Path) -> None:
    """Write annotations of CVAT without a track."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("annotations.xml", "<annotations><version>1.1</version></annotations>")


def make_training(path: Path) -> None:
    make_run(path.parent, steps=1).rename(path)


class NetworkDetector:
    """A detector whose weights torchvision would download."""

    categories = (Category(1, "person"),)
    reads_video = True
    calibration = None


FOUND_ON_THE_NETWORK = LoadedModel(NetworkDetector(), ModelInfo("detector", "0" * 64))

MAKERS: dict[str, Callable[[Path], object]] = {  # the files and folders that README speaks of as the reader's own
    "holiday.mp4": make_clip,
    "clip.mp4": make_clip,
    "sample_videos/launchpad.mp4": make_clip,
    "sample_videos/cat.mp4": make_clip,
    "sample_videos/annotations.json": lambda path: make_split(path, SAMPLES),
    "concert.mp4": lambda path: make_video(path.parent, path.name, num_frames=20, pts_ms=range(0, 100_000, 5_000)),
    "frames": make_frames,
    "videos": lambda path: make_clip(path / "beach.mp4"),
    "day?/*.mov": lambda path: make_clip(Path("day1/walk.mov")),
    "first.png": make_first_mask,
    "clip.txt": make_detections,
    "holiday.txt": make_detections,
    "found": lambda path: (path.mkdir(), make_detections(path / "beach.txt")),
    "yolox.onnx": make_detector,
    "yolox_s.onnx": make_detector,
    "yolox-nano-416.onnx": make_detector,
    "my_settings.toml": lambda path: path.write_text("num_key_frames = 5\n"),
    "my.toml": make_training,
    "seq_mask_rcnn_r50.pth": lambda path: write_checkpoint(path, hollow_state("r50")),
    "corrected.zip": make_corrected,
    "valid.json": make_split,
    "valid/JPEGImages": make_frame_folders,
    "JPEGImages": make_frame_folders,
    "results.json": make_submission,
    "submission.zip": make_submission,
    "pngs": make_pngs,
    "DAVIS": make_davis,
    f"DAVIS/{VAL}": lambda path: make_davis(path.parents[2]),
}


def words_of(line: str) -> Iterator[str]:
    """Split a line as a shell does, with patterns that are not quoted expanded; comments are left out."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    for word in lexer:
        bare = word.strip("'\"")
        matches = sorted(str(path) for path in Path().glob(bare)) if bare == word and "*" in word else []
        yield from matches or [bare]


def make_inputs(words: list[str]) -> None:
    """Make what a command reads and no command before it has written."""
    for before, word in itertools.pairwise(words):
        name = word.rstrip("/")
        if before not in OUTPUT_OPTIONS and name in MAKERS and not Path(name).exists():
            MAKERS[name](Path(name))


def outputs_of(words: list[str]) -> list[Path]:
    return [Path(word) for before, word in itertools.pairwise(words) if before in OUTPUT_OPTIONS]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_in_a_section() -> None:
    texts = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    written = re.findall(r"^(?: {4}|\$ )[>$ ]*(vis\s.*)", texts, re.MULTILINE)
    assert written == [line.removeprefix("$ ") for lines in sections().values() for line in lines]
    assert len(written) > 30


@pytest.mark.parametrize("heading", sections())
def test_the_commands_of_a_section_work_one_after_the_other(
    heading: str,
    workplace: Path,
    run_vis: RunVis,  # noqa: F811
    network: Network,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vis_cli.zoo.composition.load_box_detector", lambda name, device: FOUND_ON_THE_NETWORK)
    for line in sections()[heading]:
        make_inputs(list(words_of(line)))
        _, *words = words_of(line)  # again: a pattern sees what was made
        outcome = run_vis(*words)
        assert outcome.code == 0, f"{line}\n{outcome.out}\n{outcome.err}"
        assert "warning" not in outcome.err, line
        assert [path for path in outputs_of(words) if not path.exists()] == [], line


def test_the_options_of_the_commands_that_do_not_run_here_exist() -> None:
    """The page of live video needs cameras, and training takes minutes: their commands are in blocks for a shell."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    checked = 0
    for page in PAGES:
        for block in re.findall(
            r"^```(?:ba)?sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            for name, rest in re.findall(r"^(?:.*[|!] )?vis (\w[\w-]*)(.*)$", block, re.MULTILINE):
                known = {flag for item in commands[name].params for flag in item.opts}
                assert set(re.findall(r" (--?[a-z][\w-]*)", rest.partition(" #")[0])) <= known, rest
                checked += 1
    assert checked >= 15


def test_start_writes_what_it_promises(workplace: Path, run_vis: RunVis, network: Network) -> None:  # noqa: F811
    line, _ = sections()["Start"]
    make_inputs(list(words_of(line)))
    run_vis(*list(words_of(line))[1:])
    promised = re.findall(r"`(results/[^`]+)`", README.partition("## Use")[0])
    assert promised == ["results/holiday.json", "results/holiday.mp4"]
    assert all(Path(path).is_file() for path in promised)


def test_the_python_example_runs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small clip in the sample's place, with a network that knows colours in place of the default model."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (clip,) = re.findall(r'segment_video\("([^"]+)"', code)
    assert (ROOT / clip).is_file()
    for index, boxes in enumerate(moving_boxes(3)):
        (workplace / "drawn").mkdir(exist_ok=True)
        write_image(workplace / "drawn" / f"{index}.png", draw_frame(index, boxes))
    rewrite(workplace / "drawn", workplace / clip)
    asked = []

    def load_network(model: str, *, detector: str | None, device: str) -> LoadedModel:
        asked.append(model)
        return LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))

    monkeypatch.setattr("vis_cli.engine.segmenter.load_network", load_network)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert asked == ["lite"]
    assert printed.getvalue().startswith("[(7, 0.8")
    assert printed.getvalue().count("array(") == 2  # the two objects, with their masks in the first frame


def test_the_files_that_it_links_to_are_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_make_targets_that_it_names_are_there() -> None:
    targets = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets == ["demo", "test"]
    assert set(targets) <= set(rules)
