"""Names, shards and folders of videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.batch.tasks import Shard, VideoTask, name_tasks, parse_shard, result_path
from vis_cli.errors import VisError


def names_of(*tasks: VideoTask) -> list[str]:
    return [task.name for task in name_tasks(tasks)]


def test_a_name_is_given_or_the_name_of_the_file() -> None:
    assert names_of(VideoTask("/v/a.mp4"), VideoTask("/v/b.mp4", "cat")) == ["a", "cat"]


def test_files_with_the_same_name_get_a_hash_of_the_path_that_the_order_does_not_change() -> None:
    tasks = [VideoTask("/v/1/Clip.mp4"), VideoTask("/v/2/clip.mp4"), VideoTask("/v/2/clip.mp4", start="5s")]
    names = names_of(*tasks)
    assert len(set(names)) == 3
    assert all(name.lower().startswith("clip-") for name in names)
    assert names_of(*reversed(tasks)) == names[::-1]


@pytest.mark.parametrize(
    "tasks",
    [
        (VideoTask("/v/1.mp4", "Cat"), VideoTask("/v/2.mp4", "cat")),
        (VideoTask("/v/1.mp4", "cat"), VideoTask("/v/1.mp4", "cat")),
        (VideoTask("/v/cat.mp4"), VideoTask("/v/2.mp4", "x"), VideoTask("/v/3.mp4", "X")),
    ],
)
def test_a_duplicate_name_is_an_error(tasks: tuple[VideoTask, ...]) -> None:
    with pytest.raises(VisError, match=r"the name '.*' occurs twice: for /v/\d.mp4 and /v/\d.mp4. Give each video"):
        name_tasks(tasks)


def test_a_duplicate_row_is_an_error() -> None:
    with pytest.raises(VisError, match=r"the video /v/1.mp4 occurs twice. Remove one of its rows"):
        name_tasks([VideoTask("/v/1.mp4"), VideoTask("/v/2.mp4"), VideoTask("/v/1.mp4")])
    assert len(name_tasks([VideoTask("/v/1.mp4", start="1"), VideoTask("/v/1.mp4", start="2")])) == 2


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "a\x1bb", "x" * 300])
def test_a_given_name_must_be_a_file_name(name: str) -> None:
    with pytest.raises(VisError, match="is not a file name"):
        name_tasks([VideoTask("/v/1.mp4", name)])


def test_each_name_belongs_to_one_shard_and_the_hash_is_stable() -> None:
    shards = [Shard(index, 3) for index in (1, 2, 3)]
    names = [f"clip{number}" for number in range(300)]
    owners = [[shard.index for shard in shards if shard.has(name)] for name in names]
    assert all(len(owner) == 1 for owner in owners)
    assert all(70 <= owners.count([index]) <= 130 for index in (1, 2, 3))
    assert [owner[0] for owner in owners[:6]] == [1, 1, 2, 3, 3, 2]  # of SHA-256, on every machine


def test_shards_as_text() -> None:
    assert parse_shard("3/8") == Shard(3, 8)
    for text in ("0/8", "9/8", "1/0", "1", "a/b", "1/8/2", "1/2000000", "-1/8"):
        with pytest.raises(VisError, match="Use I/N with I from 1 to N"):
            parse_shard(text)


def test_results_are_distributed_over_folders() -> None:
    assert result_path(Path("out"), "cat", is_flat=True) == Path("out/cat.json")
    assert result_path(Path("out"), "cat", is_flat=False) == Path("out/77/cat.json")  # SHA-256 of "cat": 77af…


@pytest.mark.parametrize("name", ["a.b.mp4", "noextension", "end.", "two..mp4", "space .mp4", "ä.mkv", "folder.d"])
def test_derived_names_are_the_names_of_files_and_folders(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder.d":
        path.mkdir()
    expected = path.name if path.is_dir() else path.stem
    assert [task.name for task in name_tasks([VideoTask(str(path))])] == [expected]


def test_names_of_hidden_files_are_visible() -> None:
    assert name_tasks([VideoTask("/v/.hidden.mp4")])[0].name == "hidden"
