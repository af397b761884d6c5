"""From a run's config to its clips: every kind of dataset, and one clear line for each that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.records.datasets.factory import write_dataset
from tests.records.davis_factory import write_davis, write_mask
from tests.records.exports.factory import two_objects
from vis_cli.errors import VisError
from vis_cli.network.config import ModelConfig
from vis_cli.records.davis import VOID, write_label_png
from vis_cli.records.types import Category
from vis_cli.training.annotations import read_davis_clips
from vis_cli.training.category_maps import MAPS
from vis_cli.training.config import SourceConfig, TrainConfig
from vis_cli.training.sources import open_data
from vis_cli.training.structures import TrainClip

from .boxes import GREEN, RED, Box, write_boxes, write_stills, write_video

CAT, DOG = Box("cat", (20, 20, 60, 60), RED), Box("dog", (70, 30, 110, 80), GREEN)
CANVAS = (96, 128)


def make_config(*sources: SourceConfig, categories: tuple[str, ...] = ("cat", "dog"), **fields: object) -> TrainConfig:
    """Return a config that shows pictures as they are, but for flips and turns."""
    model = ModelConfig("tiny", "r50", tuple(Category(i, name) for i, name in enumerate(categories, 1)))
    fields = {"steps": 1, "generator": "paper", "canvases": (CANVAS,)} | fields
    return TrainConfig(model=model, data=sources, **fields)  # type: ignore[arg-type]


def stills(folder: Path, *pictures: list[Box], **fields: object) -> SourceConfig:
    folder.mkdir(exist_ok=True)
    stored = write_stills(folder, pictures)
    return SourceConfig("images", str(stored.annotations), str(stored.images), **fields)  # type: ignore[arg-type]


def video(folder: Path, *objects: list[Box | None], **fields: object) -> SourceConfig:
    folder.mkdir(exist_ok=True)
    stored = write_video(folder, objects)
    return SourceConfig("video", str(stored.annotations), str(stored.images), **fields)  # type: ignore[arg-type]


def davis(folder: Path, **fields: object) -> SourceConfig:
    return SourceConfig("davis", str(write_davis(folder) / "ImageSets/2017/val.txt"), **fields)  # type: ignore[arg-type]


def draw(config: TrainConfig, num: int = 1) -> list[TrainClip]:
    dataset = open_data(config).dataset
    return [dataset[(0, index, config.canvases[0], config.num_frames)] for index in range(num)]


def test_davis_is_read_as_videos_of_objects_without_a_class(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    labels = np.array([[0, 1, 1, 1, 2, 2]] * 3 + [[VOID] * 6], np.uint8)
    write_label_png(labels, root / "Annotations_unsupervised/480p/dog/00000.png")

    dog, cat = read_davis_clips(root / "ImageSets/2017/val.txt")

    assert [path.name for path in dog.frames] == ["00000.jpg", "00005.jpg"]
    assert (dog.width, dog.height) == (6, 4)
    assert [(item.category, item.is_crowd) for item in dog.objects] == [("object", n == 2) for n in range(3)]
    assert [[rle is not None for rle in item.rles] for item in dog.objects] == [
        [True, True],
        [True, False],
        [True, False],
    ]
    assert len(cat.frames) == 1
    assert [len(clip.frames) for clip in read_davis_clips(root)] == [1, 2]  # the folder: all, by name


def test_every_kind_of_dataset_is_mixed(tmp_path: Path) -> None:
    sources = [
        stills(tmp_path / "stills", [CAT], category_map="one-class"),
        video(tmp_path / "video", [DOG, DOG], category_map="one-class"),
        davis(tmp_path / "davis", category_map="one-class"),
    ]
    config = make_config(*sources, categories=("object",))

    names = " ".join(clip.name for clip in draw(config, 30))

    assert all(part in names for part in ("stills/1.png", "video/clip/00000.png", "davis/JPEGImages/480p/dog/"))
    assert open_data(config).num_items == {
        source.annotations: count for source, count in zip(sources, (1, 2, 3), strict=True)
    }


def test_what_a_source_labels_is_its_own_affair(tmp_path: Path) -> None:
    source = video(tmp_path, [CAT, CAT], labelled={"": ["cat"]})
    (clip,) = draw(make_config(source))
    assert clip.labelled.tolist() == [False, True, False]


def test_a_ready_map_takes_only_pictures_with_its_categories(tmp_path: Path) -> None:
    chair = Box("chair", (5, 5, 15, 15))
    source = stills(tmp_path, [CAT, chair], [chair], [], category_map="coco-to-ytvis2019")
    categories = tuple(dict.fromkeys(MAPS["coco-to-ytvis2019"].values()))
    config = make_config(source, categories=categories)

    assert list(open_data(config).num_items.values()) == [1]
    assert draw(config)[0].targets[0].labels.tolist() == [categories.index("cat") + 1]


def test_a_category_that_is_not_in_the_map_is_refused_unless_it_is_background(tmp_path: Path) -> None:
    source = stills(tmp_path, [CAT, Box("zebra", (70, 10, 90, 40))])
    with pytest.raises(VisError, match=r"stills\.json: the model has no category 'zebra'\. Map it"):
        open_data(make_config(source))
    mapped = stills(tmp_path, [CAT, Box("zebra", (70, 10, 90, 40))], category_map={"cat": "dog"})
    with pytest.raises(VisError, match="the model has no category 'zebra'"):
        open_data(make_config(mapped))
    allowed = stills(tmp_path, [CAT, Box("zebra", (70, 10, 90, 40))], unmapped="background")
    assert draw(make_config(allowed))[0].targets[0].labels.tolist() == [1]


def test_a_video_of_unknown_categories_may_teach_propagation_alone(tmp_path: Path) -> None:
    zebra = Box("zebra", (70, 10, 90, 40))
    with pytest.raises(VisError, match="no frame shows an object with a category of the model"):
        open_data(make_config(video(tmp_path / "a", [zebra, zebra])))
    (clip,) = draw(make_config(video(tmp_path / "b", [zebra, zebra], detect=False)))
    assert not clip.detect
    assert len(clip.guided_ids) == 1


def break_frame(folder: Path) -> None:
    (folder / "JPEGImages/480p/dog/00005.jpg").unlink()


def break_mask(folder: Path) -> None:
    (folder / "Annotations_unsupervised/480p/dog/00005.png").unlink()


def empty_masks(folder: Path) -> None:
    for path in (folder / "Annotations_unsupervised/480p/dog").iterdir():
        write_mask(path, 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_frame, r"00005\.png: .* has no frame of this name"),
        (break_mask, r"cannot read .*00005\.png: "),
        (empty_masks, r"480p/dog: no mask contains an object"),
        (lambda folder: (folder / "ImageSets/2017/val.txt").write_text(""), r"val\.txt: the list is empty"),
    ],
)
def test_a_damaged_davis_is_refused(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    source = davis(tmp_path, category_map="one-class")
    damage(tmp_path)
    with pytest.raises(VisError, match=message):
        open_data(make_config(source, categories=("object",)))


def test_davis_without_masks_cannot_be_trained_on(tmp_path: Path) -> None:
    root = write_davis(tmp_path, masks=None)
    source = SourceConfig("davis", str(root), category_map="one-class")
    with pytest.raises(VisError, match="JPEGImages or Annotations is missing"):
        open_data(make_config(source, categories=("object",)))


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="the list 'images' is empty"):
        open_data(make_config(stills(tmp_path)))


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="every weight is 0"):
        open_data(make_config(stills(tmp_path, [CAT], weight=0.0)))


def test_scale_jitter_shows_pictures_in_other_sizes(tmp_path: Path) -> None:
    source = stills(tmp_path, [CAT])
    plain = {
        int(c.targets[0].masks.sum()) for c in draw(make_config(source, num_frames=1), 12) if len(c.targets[0].masks)
    }
    config = make_config(source, num_frames=1, scale_jitter=(0.2, 2.0))
    areas = [int(clip.targets[0].masks.sum()) for clip in draw(config, 12) if len(clip.targets[0].masks)]
    assert min(plain) > 1300
    assert min(areas) < 800
    assert max(areas) > 2500


@pytest.mark.parametrize("sampling", ["uniform", "covering"])
def test_the_paper_samples_the_guide_and_ends_with_the_query(sampling: str, tmp_path: Path) -> None:
    moving = [Box("cat", (10 + 8 * frame, 10, 30 + 8 * frame, 30), RED) for frame in range(9)]
    config = make_config(video(tmp_path, moving), epochs=1.0, steps=None, pair_sampling=sampling)
    opened = open_data(config)
    queries = [opened.dataset[(0, index, CANVAS, 2)].name.split(", ")[-1] for index in range(9)]
    assert opened.epoch_length == 9
    assert sorted(Path(name).name for name in queries) == [f"{frame:05d}.png" for frame in range(9)]


def test_most_pastes_bounds_what_is_pasted(tmp_path: Path) -> None:
    """Two pictures of one object each: what is pasted comes from either, and makes a clip hold more than one."""
    source = stills(tmp_path, [CAT], [DOG])
    drawn = {most: draw(make_config(source, generator="strong", max_pastes=most), 12) for most in (None, 0)}
    shown = {most: max(len(clip.targets[0].masks) for clip in clips) for most, clips in drawn.items()}
    assert shown[None] > 1
    assert shown[0] == 1


def test_boxes_are_opened_with_their_settings(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT], [DOG]])
    images = json.loads(stored.annotations.read_text())["images"]
    more = write_boxes(tmp_path / "more.json", [(1, "dog", (0, 0, 9, 9), 0.6), (2, "dog", (0, 0, 9, 9), 0.2)], images)
    source = SourceConfig(
        "boxes",
        str(stored.annotations),
        str(stored.images),
        more_annotations=str(more),
        background_weight=0.5,
        labelled={"*": ["cat"]},
    )
    clip = open_data(make_config(source)).dataset[(0, 0, CANVAS, 1)]

    assert clip.background_weight == 0.5
    assert clip.labelled.tolist() == [False, True, False]
    assert clip.targets[0].scores is not None
    assert set(clip.targets[0].scores.tolist()) <= {1.0, float(np.float32(0.6))}


def test_boxes_of_classes_that_the_model_lacks_are_refused(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT]])
    images = json.loads(stored.annotations.read_text())["images"]
    more = write_boxes(tmp_path / "more.json", [(1, "zebra", (0, 0, 9, 9), 0.6)], images)
    fields = {"annotations": str(stored.annotations), "images": str(stored.images), "more_annotations": str(more)}

    with pytest.raises(VisError, match="the model has no category 'zebra'"):
        open_data(make_config(SourceConfig("boxes", **fields)))
    opened = open_data(make_config(SourceConfig("boxes", unmapped="background", **fields)))
    assert len(opened.dataset[(0, 0, CANVAS, 1)].targets[0].labels) <= 1


def test_a_second_file_needs_boxes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='more_annotations needs kind = "boxes"'):
        stills(tmp_path, [CAT], more_annotations="more.json")


def test_sources_that_share_a_file_are_counted_apart(tmp_path: Path) -> None:
    plain = stills(tmp_path, [CAT], [DOG])
    opened = open_data(make_config(plain, SourceConfig("boxes", plain.annotations, plain.images, repeat_rare=1.0)))

    assert opened.num_items == {f"{plain.annotations} (images)": 2, f"{plain.annotations} (boxes)": 2}


def test_the_format_is_recognized_or_given(tmp_path: Path) -> None:
    yaml = write_dataset("yolo-seg", tmp_path / "yolo", two_objects())
    labelme = write_dataset("labelme", tmp_path / "labelme", two_objects())
    sources = [
        SourceConfig("images", str(yaml)),
        SourceConfig("boxes", str(labelme), format="labelme"),
        SourceConfig("images", str(yaml.parent), format="yolo-seg", images=str(tmp_path / "yolo/images")),
    ]
    opened = open_data(make_config(*sources, categories=("cat", "giant_panda")))

    assert list(opened.num_items.values()) == [4, 4, 4]
    clip = open_data(make_config(sources[0], categories=("cat", "giant_panda"))).dataset[(0, 0, CANVAS, 2)]
    assert len(clip.images) == 2


def test_settings_that_do_not_fit_the_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='format needs kind = "images" or kind = "boxes"'):
        SourceConfig("video", "a.json", "frames", format="coco")
    with pytest.raises(ValueError, match='more_annotations needs format = "coco"'):
        SourceConfig("boxes", "a.xml", format="cvat", more_annotations="b.json")
    with pytest.raises(ValueError, match="kind images needs the folder of the images"):
        SourceConfig("images", "a.json")
    yaml = write_dataset("yolo-seg", tmp_path, two_objects())
    with pytest.raises(VisError, match="crowds applies to COCO, but the format is yolo-seg"):
        open_data(make_config(SourceConfig("images", str(yaml), crowds="ignore"), categories=("cat", "giant_panda")))
    (tmp_path / "a").write_text("{}")
    with pytest.raises(VisError, match="COCO needs the folder of the images"):
        open_data(make_config(SourceConfig("images", str(tmp_path / "a"))))
