"""The list of lowest versions is that of pyproject.toml, so that `make test-lowest` tests what is declared."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SAFE = {"torch": (2, 10), "opencv-python-headless": (4, 12), "pillow": (12, 3), "av": (17, 1)}  # known holes before


def declared() -> dict[str, str]:
    """Return the lowest version of each package that the tests need, as pyproject.toml declares it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tools = [line for line in extras["dev"] if line.startswith("pytest")]
    lines = [*project["dependencies"], *extras["training"], *extras["onnx"], *tools]
    return dict(line.partition(";")[0].strip().split(">=") for line in lines)


def test_the_constraints_are_exactly_the_declared_versions() -> None:
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    assert dict(line.split("==") for line in lines if not line.startswith("#")) == declared()


def test_no_version_with_a_known_hole_is_allowed() -> None:
    versions = declared()
    for name, lowest in SAFE.items():
        assert tuple(int(part) for part in re.findall(r"\d+", versions[name])) >= lowest, name
