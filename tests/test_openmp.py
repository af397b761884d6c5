"""Waiting threads: the choice of the user is kept, and torch is imported after the choice of `vis`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vis_cli.openmp import CHOICES, SETTINGS, wait_passively


@pytest.fixture(autouse=True)
def _without_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOICES:
        monkeypatch.setenv(name, "")  # so that the variable is restored after the test
        monkeypatch.delenv(name)


def test_threads_wait_passively_by_default() -> None:
    wait_passively()
    assert {name: os.environ[name] for name in SETTINGS} == SETTINGS


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_the_choice_of_the_user_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "ACTIVE")
    wait_passively()
    assert {key: os.environ.get(key) for key in CHOICES} == dict.fromkeys(CHOICES) | {name: "ACTIVE"}


def test_vis_chooses_before_torch_is_imported() -> None:
    code = (
        "import os, sys; from vis_cli.app import main\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print(os.environ['GOMP_SPINCOUNT'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [SETTINGS["GOMP_SPINCOUNT"]]
