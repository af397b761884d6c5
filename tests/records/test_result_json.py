"""NAME.json there and back, its layout, and one line for every way in which it can be damaged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.coco_video import write_coco_video
from vis_cli.records.result_json import CHUNK, list_json, read_result, write_result
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import ModelInfo, SourceIdentity, VideoResult

MASK = make_mask(["......", "..##..", "...#..", "......"])


def result_of_two() -> VideoResult:
    return make_result(
        [
            make_instance(1, [MASK, None], score=0.875, category_id=7, category_scores={7: 0.875, 3: 0.1}),
            make_instance(5, [None, None], score=1, category_id=3),
        ],
        name="clip é",
        num_frames=2,
    )


def result_of_a_weak_and_a_given_object() -> VideoResult:
    """Return a result with the fields that schema 3 adds."""
    instances = [
        make_instance(1, [MASK], score=0.25, confident=False),
        make_instance(2, [MASK], score=1.0, category_id=None),
    ]
    return make_result(instances, given_masks="12")


def write_changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a good result, then change its JSON."""
    write_result(result_of_two(), path)
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def with_all_frames(data: dict[str, Any]) -> None:
    """Store one mask or null per frame, as schemas 1 to 3 do."""
    del data["shots"]
    for instance in data["instances"]:
        first, last = instance.pop("first_frame"), instance.pop("last_frame")
        if first is None:
            instance["segmentations"] = [None] * data["video"]["num_frames"]
        else:
            after = data["video"]["num_frames"] - 1 - last
            instance["segmentations"] = [*[None] * first, *instance["segmentations"], *[None] * after]


def identified_result() -> VideoResult:
    """Return a result with every optional field of its head."""
    result = result_of_two()
    info = dataclasses.replace(
        result.video,
        source=SourceIdentity(Path("/videos/clip \udcff"), "folder", 123, "1:ab"),
        frame_names=("00000.jpg", "00005 \udcff.jpg"),
        timestamps=(0.0, 0.041667),
    )
    parts = (ModelInfo("finder", "cd" * 32), ModelInfo("follower", "ef" * 32))
    model = ModelInfo("both", "ab" * 32, parts)
    return dataclasses.replace(
        result, video=info, model=model, given_masks="12", given_names="34", given_detections="56", given_prompts="78"
    )


@pytest.mark.parametrize(
    "result",
    [
        result_of_two(),
        make_result(num_frames=3),
        make_result(categories=()),
        identified_result(),
        result_of_a_weak_and_a_given_object(),
    ],
)
def test_a_result_comes_back_as_it_was(tmp_path: Path, result: VideoResult) -> None:
    path = tmp_path / "out" / "clip.json"
    write_result(result, path)
    assert read_result(path) == result
    assert list(path.parent.iterdir()) == [path]


def test_layout_of_the_file(tmp_path: Path) -> None:
    write_result(result_of_two(), tmp_path / "clip.json")
    data = json.loads((tmp_path / "clip.json").read_text(encoding="utf-8"))
    given = ["given_masks", "given_names", "given_detections", "given_prompts"]
    assert list(data) == ["schema", "model", "config", *given, "video", "shots", "categories", "instances"]
    assert data["schema"] == 4
    assert data["shots"] == [[0, 1]]
    assert data["video"] == {
        "name": "clip é",
        "path": str(Path("videos") / "clip é"),
        "absolute_path": None,
        "kind": None,
        "size": None,
        "fingerprint": None,
        "width": 6,
        "height": 4,
        "fps": 23.976,
        "num_frames": 2,
        "frame_names": None,
        "timestamps": None,
    }
    assert data["model"] == {"name": "lite", "sha256": "ab" * 32}
    assert data["categories"] == [{"id": 3, "name": "giant_panda"}, {"id": 7, "name": "cat"}]
    assert data["instances"][0] == {
        "id": 1,
        "category_id": 7,
        "score": 0.875,
        "confident": True,
        "category_scores": {"7": 0.875, "3": 0.1},
        "key_frame": 0,
        "first_frame": 0,
        "last_frame": 0,
        "segmentations": [dict(encode_mask(MASK))],
    }
    assert (data["instances"][1]["first_frame"], data["instances"][1]["last_frame"]) == (None, None)
    assert data["instances"][1]["segmentations"] == []
    assert list(data["instances"][1]) == list(data["instances"][0])


def test_the_file_has_masks_from_the_first_to_the_last_frame_with_a_mask(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [None, None, MASK, None, MASK, None])], num_frames=6)
    write_result(result, tmp_path / "clip.json")
    (entry,) = json.loads((tmp_path / "clip.json").read_text(encoding="utf-8"))["instances"]
    mask = dict(encode_mask(MASK))
    assert (entry["first_frame"], entry["last_frame"], entry["segmentations"]) == (2, 4, [mask, None, mask])
    (read,) = read_result(tmp_path / "clip.json").instances
    assert read.segmentations == (None, None, mask, None, mask, None)
    assert (read.first_frame, read.last_frame) == (2, 4)


def test_more_masks_than_are_written_at_once(tmp_path: Path) -> None:
    masks = [None if index % 3 == 1 else MASK for index in range(2 * CHUNK + 1)]
    result = make_result([make_instance(1, masks), make_instance(2, [*masks[:-1], None])], num_frames=len(masks))
    write_result(result, tmp_path / "clip.json")
    assert read_result(tmp_path / "clip.json") == result


def test_instances_that_are_weak_or_have_no_category(tmp_path: Path) -> None:
    write_result(result_of_a_weak_and_a_given_object(), tmp_path / "clip.json")
    instances = json.loads((tmp_path / "clip.json").read_text(encoding="utf-8"))["instances"]
    assert [instance["confident"] for instance in instances] == [False, True]
    assert [instance["category_id"] for instance in instances] == [7, None]
    assert instances[1]["category_scores"] == {}


def test_schema_1_is_read(tmp_path: Path) -> None:
    added = ("absolute_path", "kind", "size", "fingerprint", "frame_names", "timestamps")

    def as_schema_1(data: dict[str, Any]) -> None:
        data["schema"] = 1
        del data["given_masks"], data["given_names"], data["given_detections"], data["given_prompts"]
        with_all_frames(data)
        for instance in data["instances"]:
            del instance["confident"]
        for key in added:
            del data["video"][key]

    assert read_result(write_changed(tmp_path / "clip.json", as_schema_1)) == result_of_two()


def test_an_instance_of_schema_2_is_confident(tmp_path: Path) -> None:
    def as_schema_2(data: dict[str, Any]) -> None:
        data["schema"] = 2
        del data["given_names"], data["given_detections"], data["given_prompts"]
        with_all_frames(data)
        for instance in data["instances"]:
            del instance["confident"]

    read = read_result(write_changed(tmp_path / "clip.json", as_schema_2))
    assert read == result_of_two()
    assert all(instance.confident for instance in read.instances)


def test_schema_3_has_one_mask_per_frame_and_no_shots(tmp_path: Path) -> None:
    def as_schema_3(data: dict[str, Any]) -> None:
        data["schema"] = 3
        with_all_frames(data)

    read = read_result(write_changed(tmp_path / "clip.json", as_schema_3))
    assert read == result_of_two()
    assert read.shots == ((0, 1),)
    assert [instance.first_frame for instance in read.instances] == [0, None]


def test_shots_are_kept(tmp_path: Path) -> None:
    result = dataclasses.replace(result_of_two(), shots=((0, 0), (1, 1)))
    write_result(result, tmp_path / "clip.json")
    assert read_result(tmp_path / "clip.json") == result


def test_null_before_the_first_mask_is_read(tmp_path: Path) -> None:
    def widen(data: dict[str, Any]) -> None:
        data["instances"][0].update(last_frame=1, segmentations=[None, dict(encode_mask(MASK))])

    (read, _) = read_result(write_changed(tmp_path / "clip.json", widen)).instances
    assert (read.first_frame, read.last_frame) == (1, 1)


def test_a_score_that_json_cannot_hold_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(make_result([make_instance(1, [MASK], score=float("nan"))]), tmp_path / "clip.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b'{"schema": 1, "video"', "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b"[]", "the file contains a list"),
        (b"3", "the file contains 3"),
        (b"{}", "'schema' is missing"),
    ],
)
def test_what_is_no_result_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "clip.json"
    path.write_bytes(content)
    with pytest.raises(VisError, match=f"clip.json: .*{message}"):
        read_result(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*clip\.json: No such file"):
        read_result(tmp_path / "clip.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=5), "'schema' is 5, this version of vis reads 1, 2, 3 and 4"),
        (lambda d: d["video"].update(fingerprint="x"), "video: 'kind' is null. Use a string"),
        (lambda d: d["video"].update(fingerprint="x", kind="disk"), "video: 'kind' is 'disk'"),
        (lambda d: d["video"].update(frame_names=["1.png"]), "video: 'frame_names' has 1 entries, 'num_frames' is 2"),
        (
            lambda d: d["video"].update(frame_names=["1.png", 2]),
            "video: 'frame_names' contains a value that is not a string",
        ),
        (lambda d: d["video"].update(timestamps=[0.0]), "video: 'timestamps' has 1 entries, 'num_frames' is 2"),
        (
            lambda d: d["video"].update(timestamps=[0.0, None]),
            "'timestamps' contains a value that is not a finite number",
        ),
        (lambda d: d.update(given_masks=3), "'given_masks' is 3. Use a string"),
        (lambda d: d.update(given_names={}), "'given_names' is an object. Use a string"),
        (lambda d: d.update(schema=True), "'schema' is True. Use an integer"),
        (lambda d: d.update(video=None), "'video' is null. Use an object"),
        (lambda d: d["video"].pop("fps"), "video: 'fps' is missing"),
        (lambda d: d["video"].update(fps=-0.5), "video: 'fps' is -0.5. Use a number of at least 0"),
        (lambda d: d["video"].update(fps=5e-324), "video: 'fps' is 5e-324. Use a number of at least 1e-10, or 0"),
        (lambda d: d["video"].update(fps="24"), "video: 'fps' is a string. Use a number"),
        (lambda d: d["video"].update(width=6.5), "video: 'width' is 6.5. Use an integer"),
        (lambda d: d["video"].update(width=0), "video: the size is 0x4"),
        (lambda d: d["video"].update(height=0), "video: the size is 6x0"),
        (lambda d: d["video"].update(num_frames=-1), "video: 'num_frames' is -1"),
        (
            lambda d: d["instances"][0].update(last_frame=1),
            r"instances\[0\]: 'segmentations' has 1 entries, 'first_frame' is 0, 'last_frame' is 1",
        ),
        (
            lambda d: d["instances"][0].update(last_frame=2),
            r"instances\[0\]: .* 'last_frame' is 2, the video has 2 frames",
        ),
        (lambda d: d["instances"][0].update(first_frame=-1), r"instances\[0\]: 'first_frame' is -1, 'last_frame' is 0"),
        (lambda d: d["instances"][0].update(first_frame=1), r"instances\[0\]: 'first_frame' is 1, 'last_frame' is 0"),
        (lambda d: d["instances"][0].update(first_frame=None), r"instances\[0\]: 'first_frame' is null"),
        (lambda d: d["instances"][1].pop("last_frame"), r"instances\[1\]: 'first_frame' is null"),
        (lambda d: d["instances"][1]["segmentations"].append(None), r"instances\[1\]: 'segmentations' has 1 entries"),
        (lambda d: d.pop("shots"), "'shots' is missing"),
        (lambda d: d.update(shots=[[0, 0]]), "'shots' end before frame 1 of 2"),
        (lambda d: d.update(shots=[]), "'shots' end before frame 0 of 2"),
        (lambda d: d.update(shots=[[0, 2]]), r"shots\[0\]: the entry is \[0, 2\]"),
        (lambda d: d.update(shots=[[0, 0], [0, 1]]), r"shots\[1\]: the entry is \[0, 1\]"),
        (lambda d: d.update(shots=[[0, 0], [1, 0]]), r"shots\[1\]: the entry is \[1, 0\]"),
        (lambda d: d.update(shots=[[0, True]]), r"shots\[0\]: the entry is \[0, True\]"),
        (lambda d: d.update(shots=[3]), r"shots\[0\]: the entry is 3"),
        (lambda d: d["model"].pop("sha256"), "model: 'sha256' is missing"),
        (lambda d: d.update(config=[]), "'config' is a list. Use an object"),
        (lambda d: d["categories"].append(3), r"categories\[2\]: the entry is 3\. Use an object"),
        (lambda d: d["categories"][1].update(id=3), "categories: 3 is used 2 times"),
        (lambda d: d["categories"][1].pop("name"), r"categories\[1\]: 'name' is missing"),
        (
            lambda d: d["categories"].pop(0),
            r"instances\[0\]: 'category_scores' has the category '3'\. Use the ids of listed",
        ),
        (lambda d: d["instances"][1].update(category_id=4), r"instances\[1\]: 'category_id' is 4"),
        (lambda d: d["instances"][1].update(category_id="3"), r"instances\[1\]: 'category_id' is a string"),
        (lambda d: d["instances"][1].update(category_id=False), r"instances\[1\]: 'category_id' is False"),
        (lambda d: d["instances"][1].pop("category_id"), r"instances\[1\]: 'category_id' is missing"),
        *(
            (
                lambda d, value=value: d["instances"][0].update(confident=value),
                rf"instances\[0\]: 'confident' is {text}\. Use true or false\.",
            )
            for value, text in [(None, "null"), (0, "0"), (1, "1"), (1.0, "1.0"), ("true", "a string"), ([], "a list")]
        ),
        (lambda d: d["instances"][1].update(id=1), "instances: 1 is used 2 times"),
        (lambda d: d["instances"][1].update(key_frame=2), r"instances\[1\]: 'key_frame' is 2"),
        (lambda d: d["instances"][1].update(key_frame=-1), r"instances\[1\]: 'key_frame' is -1"),
        (lambda d: d["instances"][1].update(score=None), r"instances\[1\]: 'score' is null\. Use a number"),
        (
            lambda d: d["instances"][0]["category_scores"].update({"7": "x"}),
            r"category_scores: '7' is .*\. Use a number",
        ),
        (
            lambda d: d["instances"][0]["segmentations"][0].update(size=[6, 4]),
            r"instances\[0\]\.segmentations\[0\]: the size of the mask is \[6, 4\]",
        ),
        (
            lambda d: d["instances"][0]["segmentations"][0].update(counts="0"),
            r"instances\[0\]\.segmentations\[0\]: the RLE counts of the mask do not fill",
        ),
    ],
)
def test_damage_is_named_by_file_and_entry(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = write_changed(tmp_path / "clip.json", change)
    with pytest.raises(VisError, match=rf"clip\.json: {message}|clip\.json: .*{message}"):
        read_result(path)


def test_a_number_too_large_is_refused(tmp_path: Path) -> None:
    write_result(result_of_two(), tmp_path / "clip.json")
    text = (tmp_path / "clip.json").read_text(encoding="utf-8")
    (tmp_path / "clip.json").write_text(text.replace('"score":0.875', '"score":1e999'), encoding="utf-8")
    with pytest.raises(VisError, match=r"instances\[0\]: 'score' is not finite\. Use a finite number"):
        read_result(tmp_path / "clip.json")


def test_other_json_files_in_a_folder_of_results_are_told_apart(tmp_path: Path) -> None:
    for name in ("clip10", "clip9"):
        write_result(make_result(name=name), tmp_path / f"{name}.json")
    write_coco_video([make_result()], None, tmp_path / "coco.json", selection=Selection())
    other = {"list": "[]", "number": "1", "object": '{"a": 1}', "schema": '{"schema": 2}', "short": '{"schema":2}'}
    for name, text in {**other, "._clip9": "\0", ".tmp": "{"}.items():
        (tmp_path / f"{name}.json").write_text(text)
    sorted_by_another_program = json.dumps(json.loads((tmp_path / "clip9.json").read_text()), sort_keys=True, indent=1)
    (tmp_path / "sorted.json").write_text(sorted_by_another_program)
    (tmp_path / "torn.json").write_text('{"schema":2,"mod')
    (tmp_path / "void.json").write_text("")
    results, others = list_json(tmp_path)
    assert [path.stem for path in results] == ["clip9", "clip10", "sorted", "torn", "void"]
    assert [path.stem for path in others] == ["coco", "list", "number", "object", "schema", "short"]
