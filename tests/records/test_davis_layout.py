"""DAVIS in each of its layouts, and every file that is missing or of another size named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.davis_factory import NAMES, VAL, write_davis, write_mask, write_picture
from tests.records.video_factory import picture, with_exif_orientation, write_image
from vis_cli.console import cleaned
from vis_cli.errors import VisError
from vis_cli.records.davis import list_sequences
from vis_cli.records.davis_layout import SequenceFrames, read_davis, read_sequence_list
from vis_cli.records.video import open_video

DOG = SequenceFrames("dog", 6, 4, ("dog/00000.jpg", "dog/00005.jpg"))
CAT = SequenceFrames("cat", 6, 4, ("cat/00000.jpg",))


@pytest.mark.parametrize(
    ("frames", "masks"),
    [
        ("JPEGImages/480p", "Annotations_unsupervised/480p"),
        ("JPEGImages/480p", "Annotations/480p"),
        ("JPEGImages/Full-Resolution", "Annotations_unsupervised/Full-Resolution"),
        ("JPEGImages", "Annotations"),
        ("JPEGImages/480p", None),
    ],
)
def test_layouts(tmp_path: Path, frames: str, masks: str | None) -> None:
    root = write_davis(tmp_path, frames=frames, masks=masks)
    assert read_davis(root / VAL) == [DOG, CAT]  # in the order of the list
    assert read_davis(root) == [CAT, DOG]
    assert read_davis(root / frames) == [CAT, DOG]


def test_masks_alone(tmp_path: Path) -> None:
    root = write_davis(tmp_path, frames=None)
    dog = SequenceFrames("dog", 6, 4, ("dog/00000.png", "dog/00005.png"))
    assert read_davis(root / VAL)[0] == dog
    assert read_davis(root / "Annotations_unsupervised" / "480p")[1] == dog
    assert dog.frame_names == DOG.frame_names == ("00000", "00005")


def test_the_lists_of_2019(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    path = root / "ImageSets" / "2019" / "test-dev.txt"
    path.parent.mkdir()
    path.write_text("\n cat\r\n")
    assert read_davis(path) == [CAT]


def test_the_test_splits_have_no_masks_or_one_a_sequence(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    (root / "Annotations_unsupervised/480p/dog/00005.png").unlink()
    assert read_davis(root / VAL) == [DOG, CAT]
    for mask in root.glob("Annotations_unsupervised/480p/*/*"):
        mask.unlink()
    for folder in root.glob("Annotations_unsupervised/480p/*"):
        folder.rmdir()
    assert read_davis(root / VAL) == [DOG, CAT]


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def remove_folder(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        for path in (root / name).iterdir():
            path.unlink()
        (root / name).rmdir()

    return change


MASKS = "Annotations_unsupervised/480p"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("JPEGImages/480p/dog/00005.jpg"), r"480p/dog/00005\.png: .*480p/dog has no frame of this name"),
        (
            lambda root: write_picture(root / "JPEGImages/480p/dog/00010.jpg"),
            r"JPEGImages/480p/dog/00010\.jpg: .*480p/dog has no mask of this name",
        ),
        (remove("JPEGImages/480p/cat/00000.jpg"), "JPEGImages/480p/cat: the sequence has no frames"),
        (remove_folder("JPEGImages/480p/dog"), "JPEGImages/480p/dog: the sequence has no frames"),
        (remove(f"{MASKS}/cat/00000.png"), f"{MASKS}/cat: no PNG files"),
        (remove_folder(f"{MASKS}/cat"), f"{MASKS}/cat: no PNG files"),
        (
            lambda root: write_picture(root / "JPEGImages/480p/dog/00005.jpg", (7, 4)),
            r"JPEGImages/480p/dog/00005\.jpg: the size is 7x4, the size of .*JPEGImages/480p/dog/00000\.jpg is 6x4",
        ),
        (
            lambda root: write_mask(root / MASKS / "dog/00005.png", size=(4, 6)),
            rf"{MASKS}/dog/00005\.png: the size is 4x6, the size of .*JPEGImages/480p/dog/00000\.jpg is 6x4",
        ),
        (
            lambda root: write_picture(root / MASKS / "dog/00005.png"),
            rf"{MASKS}/dog/00005\.png: the PNG has colours \(RGB\) instead of labels",
        ),
        (
            lambda root: (root / "JPEGImages/480p/dog/00000.jpg").write_bytes(b"no picture"),
            r"JPEGImages/480p/dog/00000\.jpg: not an image",
        ),
        (lambda root: (root / VAL).write_text("dog\nbear\n"), "JPEGImages/480p/bear: the sequence has no frames"),
        (lambda root: (root / VAL).write_text("\n"), r"val\.txt: the list is empty"),
        (
            lambda root: (root / VAL).write_text("dog\n..\n"),
            r"val\.txt: line 2: unsafe name '\.\.': .* leaves its folder",
        ),
        (lambda root: (root / VAL).write_text("dog\n../dog\n"), r"val\.txt: line 2: '\.\./dog' is not the name"),
        (lambda root: (root / VAL).write_text("..\\dog\n"), r"val\.txt: line 1: .* is not the name of a sequence"),
        (lambda root: (root / VAL).write_text("x" * 5000), r"val\.txt: line 1: unsafe name .*\(5000 characters\)"),
        (lambda root: (root / VAL).write_text("do\x1bg\n"), r"val\.txt: line 1: unsafe name 'do.*x1bg'"),
        (lambda root: (root / VAL).write_text("do\0g\n"), r"val\.txt: line 1: unsafe name"),
        (lambda root: (root / VAL).write_text("dog\ncat\ndog\n"), r"val\.txt: 'dog' is used 2 times"),
        (
            lambda root: (root / VAL).write_text("dog\n/JPEGImages/480p/cat/00000.jpg\n"),
            r"val\.txt: line 2: '/JPEGImages/480p/cat/00000\.jpg' is not the name of a sequence",
        ),
        (lambda root: (root / VAL).write_text("dog cat\n"), r"line 1: 'dog cat' is not the name of a sequence"),
        (lambda root: (root / VAL).write_bytes(b"\xff\xfe"), r"cannot read .*val\.txt: byte 0 is not UTF-8"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    root = write_davis(tmp_path)
    change(root)
    with pytest.raises(VisError, match=message):
        read_davis(root / VAL)


def test_a_list_or_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*absent\.txt: No such file"):
        read_sequence_list(tmp_path / "absent.txt")
    (tmp_path / "val.txt").write_text("dog")
    with pytest.raises(VisError, match=r"val\.txt: the list is not inside a folder with JPEGImages or Annotations"):
        read_davis(tmp_path / "val.txt")
    with pytest.raises(VisError, match="absent: not a folder"):
        read_davis(tmp_path / "absent")
    with pytest.raises(VisError, match=f"{tmp_path.name}: no sequence folders"):
        read_davis(tmp_path)


def test_masks_are_compared_in_full_resolution_too(tmp_path: Path) -> None:
    masks = "Annotations_unsupervised/Full-Resolution"
    root = write_davis(tmp_path, frames="JPEGImages/Full-Resolution", masks=masks)
    write_mask(root / masks / "cat/00000.png", size=(3, 2))
    with pytest.raises(VisError, match=rf"{masks}/cat/00000\.png: the size is 3x2"):
        read_davis(root / VAL)


def test_a_list_with_a_byte_order_mark(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    (root / VAL).write_text("dog\r\ncat\r\n", encoding="utf-8-sig")
    assert [sequence.name for sequence in read_davis(root / VAL)] == ["dog", "cat"]


@pytest.mark.parametrize("character", ["\u200b", "\u00a0", "\u00ad", "\u3000"], ids=ascii)
def test_an_invisible_character_in_a_list_is_shown(tmp_path: Path, character: str) -> None:
    root = write_davis(tmp_path)
    (root / VAL).write_text(f"dog{character}\ncat\n", encoding="utf-8")
    with pytest.raises(VisError) as caught:
        read_davis(root / VAL)
    assert character.encode("unicode_escape").decode() in cleaned(str(caught.value))


def test_frames_are_in_natural_order_and_hidden_files_are_none(tmp_path: Path) -> None:
    root = write_davis(tmp_path, sequences={"dog": [str(number) for number in range(12)]})
    for folder, name in (("JPEGImages/480p", "._0.jpg"), (MASKS, "._0.png"), (MASKS, ".DS_Store")):
        (root / folder / "dog" / name).write_bytes(b"\0\5\x16\7")
    (root / MASKS / ".hidden").mkdir()
    (root / MASKS / "dog/3.png").rename(root / MASKS / "dog/3.PNG")
    (sequence,) = read_davis(root)
    assert sequence.frame_names == tuple(str(number) for number in range(12))
    assert list_sequences(root / MASKS) == ["dog"]


@pytest.mark.parametrize("kind", ["fifo", "zero", "sparse"])
@pytest.mark.parametrize("name", ["JPEGImages/480p/dog/00005.jpg", f"{MASKS}/dog/00005.png"])
def test_what_is_not_a_regular_file(tmp_path: Path, kind: str, name: str) -> None:
    path = write_davis(tmp_path) / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(8 * 2**30)
    with pytest.raises(VisError, match="dog"):
        read_davis(tmp_path)


@pytest.mark.parametrize("masks", [(4, 6), (6, 4)], ids=["as shown", "as stored"])
def test_an_exif_rotation_of_frames_is_applied(tmp_path: Path, masks: tuple[int, int]) -> None:
    root = write_davis(tmp_path, sequences={"dog": NAMES})
    for name in NAMES:
        path = root / f"JPEGImages/480p/dog/{name}.jpg"
        path.write_bytes(with_exif_orientation(path.read_bytes(), 6))
        write_mask(root / MASKS / f"dog/{name}.png", size=masks)
    assert open_video(root / "JPEGImages/480p/dog").width == 4
    if masks == (4, 6):
        (sequence,) = read_davis(root / VAL)
        assert (sequence.width, sequence.height) == (4, 6)
        return
    with pytest.raises(VisError, match=r"00000\.png: the size is 6x4, .* is 4x6\. The EXIF rotation of the frames"):
        read_davis(root / VAL)


def test_frames_of_every_format_have_a_size_without_a_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "dog").mkdir()
    for suffix in ("jpg", "png", "bmp", "webp", "tif", "ppm", "jp2", "avif"):
        write_image(tmp_path / "dog" / f"0.{suffix}", picture(0))
        (sequence,) = read_davis(tmp_path)
        assert (sequence.width, sequence.height) == (64, 48)
        (tmp_path / "dog" / f"0.{suffix}").unlink()
    write_image(tmp_path / "dog" / "0.tif", picture(0))
    data = (tmp_path / "dog" / "0.tif").read_bytes()
    (tmp_path / "dog" / "0.tif").write_bytes(data[:-8])  # in the list of tags, for which Pillow warns
    with pytest.raises(VisError, match=r"cannot read .*0\.tif: not "):
        read_davis(tmp_path)
    assert (list(recwarn), capfd.readouterr().err) == ([], "")
