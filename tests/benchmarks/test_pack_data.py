"""Tests of the packed training data: equal clips after unpacking, few archives, and what is reported."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from tests.training.test_trainer import make_run
from vis_cli.records.rle import encode_mask
from vis_cli.training.annotations import read_annotated_images, read_boxes, read_training_image, read_video_clips
from vis_cli.training.config_file import read_train_config
from vis_cli.training.sources import open_data

PART_MB = 14 / 1024  # an archive without files has 10 KiB
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = {
    *("stills.json", "discs.webp", "boxes.json", "videos/train.json"),
    *(f"videos/JPEGImages/a/{frame:05d}.webp" for frame in range(3)),
}
TABLES = """
[[data]]
kind = "boxes"
annotations = "stills.json"
more_annotations = "boxes.json"
images = "."
[[data]]
kind = "video"
annotations = "videos/train.json"
images = "videos/JPEGImages"
detect = false
"""


@pytest.fixture(scope="module")
def pack_data() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("pack_data")
    sys.path.remove(str(BENCHMARKS))
    sys.modules.pop("pack_data", None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write an image with masks and boxes, a video of 3 frames, and the config run.toml."""
    folder = tmp_path / "data"
    frames = folder / "videos" / "JPEGImages" / "a"
    frames.mkdir(parents=True)
    make_run(folder, tables=TABLES)
    stills = json.loads((folder / "stills.json").read_text())
    boxes = [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30, 40], "score": 0.9}]
    (folder / "boxes.json").write_text(json.dumps(stills | {"annotations": boxes}))
    (folder / "unused.png").write_bytes(b"no image")
    mask = np.zeros((48, 64), bool)
    mask[10:30, 10:30] = True
    names = [f"a/{frame:05d}.jpg" for frame in range(3)]
    for frame, name in enumerate(names):
        image = np.random.default_rng(frame).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "videos" / "JPEGImages" / name), image)
    size = {"width": 64, "height": 48, "length": 3}
    entry = {"id": 1, "video_id": 1, "category_id": 7, "iscrowd": 0, "segmentations": [encode_mask(mask)] * 3}
    content = {"videos": [{"id": 1, "file_names": names, **size}], "annotations": [entry | size]}
    (folder / "videos" / "train.json").write_text(json.dumps(content | {"categories": [{"id": 7, "name": "cat"}]}))
    return folder


def run_main(pack_data: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["pack_data.py", *map(str, words)])
    pack_data.main()


@pytest.fixture
def pack(pack_data: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack the data in archives of at most PART_MB."""
    words = (data / "run.toml", "--data", data, "--out", tmp_path / "pack", "--part-mb", PART_MB)
    run_main(pack_data, monkeypatch, *map(str, words))
    return tmp_path / "pack"


def unpacked_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_same_config_reads_the_unpacked_data(
    pack_data: ModuleType, data: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run_main(pack_data, monkeypatch, "--unpack", pack, "--out", out)
    assert unpacked_files(out) == FILES
    before, after = (open_data(read_train_config(data / "run.toml", data_root=root)) for root in (data, out))
    assert list(after.num_items.values()) == list(before.num_items.values())
    (image,), (packed,) = (read_annotated_images(root / "stills.json", root) for root in (data, out))
    assert packed.objects == image.objects
    pixels, packed_pixels = (read_training_image(item.path, item.width, item.height) for item in (image, packed))
    assert np.abs(pixels.astype(int) - packed_pixels).mean() < 8  # a swap of red and blue gives 14
    (boxes,) = read_boxes(out / "stills.json", out, more=out / "boxes.json")
    assert len(boxes.objects) == 3
    videos = [read_video_clips(root / "videos" / "train.json", root / "videos" / "JPEGImages") for root in (data, out)]
    assert videos[0][0].objects == videos[1][0].objects


def test_archives_are_small_equal_and_relative(
    pack_data: ModuleType, data: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = sorted(pack.glob("*.tar"))
    assert len(archives) > 1
    assert all(path.stat().st_size <= PART_MB * 2**20 for path in archives)
    names = []
    for path in archives:
        with tarfile.open(path) as archive:
            names += archive.getnames()
    assert {name.removesuffix(".xz") for name in names} == FILES
    assert len(names) == len(FILES)
    text = (pack / "pack.json").read_text()
    assert str(tmp_path) not in text
    contents = [path.read_bytes() for path in archives]
    (pack / "data.999.tar").touch()  # of a former, larger pack
    words = (data / "run.toml", data / "run.toml", "--data", data, "--out", pack, "--part-mb", PART_MB)
    run_main(pack_data, monkeypatch, *map(str, words))
    assert [path.read_bytes() for path in sorted(pack.glob("*.tar"))] == contents
    assert (pack / "pack.json").read_text() == text


def test_a_webp_image_is_copied_and_an_image_is_turned_like_its_annotations(
    pack_data: ModuleType, tmp_path: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    for name in ("a.webp", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), image)
    content = (tmp_path / "a.jpg").read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: a quarter turn
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    copied = pack_data.encode_image(pack_data.PackedImage(tmp_path / "a.webp", 30, 20), 64)
    assert copied == (tmp_path / "a.webp").read_bytes()
    for width, height in ((20, 30), (30, 20)):
        encoded = pack_data.encode_image(pack_data.PackedImage(tmp_path / "a.jpg", width, height), 64)
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (height, width, 3)


def test_archives_can_be_unpacked_one_after_another(
    pack_data: ModuleType, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, aside = tmp_path / "out", tmp_path / "aside"
    aside.mkdir()
    first, *others = sorted(pack.glob("*.tar"))
    for path in others:
        path.rename(aside / path.name)
    missing = re.escape(", ".join(path.name for path in others))
    with pytest.raises(SystemExit, match=f"is incomplete: copy {missing} to .* and run the same command again"):
        run_main(pack_data, monkeypatch, "--unpack", pack, "--out", out)
    first.unlink()
    for path in others:
        (aside / path.name).rename(path)
    run_main(pack_data, monkeypatch, "--unpack", pack, "--out", out)
    assert unpacked_files(out) == FILES


def test_a_damaged_archive_is_reported_before_a_file_is_written(
    pack_data: ModuleType, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sorted(pack.glob("*.tar"))[-1]
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    with pytest.raises(SystemExit, match=rf"{path.name}: it is damaged\. Copy it again"):
        run_main(pack_data, monkeypatch, "--unpack", pack, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (pack / "pack.json").unlink()
    with pytest.raises(SystemExit, match=r"pack\.json is missing"):
        run_main(pack_data, monkeypatch, "--unpack", pack, "--out", tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.json.xz", "/evil.webp", "a/../../evil.webp"])
def test_no_file_is_written_outside_of_the_folder(
    pack_data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    parts = pack_data.write_part([("good.webp", b"1"), (name, b"2")], tmp_path, 0)
    (tmp_path / "pack.json").write_text(json.dumps({"parts": parts}))
    with pytest.raises(SystemExit, match="unsafe name"):
        run_main(pack_data, monkeypatch, "--unpack", tmp_path, "--out", tmp_path / "a" / "out")
    assert unpacked_files(tmp_path) == {"pack.json", "data.000.tar"}


def test_a_link_that_leads_out_of_the_folder_is_rejected(
    pack_data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "../.."
    with tarfile.open(tmp_path / "data.000.tar", "w") as archive:
        archive.addfile(link)
    entry = {"sha256": pack_data.sha256_of(tmp_path / "data.000.tar"), "files": ["link"]}
    (tmp_path / "pack.json").write_text(json.dumps({"parts": {"data.000.tar": entry}}))
    with pytest.raises(SystemExit, match=r"cannot unpack .*data\.000\.tar: .*outside the destination"):
        run_main(pack_data, monkeypatch, "--unpack", tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "link").exists()


def test_data_that_cannot_be_packed_is_reported(
    pack_data: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, text = data / "run.toml", (data / "run.toml").read_text()

    def pack(*words: str) -> None:
        run_main(pack_data, monkeypatch, config, "--data", data, "--out", tmp_path / "pack", *words)

    with pytest.raises(
        SystemExit, match=r"cannot pack videos/.*/00000\.webp: it has .* bytes\. Use a larger --part-mb"
    ):
        pack("--part-mb", "0.0125")
    for old, new, message in (
        ("videos/train.json", "../train.json", r"train\.json: it is outside of"),
        ('"video"', '"davis"', 'a dataset of kind "davis"'),
    ):
        config.write_text(text.replace(old, new))
        with pytest.raises(SystemExit, match=message):
            pack()
    config.write_text(text)
    stills = json.loads((data / "stills.json").read_text())
    stills["images"].append(stills["images"][0] | {"id": 2, "file_name": "discs.jpg"})
    (data / "stills.json").write_text(json.dumps(stills))
    with pytest.raises(SystemExit, match=r"discs\.jpg: discs\.png gets the same name"):
        pack()
    (data / "stills.json").write_text("{")
    with pytest.raises(SystemExit, match=r"stills\.json"):
        pack()
