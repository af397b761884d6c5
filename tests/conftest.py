"""What every test gets: a wide and plain terminal, so that printed text can be compared, and a working Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest

os.environ.pop("COLUMNS", None)  # rich takes the width when it is imported; pytest-xdist and shells set it


def pytest_sessionstart() -> None:
    """Handle SIGINT: a shell starts background jobs with SIGINT ignored, which processes of the tests inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Collect no garbage while tests are imported: imports create many objects and hardly any garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exclude the imported modules and the thousands of tests from later collections, which would take long."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def plain_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def narrow_backbone() -> Iterator[None]:
    """Build a small network for `efficientnet_lite2`: made, trained, written and read in a fraction of the time."""
    from tests.network.factories import NarrowBackbone
    from vis_cli.network.backbones import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "efficientnet_lite2", NarrowBackbone)
        yield
