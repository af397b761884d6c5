"""One case: a number decides the kind of input, its damage and the command that reads it.

Made in the child process that runs it, or read again from the folder of a fault.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

SEEDS = "{seeds}"  # stands in arguments for the folder of valid inputs
WORK = Path("a/b/c/work")  # the current folder of a case, deep enough to see what climbs out of it
INPUT, OUTPUT = "in", "out"  # below WORK; the names of outputs start with OUTPUT
TEMPORARY, HOME = "tmp", "home"  # beside WORK's first folder

Maker = Callable[["Workshop"], list[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """Hold what is run, and of what kind its input is."""

    kind: str
    argv: list[str]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Hold what a maker of cases needs: choices, valid inputs, and the folder where its inputs belong."""

    rng: Random
    seeds: Path
    input: Path

    def take(self, source: str, name: str | None = None) -> Path:
        """Copy a valid file or folder to the inputs."""
        original = self.seeds / source
        target = self.input / (name or original.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if original.is_dir():
            shutil.copytree(original, target, symlinks=True)
        else:
            shutil.copyfile(original, target)
        return target

    def change(self, path: Path, mutate: Callable[[Random, bytes], bytes]) -> None:
        """Rewrite a file with a mutator."""
        path.write_bytes(mutate(self.rng, path.read_bytes()))

    def often(self, share: float) -> bool:
        """Return True with this probability."""
        return self.rng.random() < share

    def name(self, path: Path) -> str:
        """Return the path as the command gets it: relative to its current folder."""
        return str(path.relative_to(self.input.parent))


def make_case(number: int, seeds: Path, folder: Path, kinds: Mapping[str, tuple[int, Maker]]) -> Case:
    """Write the inputs of a case below `folder` and return its command.

    Args:
        number: decides everything.
        seeds: the valid inputs.
        folder: of the case; made here.
        kinds: weight and maker of each kind of input.
    """
    rng = Random(number)
    names = sorted(kinds)
    (kind,) = rng.choices(names, [kinds[name][0] for name in names])
    make_folders(folder)
    return Case(kind, kinds[kind][1](Workshop(rng, seeds, folder / WORK / INPUT)))


def make_folders(folder: Path) -> None:
    """Make what every case has: its inputs, temporary files and home."""
    for name in (WORK / INPUT, TEMPORARY, HOME):
        (folder / name).mkdir(parents=True)


def write_case(case: Case, path: Path) -> None:
    """Keep a case's command."""
    path.write_text(json.dumps({"kind": case.kind, "argv": case.argv}, indent=1) + "\n")


def read_case(path: Path) -> Case:
    """Read what `write_case` wrote."""
    data = json.loads(path.read_text())
    return Case(data["kind"], data["argv"])


def repeat_case(fault: Path, folder: Path) -> Case:
    """Copy the inputs of a fault to a new folder and return its command."""
    make_folders(folder)
    (folder / WORK / INPUT).rmdir()
    kept = fault / INPUT
    shutil.copytree(kept, folder / WORK / INPUT, symlinks=True, copy_function=copy_any)
    return read_case(fault / "case.json")


def copy_any(source: str, target: str) -> None:
    """Copy a regular file with its holes; make a pipe or socket anew."""
    import os
    import stat
    import subprocess

    mode = os.lstat(source).st_mode
    if stat.S_ISREG(mode):
        subprocess.run(["cp", "--sparse=always", "--", source, target], check=True)
    else:
        os.mknod(target, mode)
