"""The garbage collector pauses during imports only."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vis_cli.import_pause import pause_collector

SAMPLES = Path(__file__).parents[1] / "sample_videos"


def raise_in_a_pause() -> None:
    """Raise an error where imports of a command are expected."""
    with pause_collector():
        raise ImportError("no module")


def test_the_collector_runs_again_after_the_pause() -> None:
    with pause_collector():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_runs_again_after_a_failed_import() -> None:
    with pytest.raises(ImportError, match="no module"):
        raise_in_a_pause()
    assert gc.isenabled()


def test_a_disabled_collector_stays_disabled() -> None:
    gc.disable()
    try:
        with pause_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_later_collections_skip_imported_modules_only(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = gc.get_freeze_count()
    with pause_collector():
        pass  # all modules are already imported
    assert gc.get_freeze_count() <= frozen
    try:
        with pause_collector():
            monkeypatch.setitem(sys.modules, "a_new_module", sys)
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_segment_imports_torch_in_a_pause(tmp_path: Path) -> None:
    """The command prints if the collector is enabled when a module is imported, and ends at timm."""
    code = (
        "import gc, os, sys; from vis_cli.app import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('cv2', 'torch', 'timm', 'scenedetect'):\n"
        "            print(name, gc.isenabled(), file=sys.stderr)\n"
        "        return os._exit(0) if name == 'timm' else None\n"
        "sys.meta_path.insert(0, Finder())\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "segment", str(SAMPLES / "cat.mp4"), "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"})
    imports = dict(line.split() for line in done.stderr.splitlines())
    assert imports == {"cv2": "False", "torch": "False", "timm": "False"}
