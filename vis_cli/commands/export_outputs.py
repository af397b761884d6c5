"""Checks of the output of `vis export`.

Used by `export`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vis_cli.commands.outputs import protect_files
from vis_cli.console import UsageError
from vis_cli.files.reading import real_path
from vis_cli.messages import Messages, counted
from vis_cli.records.bundle import ZIP_SUFFIX
from vis_cli.records.exports.formats import FORMATS
from vis_cli.records.exports.tables import instances_path


def check_output(out: Path, to: str, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Check that an export can be written to `out`.

    Args:
        out: The output.
        to: The format.
        inputs: Files that the command reads.
        overwrite: Whether existing files can be replaced.

    Raises:
        UsageError: The format needs another name, `out` is an input or the folder of an input, or it exists.
    """
    chosen, suffix = FORMATS[to], out.suffix.lower()
    is_file = suffix == chosen.suffix
    known = {item.suffix for item in FORMATS.values() if item.suffix}
    if not is_file and (not chosen.bundles or (suffix in known and not out.is_dir())):
        raise UsageError(f"cannot write {out}: {to} has another file extension", hint=f"Use {chosen.outputs}.")
    is_file = is_file or suffix == ZIP_SUFFIX
    if is_file and out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder", hint="Use another -o OUT.")
    if not is_file and out.is_file():
        raise UsageError(f"cannot write {out}: it is a file", hint=f"Use {chosen.outputs}.")
    outputs = [out, instances_path(out)] if to in ("csv", "parquet") else [out]
    for output in outputs:
        protect_files(output, inputs)
        if output.exists() and not _is_empty_folder(output) and not overwrite:
            raise UsageError(f"cannot write {output}: it exists", hint="Use --overwrite to replace it.")
    if not is_file:
        protect_folder(out, inputs)


def protect_folder(out: Path, inputs: Sequence[Path]) -> None:
    """Reject a folder of many new files that contains an input.

    Raises:
        UsageError: An input is in `out`.
    """
    for path in inputs:
        if real_path(out) == real_path(path.parent):
            raise UsageError(
                f"cannot write to {out}: the folder contains the input {path.name}", hint="Use another -o OUT."
            )


def output_files(out: Path) -> dict[Path, int]:
    """Return the files in an existing folder, each with its inode, which changes when the file is replaced."""
    return {path: path.stat().st_ino for path in out.rglob("*") if path.is_file()} if out.is_dir() else {}


def kept_files(before: Mapping[Path, int]) -> list[Path]:
    """Return the files of `output_files` that were not replaced."""
    return [path for path, inode in before.items() if path.exists() and path.stat().st_ino == inode]


def report_kept(out: Path, kept: Sequence[Path], messages: Messages) -> None:
    """Warn about files of earlier exports, which another tool reads as a part of the new one."""
    if kept:
        messages.warn(f"{out} also contains {counted(len(kept), 'file')} that this export did not write")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
