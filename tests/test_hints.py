"""The nearest known name."""

from __future__ import annotations

from pathlib import Path

import vis_cli
from vis_cli.hints import did_you_mean, nearest


def test_nearest() -> None:
    assert nearest("liet", ["r50", "lite"]) == "lite"
    assert nearest("zzz", ["r50", "lite"]) is None
    assert nearest("lita", ["lite"], cutoff=0.9) is None
    assert nearest("lite", []) is None


def test_did_you_mean() -> None:
    assert did_you_mean("liet", ["r50", "lite"]) == "Did you mean lite?"
    assert did_you_mean("zzz", ["r50", "lite"]) == "Use one of: lite, r50."
    assert did_you_mean("zzz", []) == "None is known."


def test_no_other_module_looks_for_near_names() -> None:
    package = Path(vis_cli.__file__).parent
    users = [path.relative_to(package) for path in package.rglob("*.py") if "difflib" in path.read_text("utf-8")]
    assert users == [Path("hints.py")]
