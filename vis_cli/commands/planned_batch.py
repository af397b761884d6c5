"""Videos and options of `vis batch`: the plan, and the work items with their settings and result paths.

Used by `batch_run`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import Any, TypeAlias, TypeVar

from vis_cli import options
from vis_cli.batch.driver import WorkItem, is_settled
from vis_cli.batch.manifest import Row
from vis_cli.batch.place import same_folder_key
from vis_cli.batch.plan import Plan
from vis_cli.batch.remote_inputs import find_remote, remote_versions
from vis_cli.batch.scratch import Scratch
from vis_cli.batch.tasks import VideoTask, hash_fields, name_tasks, result_path
from vis_cli.batch.video_list import is_list, read_list, task_of
from vis_cli.commands.batch import BatchOptions
from vis_cli.commands.batch_options import FileOptions
from vis_cli.commands.batch_worker import WorkerSetup
from vis_cli.commands.given_inputs import GivenOptions
from vis_cli.commands.method_settings import method_settings, sets
from vis_cli.console import Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.files.reading import real_path
from vis_cli.files.urls import is_url, shown_url
from vis_cli.records.category_names import read_only
from vis_cli.records.inputs import find_inputs
from vis_cli.settings import GIVEN_MASKS, SegmentSettings, split_overrides

Value = TypeVar("Value")
Version: TypeAlias = tuple[int | None, int | None]  # size in bytes, and time of the last change or hash of the ETag

_hash = functools.lru_cache(hash_fields)  # most videos of a batch have the same fields


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Options that the results depend on. The plan stores them."""

    model: options.ModelOptions = field(default_factory=options.ModelOptions)
    method: options.MethodOptions = field(default_factory=options.MethodOptions)
    only: tuple[str, ...] = ()
    files: FileOptions = field(default_factory=FileOptions)
    run: options.RunOptions = field(default_factory=options.RunOptions)

    def as_json(self) -> dict[str, Any]:
        """Return the options as JSON. --overwrite applies to one run only."""
        values = dataclasses.asdict(dataclasses.replace(self, files=dataclasses.replace(self.files, overwrite=False)))
        path = self.method.settings_file
        values["method"]["settings_file"] = None if path is None else str(path.absolute())
        values["only"] = list(self.only)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BatchRequest:
        """Return the options of a plan."""
        path = values["method"]["settings_file"]
        method = {**values["method"], "settings_file": None if path is None else Path(path)}
        return cls(
            options.ModelOptions(**values["model"]),
            options.MethodOptions(**method),
            tuple(values["only"]),
            FileOptions(**values["files"]),
            options.RunOptions(**values["run"]),
        )


class PlannedBatch:
    """The settings of a batch, and the work items of its videos."""

    def __init__(
        self,
        out: Path,
        request: BatchRequest,
        reporter: Reporter,
        *,
        has: Callable[[Path], bool] = Path.exists,
    ) -> None:
        """Check the settings of the run.

        Raises:
            UsageError: A setting of the run is invalid.
        """
        self.request = request
        self.out = out
        self._has = has  # whether a result exists
        self._reporter = reporter
        self._configs: dict[tuple[bool, tuple[str, ...]], tuple[SegmentSettings, str]] = {}
        self._run_settings = request.run.settings(request.method.preset, request.method.overrides or ())

    def items(self, tasks: Sequence[VideoTask]) -> Iterator[WorkItem]:
        """Check the settings of all videos, and return an iterator: a million items need more memory than their tasks.

        Raises:
            UsageError: A setting is invalid, or the model is not available.
        """
        examples = {(task.masks is not None, task.settings): task.path for task in reversed(tasks)}  # the first of each
        for (has_masks, settings), path in examples.items():
            try:
                self._config(has_masks=has_masks, settings=settings)
            except VisError as error:
                if not settings:
                    raise
                raise UsageError(f"the settings of {printable(path)}: {error}") from error
        versions = remote_versions(tasks)
        return (self._item(task, versions) for task in tasks)

    def unsettled(self, items: Iterable[WorkItem], last: Mapping[str, Row]) -> list[WorkItem]:
        """Return the videos without a valid final row. With --overwrite: all videos."""
        if self.request.files.overwrite:
            return list(items)
        return [item for item in items if not is_settled(item, last.get(item.task.name), has=self._has)]

    def setup(self, *, debug: bool) -> WorkerSetup:
        """Return the options of the workers."""
        request = self.request
        batch = BatchOptions(
            request.model.name,
            self._config(has_masks=False, settings=())[0],
            self._run_settings,
            request.files.overwrite,
            request.model.detector,
            request.model.propagator,
            GivenOptions(only=as_usage(lambda: read_only(request.only))),
            sets_score_source=sets("score_source", request.method),
        )
        return WorkerSetup(batch, request.files.render, debug)

    def _item(self, task: VideoTask, versions: Mapping[str, Version]) -> WorkItem:
        config, production = self._config(has_masks=task.masks is not None, settings=task.settings)
        settings = _hash((production, task.start, task.end, task.masks))
        if task.masks is not None:
            masks = versions[task.masks] if task.masks in versions else _version(task.masks)
            settings = _hash((settings, *masks))
        size, modified = versions.get(task.path) or _version(task.path)
        result = result_path(self.out, task.name, is_flat=self.request.files.flat)
        return WorkItem(task, result, config, settings, size=size, modified=modified)

    def _config(self, *, has_masks: bool, settings: tuple[str, ...]) -> tuple[SegmentSettings, str]:
        """Return the settings of the method, and a hash of all that the results of these settings depend on.

        Raises:
            VisError: A setting is invalid, or `settings` contains a setting of the run.
        """
        key = (has_masks, settings)
        if key not in self._configs:
            for text in split_overrides(settings)[1]:
                hint = f"Remove it from the list, and use --set {text}."
                raise VisError("applies to all videos of the batch", field=text.partition("=")[0].strip(), hint=hint)
            request = self.request
            overrides = [*(request.method.overrides or ()), *settings]
            method = dataclasses.replace(request.method, overrides=overrides)
            preset = GIVEN_MASKS if has_masks else "default"
            config = method_settings(method, self._reporter, preset=preset)
            self._configs[key] = (config, self._production(config, detects=not has_masks))
        return self._configs[key]

    def _production(self, config: SegmentSettings, *, detects: bool) -> str:
        from vis_cli.engine.production import expected_production

        model, request = self.request.model, self.request
        info, used = as_usage(
            lambda: expected_production(
                model.name,
                config,
                detector=model.detector,
                propagator=model.propagator,
                detects=detects,
                precision=self._run_settings.precision,
            )
        )
        only = request.only if detects else ()
        return hash_fields((info.sha256, dataclasses.asdict(used), only, request.files.render))


def stored_request(plan: Plan, out: Path) -> BatchRequest:
    """Return the options of a plan.

    Raises:
        VisError: The plan is damaged.
    """
    try:
        return BatchRequest.from_json(plan.options)
    except (KeyError, TypeError, AttributeError) as error:
        raise VisError(f"cannot read {out}: the plan is damaged", hint="Run the batch again.") from error


def list_tasks(inputs: Sequence[str], reporter: Reporter, scratch: Scratch | None = None) -> list[VideoTask]:
    """Return the videos of lists, folders, patterns and URLs, with their names.

    Args:
        inputs: Values of INPUT.
        reporter: Receiver of warnings.
        scratch: Folder for the copies of remote lists.

    Raises:
        UsageError: A list cannot be read or is invalid, or two videos have the same name.
        VisError: Another input cannot be read.
    """
    tasks: list[VideoTask] = []
    paths: dict[Path | str, VideoTask] = {}
    for text in inputs:
        if is_url(text):
            find = functools.partial(find_remote, text, reporter, scratch or Scratch(None))
            found, is_a_list = as_usage(find)
            tasks += found if is_a_list else ()
            paths.update({} if is_a_list else {task.path: task for task in found})
        elif is_list(Path(text)):
            tasks += as_usage(functools.partial(read_list, Path(text), reporter))
        else:
            paths.update({real_path(path): task_of(path) for path in find_inputs([text])})
    return as_usage(lambda: name_tasks([*tasks, *paths.values()]))


def protect_folders(out: str, tasks: Sequence[VideoTask], files: FileOptions) -> None:
    """Reject overlay videos in a folder of the videos: the next run would segment them.

    Raises:
        UsageError: `out` is the folder of a video.
    """
    folders = {os.path.dirname(task.path) for task in tasks}  # noqa: PTH120 (faster than a Path per video)
    if files.render and files.flat and same_folder_key(out) in set(map(same_folder_key, folders)):
        raise UsageError(
            f"cannot write overlay videos to {shown_url(out)}: it contains the videos", hint="Use another -o DIR."
        )


def _version(path: str) -> Version:
    """Return size and modification time of a file, or of all files in a folder of frames. None: it is missing."""
    try:
        found = [os.stat(path)]  # noqa: PTH116 (a Path per video takes longer than the system call)
        if S_ISDIR(found[0].st_mode):  # its own time does not change with the content of an image
            with os.scandir(path) as entries:
                found += map(_entry_version, entries)
    except (OSError, ValueError):
        return None, None
    return sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)


def _entry_version(entry: os.DirEntry[str]) -> os.stat_result:
    """Return the version of an entry of a folder. A broken link has its own."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def as_usage(call: Callable[[], Value]) -> Value:
    """Call a function, and report its error as wrong usage.

    Raises:
        UsageError: The function raised a VisError.
    """
    try:
        return call()
    except VisError as error:
        raise UsageError(str(error)) from error
