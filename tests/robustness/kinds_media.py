"""Cases of videos, images, frame folders, given masks, batches and file names."""

from __future__ import annotations

import json
from pathlib import Path

from tests.robustness.case import SEEDS, Workshop
from tests.robustness.containers import mutate_video
from tests.robustness.paths import disturb_folder, rename, swap_type
from tests.robustness.pictures import mutate_image
from tests.robustness.seeds import SIZE, VIDEOS, labels
from tests.robustness.trees import mutate_json
from vis_cli.records.rle import encode_mask

NETWORK = ("--model", f"{SEEDS}/model", "--device", "cpu", "--num-key-frames", "1", "--short-side", "32")
SWAPPED, RENAMED = 0.1, 0.05  # shares of the cases
TEXTS = (  # files that name other files or addresses, or are no media at all
    b"ffconcat version 1.0\nfile secret.mp4\n",
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    b'<?xml version="1.0"?>\n<MPD type="static"><Period><BaseURL>secret.mp4</BaseURL></Period></MPD>\n',
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="secret.mp4"/></svg>\n',
    b"WEBVTT\n\n00:00.000 --> 00:01.000\nno video\n",
    b"[playlist]\nFile1=secret.mp4\nNumberOfEntries=1\n",
    b"P6\n1000000 1000000\n255\n",
    b"%!PS-Adobe-3.0\n",
    b"#!/bin/sh\necho x\n",
)
PAIRS = ("1=dog", "1=dog,2=rider", "1=dog,1=cat", "9=dog", "1=", "=dog", "dog", "", "1=\x1b[0m", "1=\u202edog", "1=d,")
EXPORTS = (  # command and options of the exports of a renamed result
    ("export", "--to", "coco-video", "-o", "out.json"),
    ("export", "--to", "mots", "-o", "out.zip"),
    ("export-json", "--format", "davis", "-o", "out.zip"),
)
FRAMES = "davis/JPEGImages/480p/clip"


def video(shop: Workshop) -> list[str]:
    """Damage a video file; segment it, or draw a result over it."""
    path = _damaged_video(shop)
    if shop.often(0.15) and path.is_file():
        return ["render", _result_of(shop, path), "--video", shop.name(path), "-o", "out.mp4"]
    return _segment(shop, path)


def image(shop: Workshop) -> list[str]:
    """Damage an image; it is the input itself or a frame among others."""
    original = shop.rng.choice(sorted((shop.seeds / "images").iterdir()))
    if shop.often(0.4):
        path = shop.take(f"images/{original.name}")
        _damage(shop, path)
        return _segment(shop, path)
    suffix = original.suffix
    paths = [shop.take(f"images/{original.name}", f"frames/{number:05d}{suffix}") for number in range(3)]
    _damage(shop, shop.rng.choice(paths))
    return _segment(shop, paths[0].parent)


def frame_folder(shop: Workshop) -> list[str]:
    """Disturb a folder of frames, as downloads, tools and other systems do."""
    folder = shop.take(FRAMES, "frames")
    for _ in range(shop.rng.choice((1, 1, 2, 3))):
        disturb_folder(shop.rng, folder)
    typed = shop.rng.choice((folder, folder, folder.parent, folder / "*.jpg", folder / "*"))
    return _segment(shop, typed, as_json=True)


def masks(shop: Workshop) -> list[str]:
    """Damage a given mask, or the folder of them."""
    source = shop.rng.choice(("videos/clip.mp4", FRAMES))
    shop.take(source, Path(source).name)
    if shop.often(0.4):
        given = shop.take("davis/Annotations_unsupervised/480p/clip", "masks")
        disturb_folder(shop.rng, given)
    else:
        original = shop.rng.choice(sorted((shop.seeds / "masks").iterdir()))
        given = shop.take(f"masks/{original.name}")
        _damage(shop, given)
        if shop.often(0.2):
            folder = shop.input / "folder"
            folder.mkdir()
            given.rename(folder / shop.rng.choice(("00000.png", "3.png", "00099.png", "x.png", "-1.png")))
            given = folder
    return [*_segment(shop, shop.input / Path(source).name), "--masks", shop.name(given), *_names(shop)]


def _names(shop: Workshop) -> list[str]:
    """Name the given objects in some cases: by pairs, or by a damaged JSON file."""
    if shop.often(0.7):
        return []
    if shop.often(0.5):
        return ["--names", shop.rng.choice(PAIRS)]
    path = shop.input / "names.json"
    path.write_bytes(mutate_json(shop.rng, b'{"1": "dog", "2": "rider, \\u2603"}'))
    return ["--names", shop.name(path)]


def batch(shop: Workshop) -> list[str]:
    """Damage one or two of three inputs."""
    paths = [shop.take("videos/clip.mp4", "good.mp4"), _damaged_video(shop)]
    folder = shop.take(FRAMES, "frames")
    if shop.often(0.5):
        disturb_folder(shop.rng, folder)
    typed = [shop.input] if shop.often(0.3) else [*paths, folder]
    return [*_segment(shop, *typed, as_json=True), *(["--no-render"] if shop.often(0.5) else [])]


def file_name(shop: Workshop) -> list[str]:
    """Give a valid input a hostile name."""
    choice = shop.rng.randrange(5)
    if choice == 0:
        return _segment(shop, rename(shop.rng, shop.take("videos/clip.mp4")))
    if choice == 1:
        return _segment(shop, rename(shop.rng, shop.take(FRAMES, "frames")))
    if choice == 2:
        return _segment(shop, rename(shop.rng, shop.take(f"{FRAMES}/00000.jpg", "frames/00000.jpg")).parent)
    if choice == 3:
        path = rename(shop.rng, shop.take("results/clip.json"))
        command, *options = shop.rng.choice(EXPORTS)
        return [command, f"./{shop.name(path)}", *options]
    path = rename(shop.rng, shop.take("model", "model"))
    return ["models", "info", f"./{shop.name(path)}"]


def _damaged_video(shop: Workshop) -> Path:
    name = shop.rng.choice(VIDEOS)["name"]
    path = shop.take(f"videos/{name}")
    if shop.often(0.08):
        shop.take("videos/clip.mp4", "secret.mp4")
        path = path.rename(path.with_suffix(shop.rng.choice((path.suffix, ".jpg", ".png", ".txt", ".m3u8"))))
        path.write_bytes(shop.rng.choice(TEXTS))
        return path
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
        return path
    shop.change(path, lambda rng, data: mutate_video(rng, name, data))
    return rename(shop.rng, path) if shop.often(RENAMED) else path


def _damage(shop: Workshop, path: Path) -> None:
    if shop.often(SWAPPED):
        swap_type(shop.rng, path)
    else:
        shop.change(path, lambda rng, data: mutate_image(rng, path.name, data))


def _segment(shop: Workshop, *paths: Path, as_json: bool = False) -> list[str]:
    options = ["--no-render"] if shop.often(0.5) else []
    options += ["--min-score", shop.rng.choice(("0", "0.5", "1"))] if shop.often(0.3) else []
    return ["segment", *map(shop.name, paths), "-o", "out", *NETWORK, *options, *(["--json"] if as_json else [])]


def _result_of(shop: Workshop, path: Path) -> str:
    """Write a result of the first schema, which names its video without describing the content."""
    size = {"width": SIZE[0], "height": SIZE[1]}
    instance = {"id": 1, "category_id": 1, "score": 0.5, "category_scores": {"1": 0.5}, "key_frame": 0}
    instance["segmentations"] = [encode_mask(labels(number) == 1) for number in range(4)]
    data = {
        "schema": 1,
        "video": {"name": path.stem, "path": shop.name(path), **size, "fps": 25.0, "num_frames": 4},
        "model": {"name": "tiny", "sha256": "ab" * 32},
        "config": {},
        "categories": [{"id": 1, "name": "cat"}],
        "instances": [instance],
    }
    result = shop.input / "result.json"
    result.write_text(json.dumps(data))
    return shop.name(result)
