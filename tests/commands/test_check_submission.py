"""`vis export-json --check`: the problems of a submission, on stdout, and its exit code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.records.davis_factory import VAL, write_davis, write_mask
from tests.records.split_factory import MASK, write_split
from vis_cli.records.rle import encode_mask

from .conftest import RunVis


def write_zip(tmp_path: Path, entries: list[dict[str, Any]]) -> Path:
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results.json", json.dumps(entries))
    return path


def entry(**fields: Any) -> dict[str, Any]:
    masks = [dict(encode_mask(MASK))]
    return {"video_id": 9, "category_id": 4, "score": 0.5, "segmentations": masks, **fields}


def test_no_problem(tmp_path: Path, run_vis: RunVis) -> None:
    path, split = write_zip(tmp_path, [entry()]), write_split(tmp_path)
    outcome = run_vis("export-json", "--check", path, "--annotations", split)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"{path}: no problems. The submission matches {split}")
    assert run_vis("export-json", "--check", path, "--split", split, "--quiet").err == ""


def test_every_problem_is_a_line(tmp_path: Path, run_vis: RunVis) -> None:
    entries = [entry(category_id=99, segmentations=[None]), *(entry(score=2 + i) for i in range(7))]
    path, split = write_zip(tmp_path, entries), write_split(tmp_path)
    outcome = run_vis("export-json", "--check", path, "--annotations", split)
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[0] == f"results.json[0]: 'category_id' is 99. Use the id of a category in {split}"
    assert lines[1:7] == [
        *(f"results.json[{i}]: 'score' is {1 + i}. Use a value from 0 to 1" for i in range(1, 6)),
        "score: 2 more of this kind",
    ]
    assert lines[7].startswith("results.json[2]: video, category and masks are the same as in entry [1]")
    assert lines[-1] == "duplicate: 1 more of this kind"
    assert outcome.err == f"error: {path}: 14 problems. The submission does not match {split}"


def test_davis(tmp_path: Path, run_vis: RunVis) -> None:
    root = write_davis(tmp_path / "DAVIS")
    for name in ("dog/00000.png", "cat/00000.png"):
        write_mask(tmp_path / "sent" / name)
    outcome = run_vis("export-json", "--check", tmp_path / "sent", "--annotations", root / VAL)
    assert outcome.code == 1
    assert outcome.out.splitlines() == ["dog/00005.png: the file is missing. Add a black PNG if nothing was detected"]
    assert outcome.err.endswith("1 problem. The submission does not match " + str(root / VAL))


def test_davis_for_the_json_of_a_split(tmp_path: Path, run_vis: RunVis) -> None:
    split = write_split(tmp_path)
    for name in ("clip/00000.png", "clip/00005.png", "clip/00010.png", "other/00000.png"):
        write_mask(tmp_path / "sent" / name)
    command = ("export-json", "--format", "davis", "--check", tmp_path / "sent", "--annotations", split)
    assert run_vis(*command).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--check needs the split of the submission. Add --annotations SPLIT."),
        (
            ["--split", "val.json", "--format", "mots"],
            "cannot check the format mots. Use --format youtube-vis or davis.",
        ),
        (["--split", "val.json", "-o", "x.zip"], "--check cannot be combined with RESULT.json or -o. Use --check FILE"),
        (["--split", "val.json", "s.zip"], "--check cannot be combined with RESULT.json or -o. Use --check FILE"),
    ],
)
def test_what_cannot_be_meant(
    options: list[str], said: str, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path)
    outcome = run_vis("export-json", "--check", write_zip(tmp_path, []), *options)
    assert outcome.code == 2
    assert said in outcome.err


def test_what_cannot_be_read(tmp_path: Path, run_vis: RunVis) -> None:
    split = write_split(tmp_path)
    (tmp_path / "s.zip").write_bytes(b"no zip")
    outcome = run_vis("export-json", "--check", tmp_path / "s.zip", "--annotations", split)
    assert outcome.code == 1
    assert "s.zip: not a zip" in outcome.err
