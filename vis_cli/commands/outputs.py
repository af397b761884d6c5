"""Output files of a batch, and their existing versions.

Used by `segment`. Each input has its own output names. Inputs and files of other videos are never overwritten.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vis_cli.commands.own_results import OwnResults, is_own
from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.locks import exclusive_lock, remove_leftovers
from vis_cli.files.names import folded_name, safe_file_name
from vis_cli.files.reading import real_path
from vis_cli.files.urls import is_inside_url, shown_url, url_of
from vis_cli.records.inputs import is_folder
from vis_cli.records.result_head import ResultHead, read_head
from vis_cli.records.result_json import read_result

RESULT_SUFFIX, OVERLAY_SUFFIX = ".json", ".mp4"
MAX_STEM_BYTES = MAX_NAME_BYTES - len(RESULT_SUFFIX)
NAMELESS = "root"  # name of the results of / and of inputs whose name consists of dots


@dataclass(frozen=True, slots=True)
class Job:
    """One input, the masks or detections given for it, and its output files."""

    source: Path
    name: str
    result: Path
    overlay: Path | None
    masks: Path | None = None  # used instead of detected objects
    detections: Path | None = None  # used instead of the detections of the model
    stored: ResultHead | None = None  # existing result of this source when the batch was planned
    version: tuple[int, int, int] | None = (
        None  # version of the file `result` at that time; None: the file did not exist
    )
    origin: Path | None = None  # URL of a remote video whose copy is `source`. The result stores it

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return the files to write."""
        return (self.result,) if self.overlay is None else (self.result, self.overlay)


def plan_jobs(sources: Sequence[Path], out: Path, *, render: bool, masks: Path | None = None) -> list[Job]:
    """Return one job per input. An input keeps the name of its existing result in `out`; other inputs get free names.

    A result belongs to the input that it stores. Names are therefore independent of the other inputs and their order.
    """
    default_names = [default_name(source) for source in sources]
    results = OwnResults(out)
    own = results.assign(sources, default_names)
    taken = {folded_name(head.path.stem) for head in results.heads}
    # A file that is not a result does not change the default name of an input: the batch reports it.
    occupied = taken | _stems(out, (RESULT_SUFFIX, OVERLAY_SUFFIX) if render else (RESULT_SUFFIX,))
    jobs = []
    for source, default in zip(sources, default_names, strict=True):
        head = own.get(source)
        name = _free_name(source, default, taken, occupied) if head is None else head.path.stem
        taken.add(folded_name(name))
        jobs.append(make_job(source, name, out, render=render, masks=masks, stored=head))
    return jobs


def make_job(
    source: Path, name: str, out: Path, *, render: bool, masks: Path | None = None, stored: ResultHead | None = None
) -> Job:
    """Return the job that writes results called `name` in the folder `out`."""
    result = out / f"{name}{RESULT_SUFFIX}"
    overlay = out / f"{name}{OVERLAY_SUFFIX}" if render else None
    return Job(source, name, result, overlay, masks, stored=stored, version=_version(result))


def default_name(source: Path) -> str:
    """Return the name of the results of a video if no other video has this name."""
    if source.name in ("", "..") or ".." in source.parts:
        source = real_path(source)  # '.' and '..' are not names
    name = source.name if source.is_dir() else source.stem
    return _name(name)


def prepare_folder(out: Path) -> None:
    """Create the folder `out`, check that files can be written into it, and remove leftovers of ended processes.

    Raises:
        UsageError: The folder cannot be created or written to.
    """
    if is_inside_url(out):
        problem = f"cannot write to {shown_url(url_of(out))}: only `vis batch` writes to object stores"
        raise UsageError(problem, hint="Use a local -o DIR.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        remove_leftovers(out)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}", hint="Use another -o DIR.") from error


def refreshed(job: Job) -> Job:
    """Return the job with the result that another process may have written since the batch was planned.

    Raises:
        VisError: The file is now the result of another video.
    """
    if _version(job.result) == job.version:
        return job
    head = read_head(job.result)
    if head is not None and not is_own(head, job.source, origin=job.origin):
        raise VisError(f"cannot write {job.result}: another process has written it. Run the command again.")
    return dataclasses.replace(job, stored=head, version=_version(job.result))


def require_no_folders(job: Job) -> None:
    """Check that no folder has the name of an output: `--overwrite` does not replace a folder.

    Raises:
        VisError: A folder has the name.
    """
    for output in job.outputs:
        if output.is_dir():
            raise VisError(f"cannot write {output}: it is a folder", hint="Rename the folder, or use another --out.")


def require_free(job: Job) -> None:
    """Check that the outputs of a job without an existing result do not exist.

    Raises:
        VisError: A file exists.
    """
    if job.result.exists():
        read_result(job.result)  # raises an error with the cause if the result is damaged
        raise VisError(f"cannot write {job.result}: it exists", hint="Use --overwrite to replace it.")
    if job.overlay is not None and job.overlay.exists():
        raise VisError(
            f"cannot write {job.overlay}: it exists without {job.result.name}", hint="Use --overwrite to replace it."
        )


@contextmanager
def sole_writer(job: Job) -> Iterator[None]:
    """Lock the outputs of a job until the body ends.

    Raises:
        VisError: Another process writes the result, or has written it since the batch was planned.
        OSError: The folder cannot be written to.
    """
    job.result.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(job.result):
        if _version(job.result) != job.version:
            raise VisError(f"cannot write {job.result}: another process has written it. Run the command again.")
        yield


def protect_inputs(jobs: Sequence[Job], inputs: Sequence[str], files: Sequence[Path] = ()) -> None:
    """Reject a batch that would overwrite an input, or write an overlay video into an input folder.

    Args:
        jobs: One per video.
        inputs: Values of INPUT.
        files: Files of other options that the batch reads.

    Raises:
        UsageError: An output is an input, or the folder of an overlay video is an input.
    """
    videos = {real_path(job.source) for job in jobs}
    sources = videos | {real_path(file) for file in files}
    sources |= {real_path(job.detections) for job in jobs if job.detections is not None}
    folders = videos | {real_path(text) for text in inputs if is_folder(text)}
    for job in jobs:
        if job.overlay is not None and real_path(job.overlay.parent) in folders:
            raise UsageError(
                f"cannot write {job.overlay.name} to {job.overlay.parent}: this folder is an input, and the next run "
                "would segment the overlay video",
                hint="Use another -o DIR, or --no-render.",
            )
        for output in job.outputs:
            if real_path(output) in sources:
                raise UsageError(f"cannot write {output}: it is an input", hint="Use another -o DIR.")


def protect_files(out: Path, inputs: Iterable[Path]) -> None:
    """Reject an output that is also an input, even with --overwrite.

    Raises:
        UsageError: `out` is one of the `inputs`.
    """
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise UsageError(f"cannot write {out}: it is an input", hint="Use another output name.")


def _free_name(source: Path, default: str, taken: Set[str], occupied: Set[str]) -> str:
    """Return the first free name for an input, in this order: clip, clip_mov, holiday_clip, clip_2, clip_3, …"""
    if folded_name(default) not in taken:
        return default
    names = _further_names(source, default)
    return next(name for name in names if folded_name(name) not in taken | occupied)


def _further_names(source: Path, default: str) -> Iterator[str]:
    if source.suffix and not source.is_dir():
        yield _name(default, f"_{_name(source.suffix[1:])}")
    yield _name(f"{source.absolute().parent.name}_{default}")
    yield from (_name(default, f"_{number}") for number in count(2))


def _name(text: str, tail: str = "") -> str:
    return safe_file_name(text, max_bytes=MAX_STEM_BYTES, fallback=NAMELESS, tail=tail)


def _stems(folder: Path, suffixes: Sequence[str]) -> set[str]:
    return {folded_name(path.stem) for suffix in suffixes for path in folder.glob(f"*{suffix}")}


def _version(path: Path) -> tuple[int, int, int] | None:
    """Return inode, modification time and size of a file, which change when it is written. None: no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
