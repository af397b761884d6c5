"""Label maps: PNG files there and back, and how results are painted and numbered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.davis import (
    iter_label_maps,
    list_label_pngs,
    list_sequences,
    read_label_png,
    write_label_png,
)

LEFT = make_mask(["####..", "####..", "......", "......"])
RIGHT = make_mask(["..####", "......", "......", "......"])


def test_label_png_is_a_palette_picture_that_keeps_every_value(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    path = tmp_path / "new" / "00000.png"
    write_label_png(labels, path)
    np.testing.assert_array_equal(read_label_png(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array(image.convert("RGB"))[0, 21].tolist() == [128, 64, 128]


def test_few_labels_and_single_channel_pictures_are_read_as_values(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 3]], np.uint8)
    palette = Image.fromarray(labels)
    palette.putpalette([0, 0, 0, 9, 9, 9, 8, 8, 8, 7, 7, 7])
    palette.save(tmp_path / "two_bits.png", bits=2)
    Image.fromarray(labels).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_label_png(tmp_path / "two_bits.png"), labels)
    np.testing.assert_array_equal(read_label_png(tmp_path / "grey.png"), labels)


def test_what_is_no_label_png_is_named(tmp_path: Path) -> None:
    colours, text, cut, torn = (tmp_path / f"{name}.png" for name in ("colours", "text", "cut", "torn"))
    Image.new("RGB", (4, 4)).save(colours)
    text.write_text("no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)).save(cut)
    head, first, second = cut.read_bytes().split(b"IDAT")  # noise does not compress, so it takes two chunks
    cut.write_bytes(head + b"IDAT" + first[:600])
    torn.write_bytes(head + b"IDAT" + first + b"\0\0\0\0" + second)
    with pytest.raises(VisError, match=r"cannot read .*colours\.png: .* colours \(RGB\)"):
        read_label_png(colours)
    for path in (text, cut, torn, tmp_path / "absent.png"):
        with pytest.raises(VisError, match=rf"cannot read .*{path.name}: "):
            read_label_png(path)


def test_higher_scores_are_painted_over_lower_ones() -> None:
    low, high = make_instance(1, [LEFT], score=0.2), make_instance(2, [RIGHT], score=0.7)
    for instances in ([low, high], [high, low]):
        (labels,) = iter_label_maps(make_result(instances))
        assert labels.dtype == np.uint8
        assert labels[0].tolist() == [1, 1, 2, 2, 2, 2]
        assert labels[1].tolist() == [1, 1, 1, 1, 0, 0]


def test_equal_scores_are_painted_by_their_order() -> None:
    (labels,) = iter_label_maps(make_result([make_instance(2, [RIGHT]), make_instance(1, [LEFT])]))
    assert labels[0].tolist() == [1, 1, 2, 2, 2, 2]


def test_absent_instances_are_not_painted() -> None:
    first, second = iter_label_maps(make_result([make_instance(3, [LEFT, None])], num_frames=2))
    np.testing.assert_array_equal(first, 3 * LEFT)
    assert not second.any()


def test_ids_are_kept_unless_one_does_not_fit() -> None:
    instances = [make_instance(4, [LEFT], score=0.5), make_instance(20, [RIGHT], score=0.6)]
    (labels,) = iter_label_maps(make_result(instances))
    assert set(np.unique(labels).tolist()) == {0, 4, 20}
    (ranked,) = iter_label_maps(make_result(instances), max_instances=19)
    assert ranked[0].tolist() == [2, 2, 1, 1, 1, 1]
    (zero,) = iter_label_maps(make_result([make_instance(0, [LEFT])]))
    np.testing.assert_array_equal(zero, 1 * LEFT)


def test_only_the_best_are_painted() -> None:
    rows = [np.arange(24).reshape(4, 6) == i for i in range(24)]
    result = make_result([make_instance(i + 1, [mask], score=(i + 1) / 24) for i, mask in enumerate(rows)])
    (labels,) = iter_label_maps(result)
    assert labels.ravel().tolist() == [0] * 4 + list(range(20, 0, -1))
    (all_of_them,) = iter_label_maps(result, max_instances=254)
    assert all_of_them.ravel().tolist() == list(range(1, 25))


@pytest.mark.parametrize("max_instances", [0, 255])
def test_a_limit_that_would_paint_void_is_refused(max_instances: int) -> None:
    with pytest.raises(ValueError, match="max_instances"):
        next(iter_label_maps(make_result(), max_instances=max_instances))


def test_folders_are_listed_in_order_and_never_empty(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "results.csv").touch()
    assert list_sequences(tmp_path) == ["a", "b"]
    with pytest.raises(VisError, match="a: no sequence folders"):
        list_sequences(tmp_path / "a")
    with pytest.raises(VisError, match="b: no PNG files"):
        list_label_pngs(tmp_path / "b")
