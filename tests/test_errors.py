"""The parts of an error, and the line that they are printed as."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from vis_cli.errors import VisError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (VisError("no video is given"), "no video is given"),
        (VisError("no video stream", where=Path("a.mp4")), "a.mp4: no video stream"),
        (VisError("is 2", field="lr"), "lr is 2"),
        (
            VisError("is 1.4", where="r.json", field="'score'", hint="Use a value from 0 to 1."),
            "r.json: 'score' is 1.4. Use a value from 0 to 1.",
        ),
        (VisError("it ends early.", hint="Copy it again."), "it ends early. Copy it again."),
        (VisError("is 2", where="[optim]", field="lr").inside("run.toml"), "run.toml: [optim]: lr is 2"),
        (VisError("is 2", field="lr").inside("run.toml"), "run.toml: lr is 2"),
        (VisError("damaged", hint="Copy it.").with_hint("Use --resume."), "damaged. Copy it. Use --resume."),
    ],
)
def test_the_parts_are_joined_to_one_line(error: VisError, line: str) -> None:
    assert str(error) == line


def test_an_error_keeps_its_parts_between_processes() -> None:
    error = VisError("is 1.4", where="r.json", field="'score'", hint="Use a value from 0 to 1.")
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
