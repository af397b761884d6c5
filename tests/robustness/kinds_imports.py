"""Cases of annotations for `vis import`, and of damaged results for `vis export`."""

from __future__ import annotations

import re
from random import Random

from tests.robustness.case import SEEDS, Workshop
from tests.robustness.octets import mutate_bytes
from tests.robustness.paths import swap_type
from tests.robustness.trees import HOSTILE_NAMES, mutate_json

SWAPPED = 0.08
FILES = {"tracks.xml": "cvat", "masks.xml": "cvat", "clip.txt": "mots", "data.json": "coco-video"}
VALUES = ("", "-1", "0", "1", "63", "1e9", "nan", "inf", "999999999999", "9" * 30, "0,0", "1;2", "٣", *HOSTILE_NAMES)
ELEMENTS = ("<image/>", "<track/>", '<track label="a"><polygon/></track>', "<x>" * 2000, "</track>", "<![CDATA[", "&x;")
OUTPUTS = (
    ("csv", "out.csv"),
    ("cvat", "out.xml"),
    ("cvat", "out"),
    ("label-studio", "out.json"),
    ("labelme", "out"),
    ("datumaro", "out.zip"),
    ("coco", "out.json"),
    ("yolo-seg", "out.zip"),
    ("mot", "out.txt"),
)


def annotations(shop: Workshop) -> list[str]:
    """Damage annotations of another tool, and import them."""
    name = shop.rng.choice(sorted(FILES))
    path = shop.take(f"imports/{name}")
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
    elif name.endswith(".json"):
        shop.change(path, mutate_json)
    else:
        shop.change(path, _mutate_xml if name.endswith(".xml") else _mutate_lines)
    video = f"{SEEDS}/davis/JPEGImages/480p/{shop.rng.choice(('clip', 'clip', 'clip', 'other'))}"
    return ["import", shop.name(path), "--from", FILES[name], "--video", video, "-o", "out.json"]


def export(shop: Workshop) -> list[str]:
    """Damage NAME.json, and export it."""
    path = shop.take("results/clip.json", "results/clip.json")
    shop.change(path, mutate_json)
    to, out = shop.rng.choice(OUTPUTS)
    options = [*(["--every", "2"] if shop.often(0.3) else []), *(["--only", "cat,1"] if shop.often(0.3) else [])]
    images = ["--no-images"] if to in ("labelme", "yolo-seg", "datumaro") else []
    return ["export", shop.name(path), "--to", to, "-o", out, *options, *images]


def _mutate_xml(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    text = data.decode()
    for _ in range(rng.choice((1, 1, 2, 3))):
        values = list(re.finditer(r'"[^"]*"|(?<=>)\d+(?=<)', text))
        found = rng.choice(values)
        value = rng.choice(VALUES).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        quoted = f'"{value}"' if found[0].startswith('"') else value
        text = text[: found.start()] + quoted + text[found.end() :]
    if rng.random() < 0.3:
        place = rng.choice([match.end() for match in re.finditer(">", text)])
        text = text[:place] + rng.choice(ELEMENTS) + text[place:]
    return text.encode("utf-8", "surrogatepass")


def _mutate_lines(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    lines = [line.split(" ") for line in data.decode().splitlines()]
    line = rng.choice(lines)
    choice = rng.randrange(3)
    if choice == 0:
        line[rng.randrange(len(line))] = rng.choice(VALUES)
    elif choice == 1:
        lines.append(line)
    else:
        line.pop(rng.randrange(len(line)))
    return "\n".join(" ".join(words) for words in lines).encode("utf-8", "surrogatepass")
