"""`vis` itself: help without torch, every command and option documented, the version."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import vis_cli
from tests.commands.conftest import RunVis, run_vis  # noqa: F401 (a fixture)
from tests.zoo.detectors.onnx_factory import write_onnx, yolox_outputs
from vis_cli.app import app, make_app
from vis_cli.commands.models import models_app
from vis_cli.setting_fields import settings_of
from vis_cli.settings import RunSettings, SegmentSettings

COMMANDS = [
    *("segment", "batch", "render", "report", "export", "import", "export-json", "eval", "train", "settings"),
    *("report-system", "models"),
]
PAGES = [*COMMANDS, "models info", "models import"]


def parameters(command: str) -> list[typing.Any]:
    """List the arguments and options of a command, or of one in a group, as Typer has made them."""
    found: typing.Any = typer.main.get_command(app)
    for word in command.split():
        found = found.commands[word]
    return [parameter for parameter in found.params if parameter.name != "help"]


def test_help_and_models_import_no_torch(tmp_path: Path) -> None:
    """All in one new process: what one command imports stays, so the first that imports too much is reported."""
    onnx = write_onnx(tmp_path / "nano.onnx", {"output": yolox_outputs()})
    models = ["lite", "coco-r50", "coco-r50-v2", "torchvision:fcos_resnet50_fpn"]
    expected = {f"{page} --help".strip(): "Usage: " for page in ["", *PAGES]}
    expected |= dict.fromkeys(["models", *(f"models info {name}" for name in models)], "parameters")
    expected |= {f"models info {onnx}": "yolox-raw"}
    code = (
        "import json, sys; from typer.testing import CliRunner; from vis_cli.app import app\n"
        "for command in sys.argv[1:]:\n"
        "    result = CliRunner().invoke(app, command.split())\n"
        "    heavy = {'torch', 'torchvision', 'timm', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "    print(json.dumps([result.exit_code, result.stdout, result.stderr, sorted(heavy)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *expected], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(expected)
    for line, (command, text) in zip(lines, expected.items(), strict=True):
        exit_code, out, err, heavy = json.loads(line)
        assert (exit_code, err, heavy) == (0, "", []), command
        assert text in out, command


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("--version", {"numpy"}),
        ("--help", {"numpy"}),
        ("segment --help", {"numpy", "vis_cli.commands.render"}),
        ("settings", {"numpy", "vis_cli.commands.segment"}),
        ("models", {"av", "cv2", "vis_cli.commands.segment"}),
        ("report-system --help", {"av", "cv2", "vis_cli.commands.segment"}),
    ],
)
def test_a_command_imports_only_its_own_modules(command: str, unused: set[str]) -> None:
    code = (
        "import sys; from vis_cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *command.split()], capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0"
    assert done.stdout
    assert not {*modules} & {*unused, "torch", "torchvision", "timm", "scipy", "matplotlib"}


def test_the_list_of_commands_needs_no_command(run_vis: RunVis) -> None:  # noqa: F811
    """The summaries in `COMMANDS` are the first lines of the help pages."""
    without = CliRunner().invoke(make_app("no command"), ["--help"])
    assert without.exit_code == 0
    assert without.stdout.split() == run_vis("--help").out.split()


def test_the_commands_and_their_order(run_vis: RunVis) -> None:  # noqa: F811
    lines = run_vis("--help").out.partition("Commands")[2].splitlines()
    assert [line.split()[1] for line in lines if line.startswith("│")] == COMMANDS


@pytest.mark.parametrize("command", PAGES)
def test_every_command_and_option_is_explained(command: str, run_vis: RunVis) -> None:  # noqa: F811
    page = run_vis(*command.split(), "--help-all" if command in ("segment", "batch", "eval") else "--help").out
    assert "…" not in page
    for parameter in parameters(command):
        assert parameter.help, parameter.name
        assert parameter.hidden or parameter.help.partition(" [dim]")[0].split()[-1] in page, parameter.name
    assert "Examples" in page
    assert f"vis {command} " in page.partition("Examples")[2]


def test_no_option_is_cut_in_a_terminal_of_80_columns(run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "80")
    for command in PAGES:
        assert "…" not in run_vis(*command.split(), "--help").out, command


def test_examples_use_commands_and_options_that_exist() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    commands = (*app.registered_commands, *models_app.registered_commands, models_app.registered_callback)
    pages = [readme, *(command.epilog or "" for command in commands)]
    lines = [line.strip() for page in pages for line in page.splitlines() if line.strip().startswith("vis ")]
    assert len(lines) > 10
    for line in lines:
        _, command, *words = shlex.split(line, comments=True)
        command = next((page for page in PAGES if page.split() == [command, *words[:1]]), command)
        known = {option for parameter in parameters(command) for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known, line


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("vis seg", ["segment"]),
        ("vis segment clip.mp4 --prec", ["--precision"]),
        ("vis segment clip.mp4 --preset ytv", ["ytvis2019", "ytvis2021"]),
        ("vis eval --preset da", ["davis-uvos"]),
        ("vis segment clip.mp4 --set mask_t", ["mask_threshold="]),
        ("vis segment cl", []),  # so that the shell completes file names
    ],
)
def test_the_shell_completes(typed: str, expected: list[str]) -> None:
    words = {"_VIS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    result = CliRunner().invoke(app, prog_name="vis", env=words)
    assert (result.exit_code, result.stdout.split()) == (0, expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_shown_and_installed(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = CliRunner().invoke(app, ["--show-completion"], prog_name="vis")
    assert shown.exit_code == 0
    assert "_VIS_COMPLETE=" in shown.stdout
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(app, ["--install-completion"], prog_name="vis").exit_code == 0
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_VIS_COMPLETE" in text for text in written)


def test_version(run_vis: RunVis) -> None:  # noqa: F811
    outcome = run_vis("--version")
    assert (outcome.code, outcome.out) == (0, f"vis {vis_cli.__version__}\n")


def test_the_nearest_command_is_suggested(run_vis: RunVis) -> None:  # noqa: F811
    outcome = run_vis("segmnt")
    assert outcome.code == 2
    assert "'segment'" in outcome.err


def test_nothing_is_named_after_a_later_command() -> None:
    named = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    assert named | {group.name for group in app.registered_groups} == set(COMMANDS)


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "vis_cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"vis {vis_cli.__version__}\n"


def shown_options(page: str) -> list[str]:
    """Return the options of a help page, one for each row of its panels."""
    return re.findall(r"^│ \*? *(--[\w-]+)", page, re.MULTILINE)


def test_segment_has_few_options_and_lists_the_others_on_request(run_vis: RunVis) -> None:  # noqa: F811
    page, whole = (run_vis("segment", option).out for option in ("--help", "--help-all"))
    few = ["--out", "--model", "--preset", "--num-key-frames", "--short-side", "--score-threshold", "--set", "--masks"]
    few += ["--device", "--no-render", "--overwrite", "--json", "--quiet", "--help"]
    assert shown_options(page) == few
    assert len(few) < 15  # with INPUT, at most 15
    rare = ["--settings", "--detector", "--propagator", "--masks-from", "--names", "--stream", "--precision", "--debug"]
    rare += ["--min-score", "--detections", "--detections-from", "--detection-names", "--only"]
    rare += ["--start", "--end", "--every", "--live"]
    rare += ["--box", "--point", "--also-detect", "--masks-at", "--backend"]
    assert {*few, *rare, "--feature-budget-mb", "--frame-budget-mb"} == set(shown_options(whole))
    assert all(f"─ {panel} ─" in whole for panel in ("Input", "Prompts", "Detectors", "Overlay", "Run"))
    assert "vis segment --help-all" in " ".join(page.split())


@pytest.mark.parametrize("command", ["segment", "batch", "eval"])
def test_the_short_help_refers_to_the_long_one_for_each_unlisted_option(command: str, run_vis: RunVis) -> None:  # noqa: F811
    page, whole, again = (run_vis(command, option).out for option in ("--help", "--help-all", "--help"))
    assert page == again
    listed, known = set(shown_options(page)), set(shown_options(whole))
    examples, found, described = page.partition("Examples")[2].partition(f"vis {command} --help-all` describes ")
    unlisted = {word for word in re.findall(r"--[a-z-]+", examples) if word in known - listed}
    assert set(re.findall(r"--[a-z-]+", described)) == unlisted
    assert bool(found) == bool(unlisted) == (command == "segment")
    assert "--help-all` describes" not in whole


def test_help_writes_no_option_of_the_settings_twice() -> None:
    options = {option for parameter in parameters("segment") for option in parameter.opts}
    with_option = [name for name in settings_of(SegmentSettings) if f"--{name.replace('_', '-')}" in options]
    assert with_option == ["short_side", "num_key_frames", "score_threshold"]
    assert all(f"--{name.replace('_', '-')}" in options for name in settings_of(RunSettings))


def test_no_function_of_a_command_is_longer_than_60_lines() -> None:
    for path in Path(vis_cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"
