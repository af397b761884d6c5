"""Cases of results, splits, submissions, zips and DAVIS folders."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.robustness.archives import bomb, mutate_zip
from tests.robustness.case import SEEDS, Workshop
from tests.robustness.octets import mutate_bytes
from tests.robustness.paths import disturb_folder, swap_type
from tests.robustness.pictures import mutate_image
from tests.robustness.trees import HOSTILE_NAMES, mutate_json

SWAPPED = 0.08
SPLIT, DAVIS = f"{SEEDS}/split.json", f"{SEEDS}/davis"
NETWORK = ("--model", f"{SEEDS}/model", "--device", "cpu")
ONE_PROCESS = ("--workers", "1")


def result(shop: Workshop) -> list[str]:
    """Damage NAME.json; draw it, export it, score it, or segment the video again."""
    if shop.often(0.2):
        path, source = shop.take("of_video/clip.json", "results/clip.json"), shop.take("videos/clip.mp4")
    else:
        path, source = shop.take("results/clip.json", "results/clip.json"), shop.take("davis/JPEGImages/480p/clip")
    _damage_json(shop, path)
    target = shop.rng.choice((path, path.parent))
    choice = shop.rng.randrange(8)
    if choice == 0:
        return [
            "render",
            shop.name(path),
            *(["--video", shop.name(source)] if shop.often(0.5) else []),
            *(["--min-score", "0"] if shop.often(0.5) else []),
            "-o",
            "out.mp4",
        ]
    if choice == 1:
        rerun = ["segment", shop.name(source), "-o", "in/results", "--model", f"{SEEDS}/model", "--device", "cpu"]
        return [*rerun, "--no-render"]
    if choice == 2:
        return ["eval", shop.name(target), "--annotations", SPLIT, *ONE_PROCESS]
    if choice == 3:
        return ["eval", shop.name(path.parent), "--davis", DAVIS, "--sequences", "clip", *ONE_PROCESS]
    return _export(shop, target, SPLIT)


def split(shop: Workshop) -> list[str]:
    """Damage the JSON of a split; export for it, score or check against it."""
    path = shop.take("split.json")
    _damage_json(shop, path)
    choice = shop.rng.randrange(4)
    if shop.often(0.05):
        frames = ["--frames", f"{DAVIS}/JPEGImages/480p", "--num-key-frames", "1", "-o", "out"]
        return ["eval", "--segment", *NETWORK, "--annotations", shop.name(path), *frames, *ONE_PROCESS]
    if choice == 0:
        outputs = ["--json", "out.json", *(["--plots", "out-plots"] if shop.often(0.3) else [])]
        if shop.often(0.3):
            return ["eval", f"{SEEDS}/results", "--annotations", shop.name(path), *ONE_PROCESS, *outputs]
        return ["eval", f"{SEEDS}/results", "--annotations", shop.name(path), *ONE_PROCESS]
    if choice == 1:
        return ["export-json", "--check", f"{SEEDS}/submissions/ytvis.zip", "--annotations", shop.name(path)]
    if choice == 2:
        return ["export-json", "--check", f"{SEEDS}/submissions/davis.zip", *_split_of_davis(shop, path)]
    return _export(shop, Path(f"{SEEDS}/results"), shop.name(path))


def submission(shop: Workshop) -> list[str]:
    """Damage results.json; check it or score it."""
    path = shop.take("submissions/ytvis/results.json")
    _damage_json(shop, path)
    return _check_or_score(shop, path)


def archive(shop: Workshop) -> list[str]:
    """Damage a submission's zip, or a member of it."""
    if shop.often(0.5):
        path = shop.take("submissions/ytvis.zip")
        if shop.often(0.1):
            path.write_bytes(bomb("results.json"))
        else:
            shop.change(path, lambda rng, data: mutate_zip(rng, data, lambda rng, name, json: mutate_json(rng, json)))
        return _check_or_score(shop, path)
    path = shop.take("submissions/davis.zip")
    shop.change(path, lambda rng, data: mutate_zip(rng, data, mutate_image))
    return ["export-json", "--check", shop.name(path), "--format", "davis", "--annotations", DAVIS]


def davis(shop: Workshop) -> list[str]:
    """Damage a DAVIS folder or predictions for it: its PNGs, its JPEGs, its names."""
    if shop.often(0.5):
        found, root = shop.take("submissions/davis", "found"), DAVIS
        _disturb_masks(shop, found)
        choice = shop.rng.randrange(3)
        if choice == 0:
            return ["export-json", "--check", shop.name(found), "--format", "davis", "--annotations", DAVIS]
    else:
        folder = shop.take("davis")
        _disturb_masks(shop, folder)
        root, found, choice = shop.name(folder), None, shop.rng.randrange(5)
        if choice == 0:
            return _export(shop, Path(f"{SEEDS}/results"), root)
        if choice == 1:
            return ["eval", "--segment", *NETWORK, "--davis", root, "--task", "semi-supervised", *ONE_PROCESS]
    predictions = f"{SEEDS}/submissions/davis" if found is None else shop.name(found)
    task = shop.rng.choice(("unsupervised", "semi-supervised"))
    return ["eval", predictions, "--davis", root, "--task", task, *ONE_PROCESS]


def davis_list(shop: Workshop) -> list[str]:
    """Damage the list of a DAVIS split."""
    folder = shop.take("davis")
    path = folder / "ImageSets/2017/val.txt"
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
    else:
        shop.change(path, _mutate_list)
    choice = shop.rng.randrange(3)
    if choice == 0:
        return ["eval", f"{SEEDS}/submissions/davis", "--davis", shop.name(folder), *ONE_PROCESS]
    if choice == 1:
        found = f"{SEEDS}/submissions/davis.zip"
        return ["export-json", "--check", found, "--format", "davis", "--annotations", shop.name(path)]
    return _export(shop, Path(f"{SEEDS}/results"), shop.name(path))


def _mutate_list(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    lines = data.decode().splitlines()
    name = rng.choice((*HOSTILE_NAMES, "clip", "clip ", "CLIP", "/JPEGImages/480p/clip/00000.jpg x", "# clip"))
    lines.insert(rng.randrange(len(lines) + 1), name)
    return rng.choice(("\n", "\r\n", "\r", "\n\n")).join(lines).encode("utf-8", "surrogatepass")


def _disturb_masks(shop: Workshop, folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    if shop.often(0.6):
        path = shop.rng.choice(files)
        shop.change(path, lambda rng, data: mutate_image(rng, path.name, data))
    else:
        disturb_folder(shop.rng, shop.rng.choice([folder, *{path.parent for path in files[:1]}]))


def _check_or_score(shop: Workshop, path: Path) -> list[str]:
    if shop.often(0.5):
        return ["eval", shop.name(path), "--annotations", SPLIT, *ONE_PROCESS]
    return ["export-json", "--check", shop.name(path), "--annotations", SPLIT]


def _damage_json(shop: Workshop, path: Path) -> None:
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
    else:
        shop.change(path, mutate_json)


def _split_of_davis(shop: Workshop, path: Path) -> list[str]:
    return ["--format", "davis", "--annotations", shop.name(path)]


def _export(shop: Workshop, results: Path, split: str) -> list[str]:
    name = str(results) if str(results).startswith(SEEDS) else shop.name(results)
    formats = ("davis", "mots") if not split.endswith(".json") else ("youtube-vis", "davis", "mots", "coco-video")
    chosen = shop.rng.choice(formats)
    outs = {"youtube-vis": ("out.zip",), "coco-video": ("out.json",)}.get(chosen, ("out.zip", "out"))
    given = ["--split", split] if chosen == "youtube-vis" or shop.often(0.8) else []
    command = ["export", name, "--to"] if chosen in ("mots", "coco-video") else ["export-json", name, "--format"]
    return [*command, chosen, *given, "-o", shop.rng.choice(outs)]
