"""The documentation and the comments cite what exists: files, links, functions, settings, sections of the paper."""

from __future__ import annotations

import ast
import dataclasses
import re
import runpy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import typer
import yaml

import vis_cli
from vis_cli.app import make_app
from vis_cli.settings import PRESETS, SegmentSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
OTHER_PAGES = [
    ROOT / name
    for name in (
        *(
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "SECURITY.md",
            "benchmarks/README.md",
            "sample_videos/README.md",
        ),
        *("models/lite/CARD.md", "models/recipes/README.md"),
    )
]
FACTS = ROOT / "docs/explanation/authors-implementation.md"
NUM_FACTS = 52

FOLDERS = ("vis_cli", "tests", "docs", "benchmarks", "models", "sample_videos")
SUFFIXES = {".md", ".py", ".toml", ".txt", ".sh", ".yml", ".yaml", ".cfg"}
PRIVATE_NAMES = re.compile(r"\b(?:reference|protocols|design|paper|style|words)\.md\b|\.\./shared/")

PAPER = {  # what Propose-Reduce (ICCV 2021) has
    "Sec.": ["1", "2", "3", "3.1", "3.1.1", "3.1.2", "3.1.3", "3.2", "4", "4.1", "4.2", "4.3", "4.4", "5"],
    "Eq.": ["1", "2", "3"],
    "Alg.": ["1"],
    "Fig.": ["1", "2", "3", "4", "5", "6", "7"],
    "Tab.": ["1", "2", "3", "4", "5"],
}
# Names on the pages that are neither in this package nor options of it: of torchvision, Python and the authors' code.
FOREIGN = {
    "api.md": {"vis_cli"},
    "architecture.md": {
        *("conv2d", "reparameterize_model", "scaled_dot_product_attention"),
        *("F.interpolate", "torchvision.ops.masks_to_boxes"),
    },
    "authors-implementation.md": {
        *("FeaturePyramidNetwork", "LastLevelMaxPool", "RPNHead", "BoxCoder", "batched_nms"),
        *("None", "--use-cate-reduce", "frozen_stages", "mem_step", "meta", "state_dict", "optimizer"),
        *("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"),
    },
    "batch.md": {
        *("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"),
        "driver-I-of-N.json",
    },
    "cluster.md": {"--build-arg", "--signal", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_COUNT", "emptyDir"},
    "comparison.md": {"init_state"},  # of SAM 2
    "detections.md": {"clip.csv", "clip.json", "clip.mp4", "clip.txt", "clip_12", "save_txt"},
    "gpu.md": {"None", "nvidia-smi"},
    "install.md": {"fcntl", "SIGHUP", "--build-arg", "--gpus"},
    "live.md": {"camera0", "192.168.1.20_554_cam"},
    "offline.md": {"packages"},
    "onnx.md": {"--decode_in_inference", "detector.onnx", "detector.toml"},
    "python.md": {
        *("confidence", "pandas", "supervision.Detections", "tracker_id", "vis_cli"),
        *("instance.areas", "instance.boxes", "instance.confident", "result.instances"),  # variables of examples
    },
    "ray.md": {"--generate", "RAY_ADDRESS", "concurrency", "map_batches", "ray.data.from_items", "read_videos"},
    "tables.md": {"tracks.csv", "tracks_instances.csv"},
    "finetune.md": {"astronaut", "astronauts"},
    "troubleshooting.md": {"TMPDIR", "externally-managed-environment"},
    "train.md": {"--node-rank", "torchrun"},
    "training-data.md": {"frame_000012.PNG"},
}


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the text files of the repository."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    for path in files:
        if path.is_file() and (path.suffix in SUFFIXES or path.name == "Makefile"):
            yield path, path.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


@lru_cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page: explicit ones, and those that GitHub makes of its headings."""
    text = without_code(page.read_text(encoding="utf-8"))
    headings = (re.sub(r"[^\w\- ]", "", h).strip().lower() for h in re.findall(r"^#+ (.*)$", text, flags=re.M))
    return frozenset([*re.findall(r'<a id="([^"]+)">', text), *(heading.replace(" ", "-") for heading in headings)])


@lru_cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache
def definitions(path: Path) -> frozenset[str]:
    """Return what a Python file defines: functions, classes, methods as `Class.method`, fields and constants."""
    found: set[str] = set()

    def visit(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            names: list[str] = []
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                names = [child.name]
            elif isinstance(child, ast.AnnAssign | ast.Assign):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            found.update(names)
            found.update(f"{owner}.{name}" for name in names if owner)
            visit(child, child.name if isinstance(child, ast.ClassDef) else owner)

    visit(parse(path), "")
    return frozenset(found)


@lru_cache
def known_words() -> frozenset[str]:
    """Return the names that the package defines, and the strings in it: values of settings, models, options."""
    names: set[str] = set()
    for path in (ROOT / "vis_cli").rglob("*.py"):
        names |= definitions(path)
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return frozenset(names)


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_code(text))


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_no_file_cites_a_file_outside_of_the_repository() -> None:
    own = {path.name for path, _ in texts()}
    cited = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts()
        for match in PRIVATE_NAMES.finditer(text)
        if match[0] not in own and path != Path(__file__)
    ]
    assert cited == []


def test_the_facts_have_stable_numbers() -> None:
    found = re.findall(r'<a id="fact-(\d+)"></a>\n### (\d+)\. ', FACTS.read_text(encoding="utf-8"))
    assert found == [(str(n), str(n)) for n in range(1, NUM_FACTS + 1)]


def test_pages_that_the_code_cites_exist() -> None:
    for path, text in texts():
        for name, anchor in re.findall(r"(?<!/main/)\b(docs/[\w/.-]+\.md)(?:#([\w-]+))?", text):
            assert (ROOT / name).is_file(), f"{path}: {name}"
            assert not anchor or anchor in anchors(ROOT / name), f"{path}: {name}#{anchor}"


def test_numbers_of_the_paper_exist() -> None:
    for path, text in texts():
        for kind, number in re.findall(r"\b(Sec\.|Eq\.|Alg\.|Fig\.|Tab\.) (\d(?:[\d.]*\d)?)", text):
            assert number in PAPER[kind], f"{path}: {kind} {number}"


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=page_id)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_on_the_pages_exist(page: Path) -> None:
    spans = code_spans(page.read_text(encoding="utf-8"))
    paths = [span for span in spans if re.match(rf"(?:{'|'.join(FOLDERS)})/", span)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_functions_on_the_pages_are_in_the_file_that_is_named(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    name = r"`([\w.]+)`"
    phrases = re.findall(rf"((?:{name}(?:, | and |, and ))*{name}) (?:in |\()`(vis_cli/[\w/]+\.py)`", text)
    rows = re.findall(r"^\|.*\| `(vis_cli/[\w/]+\.py)` \| `([\w.]+)` \|$", text, flags=re.M)
    cited = [(path, item) for group, *_, path in phrases for item in re.findall(name, group)] + rows
    settings = definitions(ROOT / "vis_cli/settings.py") | definitions(ROOT / "vis_cli/training/config.py")
    for path, item in cited:
        assert item in definitions(ROOT / path) | settings, f"{item} in {path}"
    assert rows or page.name != "propose-reduce.md"


def names_in(span: str) -> list[str]:
    """Return the options of a command, or else an identifier or the name of a setting in `name = value`."""
    if options := re.findall(r"--[\w-]+", span):
        return list(options)
    match = re.fullmatch(r"([\w.-]+?)(?:\(\))?(?: = .*)?", span)
    return [match[1]] if match else []


def is_known(name: str) -> bool:
    """Tell whether the package defines a name; an option may be declared by its parameter only."""
    return name in known_words() or name.removeprefix("--").replace("-", "_") in known_words()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_names_on_the_pages_exist(page: Path) -> None:
    names = {name for span in code_spans(page.read_text(encoding="utf-8")) for name in names_in(span)}
    assert sorted(name for name in names - FOREIGN.get(page.name, set()) if not is_known(name)) == []


def test_the_figures_are_as_the_script_draws_them() -> None:
    script = ROOT / "docs/explanation/figures/draw.py"
    for name, draw in runpy.run_path(str(script))["FIGURES"].items():
        assert (script.parent / name).read_text(encoding="utf-8") == draw(), f"{name}: run draw.py again"


def test_each_image_is_on_a_page_and_in_the_list_of_commands() -> None:
    """CONTRIBUTING.md lists what makes each image."""
    folders = ("docs", "sample_videos", "benchmarks")
    images = [
        path.relative_to(ROOT)
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".jpg", ".png", ".svg", ".gif", ".webp") and path.parent.name != "assets"
    ]
    listed = re.findall(r"^\| `([^`]+)` \| `", OTHER_PAGES[1].read_text("utf-8").partition("### Images")[2], flags=re.M)
    assert sorted(map(str, images)) == sorted(listed)
    pages = [page for page in (*PAGES, *OTHER_PAGES) if page.suffix == ".md"]
    shown = {
        (page.parent / name).resolve()
        for page in pages
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    assert [str(image) for image in images if ROOT / image not in shown] == []


def differences() -> list[list[str]]:
    """Return the cells of the table of settings in propose-reduce.md."""
    text = (ROOT / "docs/explanation/propose-reduce.md").read_text(encoding="utf-8")
    table = text.partition("## Differences from the paper")[2]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def test_the_table_of_settings_lists_all_settings() -> None:
    names = {name for row in differences() for name in re.findall(r"`(\w+)`", row[1])}
    assert names == {field.name for field in dataclasses.fields(SegmentSettings)}, "add a row to propose-reduce.md"


@pytest.mark.parametrize(("column", "preset"), [(3, "default"), (4, "ytvis2019"), (5, "released-ytvis")])
def test_the_table_of_settings_has_the_values_of_the_presets(column: int, preset: str) -> None:
    """A cell begins with the value of the YouTube-VIS preset; one without the value describes it in words."""
    checked = 0
    for row in differences():
        (name, *more), cell = re.findall(r"`(\w+)`", row[1]), row[column]
        value = getattr(PRESETS[preset], name)
        if more or value is None or isinstance(value, bool) or cell in ("not used", "each frame"):
            continue
        found = re.search(r"`([\w-]+)`" if isinstance(value, str) else r"(\d[\d.]*)", cell)
        assert found is not None, f"{name}: {cell}"
        assert found[1] == value if isinstance(value, str) else float(found[1]) == value, f"{name}: {cell}"
        checked += 1
    assert checked >= 12


@pytest.mark.parametrize("name", ["settings", "commands"])
def test_the_generated_page_is_as_the_script_writes_it(name: str) -> None:
    folder = ROOT / "docs/reference"
    script = runpy.run_path(str(folder / f"write_{name}.py"))
    assert (folder / f"{name}.md").read_text(encoding="utf-8") == script["page"](), f"run write_{name}.py again"


def test_the_page_of_commands_has_each_option() -> None:
    """Also the options that only `--help-all` prints."""
    sections = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8").split("\n## vis ")[1:]
    text = {section.partition("\n")[0]: section for section in sections}
    checked = 0
    for name, command in typer.main.get_command(make_app()).commands.items():  # type: ignore[attr-defined]
        for option in (flag for item in command.params for flag in item.opts if flag.startswith("-")):
            assert f"`{option}" in text[name] or option in ("--help-all", "--help", "-h"), f"{name} {option}"
            checked += 1
    assert checked > 120


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == vis_cli.__version__
    assert citation["preferred-citation"]["title"] == "Video Instance Segmentation with a Propose-Reduce Paradigm"


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_an_issue_template_has_the_fields_that_a_git_server_requires(name: str) -> None:
    template = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= template.keys()
    for part in template["body"]:
        assert part["type"] in ("markdown", "textarea", "input")
        assert part["type"] == "markdown" or (part["id"] and part["attributes"]["label"])


def test_each_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r": ([\w/-]+\.md)$", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES)


def test_the_page_of_classes_has_each_public_name() -> None:
    text = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    for name, (module, original) in vis_cli._PUBLIC.items():
        assert f"::: vis_cli.{module}.{original}\n" in text or name == "PRESETS", name


def test_the_redaction_guide_detects_with_a_low_limit() -> None:
    text = (ROOT / "docs/how-to/redact.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    vis segment (.*)$", text, flags=re.MULTILINE)
    limits = [re.search(r"--set detection_score_threshold=(\S+)", command) for command in commands]
    assert len(limits) >= 4
    assert all(limit and float(limit[1]) < PRESETS["default"].detection_score_threshold for limit in limits)
