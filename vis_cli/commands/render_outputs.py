"""Output files of `vis render`: their names and formats, and checks before they are written.

Used by `render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.commands.export_outputs import protect_folder
from vis_cli.commands.rendering import MOV, PNG, WEBM
from vis_cli.console import UsageError
from vis_cli.files.names import printable
from vis_cli.messages import counted
from vis_cli.records.bundle import ZIP_SUFFIX
from vis_cli.records.media_folder import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vis_cli.records.renderings.modes import CONTACT_SHEET, JPEG, MP4, Mode
from vis_cli.records.types import InstanceSequence

STILLS = (JPEG, ".jpeg", PNG)
VIDEOS = (MP4, MOV, WEBM)
OTHER_FILES = IMAGE_SUFFIXES | VIDEO_SUFFIXES | {ZIP_SUFFIX, ".json"}  # names that do not look like a folder
WITH_ALPHA = "Use a name that ends in .mov or .webm, or a folder for PNG images."


@dataclass(frozen=True, slots=True)
class Output:
    """One file, or one folder of PNG images."""

    path: Path
    suffix: str  # format
    is_sequence: bool  # `path` is a folder of images
    instances: tuple[InstanceSequence, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """The value of -o with the format of the outputs."""

    out: Path
    suffix: str
    is_file: bool  # `out` is the only file
    is_sequence: bool  # each output is a folder of images
    is_shared: bool = False  # several results write into the folder `out`

    def outputs(self, name: str, instances: Sequence[InstanceSequence], *, per_object: bool) -> list[Output]:
        """Return the outputs of one result.

        Args:
            name: Name of the result.
            instances: The selected instances.
            per_object: Whether each instance has its own output.

        Raises:
            UsageError: Several objects need several files, but `out` is one file.
        """
        if not per_object:
            return [self._output(self._path(name), instances)]
        if self.is_file and len(instances) > 1:
            problem = f"cannot write {self.out}: --per-object writes {counted(len(instances), 'file')}"
            hint = f"Use a folder with --format {self.suffix[1:]}, or --only ID."
            raise UsageError(problem, hint=hint)
        if self.is_file:
            return [self._output(self.out, [instance]) for instance in instances]
        end = "" if self.is_sequence else self.suffix
        return [self._output(self.out / f"{name}_{instance.id}{end}", [instance]) for instance in instances]

    def _output(self, path: Path, instances: Sequence[InstanceSequence]) -> Output:
        return Output(path, self.suffix, self.is_sequence, tuple(instances))

    def _path(self, name: str) -> Path:
        if self.is_file or (self.is_sequence and not self.is_shared):
            return self.out
        return self.out / (name if self.is_sequence else f"{name}{self.suffix}")


def parse_destination(
    out: Path, name: str, mode: Mode, file_format: str | None, *, alpha: bool, is_shared: bool
) -> Destination:
    """Return the destination for the value of -o.

    Args:
        out: Value of -o.
        name: Name of the mode.
        mode: The mode.
        file_format: Value of --format.
        alpha: Whether the mode writes transparent pixels.
        is_shared: Whether there are several results.

    Raises:
        UsageError: The mode has another file extension, the format has no alpha, or several results need a folder.
    """
    is_still = name == CONTACT_SHEET
    suffixes, suffix = STILLS if is_still else VIDEOS, out.suffix.lower()
    is_file = suffix in suffixes
    if is_file and out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder", hint=f"Use another -o OUT{suffix}.")
    if not is_file and suffix in OTHER_FILES and not out.is_dir():
        default, others = (JPEG, "another format is .png") if is_still else (MP4, "other formats are .mov and .webm")
        hint = f"Use a name that ends in {default}. The {others}. A folder also works."
        if alpha:
            hint = WITH_ALPHA
        raise UsageError(f"cannot write {out}: {name} does not write {suffix} files", hint=hint)
    if is_file and file_format is not None:
        raise UsageError(f"--format applies to a folder, but {out} is a file", hint="Omit --format.")
    if is_file and is_shared:
        raise UsageError(f"cannot write {out}: one file contains one video", hint="Use a folder.")
    chosen = suffix if is_file else _folder_suffix(file_format, mode, is_still=is_still)
    if alpha and chosen == MP4:
        hint = WITH_ALPHA if name == "alpha" else f"{WITH_ALPHA} Or use --background white."
        raise UsageError(f"cannot write {out}: MP4 cannot store transparency", hint=hint)
    if not is_file and out.is_file():
        raise UsageError(f"cannot write {out}: it is a file", hint="Use another -o OUT.")
    return Destination(out, chosen, is_file, is_sequence=not is_still and chosen == PNG, is_shared=is_shared)


def check_writable(outputs: Iterable[Output], source: Path, others: Sequence[Path], *, overwrite: bool) -> None:
    """Check that the outputs of a result can be written.

    Args:
        outputs: The outputs.
        source: Video of the result.
        others: Further inputs, such as the results.
        overwrite: Whether existing files can be replaced.

    Raises:
        UsageError: An output is an input, is a folder or a file of the same name, or exists without `overwrite`.
    """
    for output in outputs:
        path, is_folder = output.path, output.path.is_dir()
        for given in _same(path, [source, *others]):
            what = "the video itself" if given == source else "an input"
            raise UsageError(f"cannot write {path}: it is {what}", hint=f"Use another -o OUT{output.path.suffix}.")
        if is_folder and not output.is_sequence:
            raise UsageError(f"cannot write {path}: it is a folder", hint=f"Use another -o OUT{output.path.suffix}.")
        if output.is_sequence:
            protect_folder(path, [source, *others])
        if path.exists() and not overwrite and not (is_folder and not any(path.iterdir())):
            raise UsageError(f"cannot write {path}: it exists", hint="Use --overwrite to replace it.")


def _folder_suffix(file_format: str | None, mode: Mode, *, is_still: bool) -> str:
    if file_format is None:
        return mode.in_folder
    allowed = [suffix[1:] for suffix in (STILLS if is_still else (*VIDEOS, PNG))]
    if file_format.lower() not in allowed:
        hint = f"Use one of: {', '.join(allowed)}."
        raise UsageError(f"--format: no format {printable(file_format)!r}", hint=hint)
    return f".{file_format.lower()}"


def _same(path: Path, others: Sequence[Path]) -> Iterator[Path]:
    """Yield the existing paths that are the same file or folder as `path`."""
    if path.exists():
        yield from (other for other in others if other.exists() and path.samefile(other))
