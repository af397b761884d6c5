"""Cases of valid inputs with a hostile option, or with an obstacle where the output belongs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer.main

from tests.robustness.case import SEEDS, Workshop
from tests.robustness.paths import SWAPS
from tests.robustness.trees import HOSTILE_NAMES, NUMBERS
from vis_cli.app import app

NETWORK = ("--model", f"{SEEDS}/model", "--device", "cpu", "--num-key-frames", "1")
SPLIT, RESULTS = f"{SEEDS}/split.json", f"{SEEDS}/results"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("segment", f"{SEEDS}/videos/clip.mp4", "-o", "out", *NETWORK),
    ("segment", f"{SEEDS}/davis/JPEGImages/480p/clip", "-o", "out", *NETWORK, "--no-render"),
    ("render", f"{SEEDS}/of_video/clip.json", "-o", "out.mp4"),
    ("export-json", RESULTS, "--split", SPLIT, "-o", "out.zip"),
    ("export", RESULTS, "--to", "coco-video", "-o", "out.json"),
    ("export", RESULTS, "--to", "mots", "-o", "out"),
    ("export", RESULTS, "--to", "csv", "-o", "out.csv"),
    ("export", RESULTS, "--to", "cvat", "-o", "out.zip"),
    ("export-json", RESULTS, "--format", "davis", "-o", "out"),
    ("export-json", "--check", f"{SEEDS}/submissions/ytvis.zip", "--annotations", SPLIT),
    ("eval", RESULTS, "--annotations", SPLIT, "--workers", "1"),
    ("eval", f"{SEEDS}/submissions/davis", "--davis", f"{SEEDS}/davis", "--workers", "1"),
    ("models", "info", f"{SEEDS}/model"),
    ("models", "import", f"{SEEDS}/released.pth", "--as", "x101", "--dataset", "ytvis2019", "-o", "out"),
    ("train", f"{SEEDS}/train/run.toml", "-o", "out", "--check"),
)
# Where results go is the subject of `output`. The others mean much work, or a traceback, if they are obeyed.
LEFT_ALONE = {"--out", "-o", "--json", "--plots", "--overwrite", "--debug", "--help", "-h", "--device", "--workers"} | {
    *("--short-side", "--frame-budget-mb", "--feature-budget-mb", "--no-render")
}
VALUES = tuple(
    text
    for text in (*HOSTILE_NAMES, *map(str, NUMBERS), "\udcff", "1,2,,x", "1;2", "0.5", "nan")
    if not {"\0", "\ud800"} & {*text}  # no shell can pass these
)


def option(shop: Workshop) -> list[str]:
    """Give a valid command a hostile value of an option, or of its argument."""
    argv = list(shop.rng.choice(COMMANDS))
    command = typer.main.get_command(app)
    for word in argv[: 2 if argv[0] == "models" else 1]:
        command = command.commands[word]  # type: ignore[attr-defined]
    options = [p for p in command.params if p.opts and p.opts[0].startswith("-") and not LEFT_ALONE & {*p.opts}]
    for chosen in shop.rng.sample(options, min(len(options), shop.rng.choice((1, 1, 2)))):
        argv.append(shop.rng.choice(chosen.opts))
        if not getattr(chosen, "is_flag", False):
            argv.append(shop.rng.choice(VALUES))
    if shop.often(0.15):
        argv[2 if argv[0] == "models" else 1] = shop.rng.choice(VALUES)
    return argv


def output(shop: Workshop) -> list[str]:
    """Put an obstacle where the output of a valid command belongs."""
    argv = list(shop.rng.choice([command for command in COMMANDS if "-o" in command]))
    kept = shop.input / "kept.txt"
    kept.write_text("must stay")
    place = shop.input.parent / argv[argv.index("-o") + 1]
    choice = shop.rng.randrange(5)
    if choice == 0:
        _block(shop, place, kept)
    elif choice == 1:
        name = shop.rng.choice((f"{place.name}/" + "d/" * 300, place.name + "x" * 300, "in/kept.txt/x", "/dev/null/x"))
        argv[argv.index("-o") + 1] = name + place.suffix
    elif place.suffix:
        _block(shop, place.with_name(f".{place.stem}.tmp-{shop.rng.choice(('123', 'abcd'))}{place.suffix}"), kept)
    else:
        place.mkdir()
        names = ("clip.json", "clip.mp4", ".clip.tmp-123.json", ".clip.tmp-abcd.mp4", ".lock", "check.png", "x", "clip")
        _block(shop, place / shop.rng.choice(names), kept)
    overwrites = argv[0] not in ("train",) and "--check" not in argv and shop.often(0.5)
    return [*argv, *(["--overwrite"] if overwrites else [])]


def _block(shop: Workshop, place: Path, kept: Path) -> None:
    """Make a file of another type, or a link to an input."""
    kinds: Sequence[str] = [kind for kind in sorted(SWAPS) if kind != "link to its folder"]
    kind = shop.rng.choice([*kinds, "link to an input", "link to an input"])
    if kind == "link to an input":
        place.symlink_to(kept)
    else:
        SWAPS[kind](place)
