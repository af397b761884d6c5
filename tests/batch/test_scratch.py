"""Scratch folders are removed, also after the process was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vis_cli.batch.scratch import PREFIX, Scratch

CHILD = """
import os, signal, sys
from pathlib import Path
from vis_cli.batch.scratch import Scratch
with Scratch(Path(sys.argv[1])) as scratch:
    (scratch.make("video") / "a.mp4").write_bytes(b"x")
    if len(sys.argv) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_scratch_folder_exists_from_its_first_use_to_the_end(tmp_path: Path) -> None:
    with Scratch(tmp_path / "scratch") as scratch:
        assert list(tmp_path.iterdir()) == []
        first, second = scratch.make("video"), scratch.make("video")
        assert first != second
        (first / "a.mp4").write_bytes(b"x")
        assert first.parent.name.startswith(PREFIX)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    subprocess.run(command, check=False)
    (killed,) = tmp_path.glob(f"{PREFIX}*")
    with subprocess.Popen([*command, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        assert not killed.exists()
        (kept,) = tmp_path.glob(f"{PREFIX}*/video-*/a.mp4")
        with Scratch(tmp_path) as other:
            other.make("video")
            assert kept.exists()
        assert list(tmp_path.glob(f"{PREFIX}*")) == [kept.parents[1]]
        running.communicate()
    assert list(tmp_path.iterdir()) == []
