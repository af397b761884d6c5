"""Where the results of a batch go, and what of them is there already.

Used by `segment`: every input gets its own names, nothing foreign and no input is ever overwritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.records.inputs import is_folder
from vis_cli.records.result_json import read_result
from vis_cli.records.types import VideoResult


@dataclass(frozen=True, slots=True)
class Job:
    """Name one input, the masks given for it, and the files that come of it; each is None where none is wanted."""

    source: Path
    name: str
    result: Path
    overlay: Path | None
    masks: Path | None = None  # given instead of detections

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return the files that are to be made."""
        return (self.result,) if self.overlay is None else (self.result, self.overlay)


def plan_jobs(sources: Sequence[Path], out: Path, *, render: bool, masks: Path | None = None) -> list[Job]:
    """Give each input names of its own in the folder `out`, in the inputs' order."""
    taken: set[str] = set()
    jobs = []
    for source in sources:
        name = next(name for name in _candidate_names(source) if name.casefold() not in taken)
        taken.add(name.casefold())  # some file systems do not tell Clip from clip
        jobs.append(Job(source, name, out / f"{name}.json", out / f"{name}.mp4" if render else None, masks))
    return jobs


def default_name(source: Path) -> str:
    """Return what the results of a video are called where no other video has that name."""
    source = source.absolute()  # '.' has no name of its own
    return source.name if source.is_dir() else source.stem


def prepare_folder(out: Path) -> None:
    """Make the folder `out` and see that a file can be written into it, before any work is done for nothing.

    Raises:
        UsageError: it cannot be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UsageError(f"{out}: cannot be written to ({error.strerror}); give another folder with -o") from error


def existing_result(job: Job) -> VideoResult | None:
    """Return the result that an earlier run made of this input, None if there is none.

    Raises:
        VisError: what is in its place is damaged or of another origin.
    """
    if not job.result.exists():
        if job.overlay is not None and job.overlay.exists():
            raise VisError(f"{job.overlay} exists without its {job.result.name}: --overwrite replaces it")
        return None
    result = read_result(job.result)
    origin = result.video.path
    if origin.exists() and not origin.samefile(job.source):
        raise VisError(f"{job.result} is the result of another video, {origin}: give another -o, or --overwrite")
    return result


def protect_inputs(jobs: Sequence[Job], inputs: Sequence[str]) -> None:
    """Refuse a batch that would write over one of its own inputs, or change what a folder among the `inputs` means.

    Raises:
        UsageError: an output is an input, or an overlay video would lie in a folder that is one.
    """
    sources = {job.source.resolve() for job in jobs}
    folders = sources | {Path(text).resolve() for text in inputs if is_folder(text)}
    for job in jobs:
        if job.overlay is not None and job.overlay.parent.resolve() in folders:
            raise UsageError(
                f"{job.overlay.parent} is an input, where {job.overlay.name} would be taken for one the next time: "
                "give another folder with -o, or --no-render"
            )
        for output in job.outputs:
            if output.resolve() in sources:
                raise UsageError(f"{output} is an input and would be overwritten: give another folder with -o")


def protect_files(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write over a file that is read, even where the user asks to overwrite.

    Raises:
        UsageError: `out` is one of the `inputs`.
    """
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise UsageError(f"{out} is an input, which is never written to: give another name")


def _candidate_names(source: Path) -> Iterator[str]:
    """Yield names for an input, the nicest first: clip, clip_mov, holiday_clip, clip_2, clip_3, …"""
    name = default_name(source)
    yield name
    if source.suffix and not source.is_dir():
        yield f"{name}_{source.suffix[1:]}"
    yield f"{source.absolute().parent.name}_{name}"
    yield from (f"{name}_{number}" for number in count(2))
