"""Run of `vis batch`: plans the videos, starts the workers and prints the outcome. Used by `batch_videos`."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from vis_cli import options
from vis_cli.batch.driver import (
    PollingRunner,
    Runner,
    WorkerError,
    WorkItem,
    drive,
    longest_first,
    next_attempt,
)
from vis_cli.batch.local_workers import LocalWorkers, Serve
from vis_cli.batch.manifest import ManifestWriter, Row, last_rows
from vis_cli.batch.place import Place, addressed_errors, open_place
from vis_cli.batch.plan import Plan, other_plans, read_plan, write_plan
from vis_cli.batch.process_limits import CORES_PER_WORKER, Limits, memory_share, num_cores, num_gpus
from vis_cli.batch.ray_workers import RayOptions, RayWorkers
from vis_cli.batch.scratch import Scratch
from vis_cli.batch.staging import Stage, staged_workers
from vis_cli.batch.tasks import Shard, VideoTask, parse_shard
from vis_cli.batch.video_list import is_list
from vis_cli.commands.batch_options import LimitOptions, StateOptions, WorkerOptions
from vis_cli.commands.batch_report import export_manifest, print_estimate, print_status
from vis_cli.commands.batch_worker import serve
from vis_cli.commands.option_groups import changed_options
from vis_cli.commands.outputs import prepare_folder
from vis_cli.commands.planned_batch import (
    BatchRequest,
    PlannedBatch,
    as_usage,
    list_tasks,
    protect_folders,
    stored_request,
)
from vis_cli.console import EXIT_FAILED, EXIT_INTERRUPTED, BatchProgress, Reporter, UsageError
from vis_cli.files.urls import is_url, url_name
from vis_cli.messages import counted


def run_batch_command(
    inputs: Sequence[str],
    out: str | None,
    request: BatchRequest,
    workers: WorkerOptions,
    limits: LimitOptions,
    state: StateOptions,
    messages: options.MessageOptions,
) -> None:
    """Run `vis batch`, and exit with its exit code."""
    reporter = messages.reporter
    with reporter.guard(), Scratch(workers.scratch) as scratch:
        require_one_mode(inputs, out, request, workers, state)
        address = state.status or state.retry or out
        if address is None:
            raise UsageError("-o DIR is missing. Add the folder of the results.")
        require_no_file(address)
        if workers.ray is not None and not is_url(address):
            address = str(Path(address).absolute())  # the workers have other current folders
        place = as_usage(lambda: open_place(address, scratch, reporter))
        with addressed_errors(place):
            if state.status is not None:
                if state.parquet is not None:
                    export_manifest(place.folder, state.parquet, overwrite=request.files.overwrite)
                print_status(place.folder)
                return
            code = _plan_and_run(inputs, address, place, request, workers, limits, state, scratch, messages)
        if code is not None:
            raise typer.Exit(code)


def _plan_and_run(
    inputs: Sequence[str],
    address: str,
    place: Place,
    request: BatchRequest,
    workers: WorkerOptions,
    limits: LimitOptions,
    state: StateOptions,
    scratch: Scratch,
    messages: options.MessageOptions,
) -> int | None:
    """Plan and process the videos. Return the exit code, None after --dry-run."""
    reporter = messages.reporter
    shard = Shard() if workers.shard is None else as_usage(lambda: parse_shard(workers.shard or ""))
    tasks = list_tasks(inputs, reporter, scratch) if inputs else []
    if state.retry is not None:
        plan, given = read_plan(place.folder), {task.name: task for task in tasks}
        overwrite = request.files.overwrite
        request = stored_request(plan, place.folder)
        request = dataclasses.replace(request, files=dataclasses.replace(request.files, overwrite=overwrite))
        tasks = [given.get(task.name, task) for task in plan.tasks]
    else:
        tasks = [task for task in tasks if shard.has(task.name)]
    protect_folders(address, tasks, request.files)
    batch = PlannedBatch(place.folder, request, reporter, has=place.has)
    items = as_usage(lambda: batch.items(tasks))
    if state.dry_run:
        todo = batch.unsettled(items, last_rows(place.folder))
        print_estimate(place, todo, num_workers(workers), state.rate)
        return None
    prepare_folder(place.folder)
    with place.sole_driver(shard):
        last = last_rows(place.folder)
        if state.retry is None:
            warn_of_other_options(place.folder, shard, request, reporter)
            write_plan(place.folder, shard, Plan(request.as_json(), tasks))
            todo = batch.unsettled(items, last)
        else:
            todo = failed_items(items, last, state)
            tasks = [item.task for item in todo]
        todo = [next_attempt(item, last.get(item.task.name)) for item in longest_first(todo, last)]
        kinds = settled_kinds(tasks, todo, last)
        return _run(batch, todo, kinds, workers, limits, reporter, place, scratch, debug=messages.debug)


def warn_of_other_options(out: Path, shard: Shard, request: BatchRequest, reporter: Reporter) -> None:
    """Warn about shards that ran with other options: --status and --retry need the same options in all shards."""
    if others := other_plans(out, shard, request.as_json()):
        reporter.warn(
            f"the options differ from {others[0]}. For --status and --retry, use the same options for all shards, and "
            "remove plans of other batches"
        )


def require_no_file(address: str) -> None:
    """Check that the folder of the results is not a file.

    Raises:
        UsageError: It is.
    """
    if not is_url(address) and Path(address).is_file():
        raise UsageError(f"cannot use {address}: it is a file", hint="Use a folder.")


def require_one_mode(
    inputs: Sequence[str], out: str | None, request: BatchRequest, workers: WorkerOptions, state: StateOptions
) -> None:
    """Check that the options belong together.

    Raises:
        UsageError: An option has no effect, or an input is missing.
    """
    groups = (request.model, request.method, dataclasses.replace(request.files, overwrite=False), request.run)
    for option, folder in (("--status", state.status), ("--retry", state.retry)):
        if folder is None:
            continue
        others = [name for group in groups for name in changed_options(group)]
        others += [name for name in changed_options(state) if name not in ("--failed", "--timed-out", "--parquet")]
        are_lists = option == "--retry" and all(is_list(Path(url_name(text))) for text in inputs)  # secrets of URLs
        given = (
            ("INPUT", () if are_lists else inputs),
            ("-o", out),
            ("--only", request.only),
            ("--shard", workers.shard),
        )
        others += [name for name, value in given if value]
        if wrong := [name for name in others if name != option]:
            raise UsageError(f"{option} and {wrong[0]} are both given. Omit one of them.")
    if workers.ray is not None and (state.dry_run or state.status is not None):
        raise UsageError(f"{'--dry-run' if state.dry_run else '--status'} starts no workers. Omit --ray.")
    _require_needed(state)
    if state.status is None and state.retry is None:
        if not inputs:
            raise UsageError("INPUT is missing. Add a list, a folder or a pattern.")
        if out is None:
            raise UsageError("-o DIR is missing. Add the folder of the results.")


def _require_needed(state: StateOptions) -> None:
    """Check that the options of --retry and --dry-run are given with them.

    Raises:
        UsageError: An option has no effect.
    """
    for option, is_given in (("--failed", state.failed), ("--timed-out", state.timed_out)):
        if is_given and state.retry is None:
            raise UsageError(f"{option} needs --retry DIR. Add --retry, or omit {option}.")
    if state.parquet is not None and state.status is None:
        raise UsageError("--parquet needs --status DIR. Add --status, or omit --parquet.")
    if state.rate is not None and not state.dry_run:
        raise UsageError("--rate needs --dry-run. Add --dry-run, or omit --rate.")
    if state.failed and state.timed_out:
        raise UsageError("--failed and --timed-out are both given. To repeat both kinds, omit both.")


def failed_items(items: Iterable[WorkItem], last: Mapping[str, Row], state: StateOptions) -> list[WorkItem]:
    """Return the videos that --retry repeats."""
    found = []
    for item in items:
        row = last.get(item.task.name)
        if row is None or row.outcome.status != "failed":
            continue
        is_late = row.outcome.kind == "timed out"
        if not (state.failed and is_late) and not (state.timed_out and not is_late):
            found.append(item)
    return found


def settled_kinds(tasks: Sequence[VideoTask], todo: Sequence[WorkItem], last: Mapping[str, Row]) -> Counter[str]:
    """Return the number of videos that do not run, by the kind of their failure, "" if done."""
    open_ = {item.task.name for item in todo}
    return Counter(last[task.name].outcome.kind for task in tasks if task.name not in open_)


def num_workers(workers: WorkerOptions) -> int:
    """Return the number of workers: the user's, or one per GPU, or one per 4 CPU cores."""
    return workers.workers or num_gpus() or max(1, num_cores() // CORES_PER_WORKER)


def _run(
    batch: PlannedBatch,
    todo: Sequence[WorkItem],
    kinds: Counter[str],
    workers: WorkerOptions,
    limits: LimitOptions,
    reporter: Reporter,
    place: Place,
    scratch: Scratch,
    *,
    debug: bool,
) -> int:
    """Process the videos, and return the exit code. `kinds` has the kinds of the settled videos, "" if done."""
    num_before = kinds.total()
    setup = batch.setup(debug=debug)
    number = min(num_workers(workers), max(1, len(todo)))
    memory = limits.memory_limit or memory_share(number)
    bounds = Limits(limits.time_limit, limits.frame_time_limit, memory)
    bound = functools.partial(serve, setup)
    processes: AbstractContextManager[PollingRunner]
    if workers.ray is None or not todo:
        processes = make_runner(bound, number, bounds, threads=max(1, num_cores() // number))
    else:
        cluster = RayOptions(workers.ray, workers.workers, bounds, shares_memory=limits.memory_limit is None)
        processes = make_ray_runner(bound, cluster, batch.out, len(todo), reporter)
    try:
        with processes as runner, ManifestWriter(batch.out) as manifest:
            files = batch.request.files
            stage = Stage(place, scratch, renders=files.render, overwrites=files.overwrite)
            with staged_workers(runner, todo, stage, place, number=runner.num_free) as staged:
                _follow(todo, staged, manifest, kinds, reporter)
    except WorkerError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        reporter.error("interrupted. All results are kept. Run the same command again to resume.")
        return EXIT_INTERRUPTED
    return conclude(kinds, num_before=num_before, reporter=reporter)


def make_runner(serve: Serve, number: int, limits: Limits, *, threads: int) -> LocalWorkers:
    """Return the workers. They are processes of this machine."""
    return LocalWorkers(serve, number, limits, threads=threads)


def make_ray_runner(
    serve: Serve, cluster: RayOptions, out: Path, at_most: int, reporter: Reporter
) -> AbstractContextManager[PollingRunner]:
    """Return the workers. They are actors of a Ray cluster."""
    return RayWorkers(serve, cluster, out, at_most, reporter)


def _follow(
    todo: Sequence[WorkItem], runner: Runner, manifest: ManifestWriter, kinds: Counter[str], reporter: Reporter
) -> None:
    """Process the videos, and report the end of each attempt."""
    num_ended = 0
    with BatchProgress(len(todo), reporter) as progress:
        for row in drive(todo, runner, manifest):
            if row.is_final:
                num_ended += 1
                kinds[row.outcome.kind] += 1
                progress.end_video(row.outcome.frames or 0)
            _report(row, f"[{num_ended}/{len(todo)}]", reporter)


def _report(row: Row, number: str, reporter: Reporter) -> None:
    outcome = row.outcome
    if outcome.status == "done":
        seconds = "unchanged" if outcome.seconds is None else f"{outcome.seconds:.1f} s"
        found, frames = counted(outcome.instances or 0, "instance"), counted(outcome.frames or 0, "frame")
        reporter.note(f"{number} {row.name}: {found} in {frames}, {seconds}")
        return
    reason = outcome.reason if row.path in outcome.reason else f"{row.path}: {outcome.reason}"
    if row.is_final:
        reporter.error(reason)
    elif outcome.kind != "disk full":
        which = "another" if outcome.kind == "lost" else "a second"
        reporter.warn(f"{reason.removesuffix('.')}. The video gets {which} attempt.")


def conclude(kinds: Mapping[str, int], *, num_before: int, reporter: Reporter) -> int:
    """Print the number of done and failed videos, and return the exit code."""
    failed = {kind: count for kind, count in sorted(kinds.items()) if kind}
    earlier = f" ({num_before} of all in earlier runs)" if num_before else ""
    parts = [f"{kinds.get('', 0)} done", *(f"{count} {kind}" for kind, count in failed.items())]
    reporter.note(f"{counted(sum(kinds.values()), 'video')}: {', '.join(parts)}{earlier}")
    if not failed:
        return 0
    if num_before:
        reporter.note("A failed video runs again with --retry DIR, or after its file or its settings have changed.")
    return EXIT_FAILED
