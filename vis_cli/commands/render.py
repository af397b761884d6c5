"""`vis render`: draw results: overlay, mattes, cut-outs, redaction and contact sheets. No model runs.

Registered by `app`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.commands.export_choice import parse_only
from vis_cli.commands.export_outputs import kept_files, output_files, report_kept
from vis_cli.commands.render_options import (
    As,
    BackgroundName,
    Blocks,
    Dilation,
    FileFormat,
    Gap,
    Hold,
    Margin,
    OnlyWords,
    Out,
    Overwrite,
    PerObject,
    Results,
    SourceVideo,
    check_applicable,
    make_look,
    parse_mode,
)
from vis_cli.commands.render_outputs import Destination, Output, check_writable, parse_destination
from vis_cli.commands.rendering import write_contact_sheet, write_rendering
from vis_cli.commands.result_files import ResultLoader, expand_patterns, find_results
from vis_cli.commands.source_lookup import find_source
from vis_cli.console import EXIT_FAILED, BatchProgress, Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.files.names import folded_name
from vis_cli.messages import hint_at_left_out
from vis_cli.options import Debug, Quiet, min_score_option
from vis_cli.records.categories import plain_name
from vis_cli.records.exports.choice import Only
from vis_cli.records.media_folder import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vis_cli.records.renderings.modes import MODES, Mode, has_alpha
from vis_cli.records.renderings.painter import Look
from vis_cli.records.result_head import read_head
from vis_cli.records.shown_instances import shown_instances
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.video import Video, open_segmented


def render(
    results: Results,
    *,
    as_mode: As = "overlay",
    out: Out,
    only: OnlyWords = None,
    min_score: Annotated[float | None, min_score_option("Minimum score of an instance.")] = None,
    file_format: FileFormat = None,
    video: SourceVideo = None,
    per_object: PerObject = False,
    background: BackgroundName = None,
    dilation: Dilation = None,
    hold: Hold = None,
    margin: Margin = None,
    gap: Gap = None,
    blocks: Blocks = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw results over their videos: overlays, mattes, cut-outs, redaction or contact sheets.

    overlay: masks and tags. matte: masks in white on black. contact-sheet: an image with a thumbnail of each instance.

    alpha: objects with transparent surroundings. cutout: objects on a background.

    blur, pixelate, grey-out: redaction of objects. Check each frame: an object that was not detected is not covered.

    No model runs. A video with other content than the segmented video is rejected. See docs/how-to/render.md.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        mode = parse_mode(as_mode)
        redaction = {"--dilation": dilation, "--hold": hold, "--margin": margin, "--gap": gap, "--blocks": blocks}
        given = {option: value is not None for option, value in redaction.items()}
        check_applicable(as_mode, mode, given | {"--per-object": per_object, "--background": background is not None})
        look = make_look(background=background, dilation=dilation, hold=hold, margin=margin, gap=gap, blocks=blocks)
        _reject_videos(results)
        files = find_results(expand_patterns(results), reporter)
        if video is not None and len(files) != 1:
            raise UsageError(f"--video needs one result, but there are {len(files)}", hint="Pass one RESULT.json.")
        is_shared = len(files) != 1 or Path(results[0]).is_dir()
        alpha = has_alpha(as_mode, look)
        target = parse_destination(out, as_mode, mode, file_format, alpha=alpha, is_shared=is_shared)
        loader = ResultLoader()
        shown = _parse_shown(only or [], files, loader)
        job = _Job(as_mode, look, target, shown, min_score, per_object=per_object, overwrite=overwrite)
        with BatchProgress(len(files), reporter) as progress:
            job.run(files, loader, video, reporter, progress)


@dataclass(frozen=True, slots=True)
class _Job:
    """The rendering of several results, with the values of the options."""

    name: str  # of the mode
    look: Look
    target: Destination
    only: Only
    min_score: float | None
    per_object: bool
    overwrite: bool

    @property
    def mode(self) -> Mode:
        return MODES[self.name]

    @property
    def is_selected(self) -> bool:
        return bool(self.only.ids or self.only.names)

    def run(
        self,
        files: Sequence[Path],
        loader: ResultLoader,
        video: Path | None,
        reporter: Reporter,
        progress: BatchProgress,
    ) -> None:
        """Render all results. If one of several fails, render the others.

        Raises:
            VisError: The only result cannot be rendered.
            typer.Exit: One of several results cannot be rendered.
        """
        heads = [head for path in files if (head := read_head(path)) is not None]
        inputs = [*files, *(head.source.path for head in heads if head.source is not None)]
        names: set[str] = set()
        num_failed = 0
        for path in files:
            try:
                if folded_name(path.stem) in names:
                    raise VisError(f"cannot render {path}: another result has this name", hint="Use another -o OUT.")
                names.add(folded_name(path.stem))
                self._render(path, loader.read(path), video, inputs, reporter, progress)
            except VisError as error:
                if len(files) == 1:
                    raise
                reporter.error(str(error), error)
                num_failed += 1
        if num_failed:
            reporter.error(f"{num_failed} of {len(files)} results failed")
            raise typer.Exit(EXIT_FAILED)

    def _render(
        self,
        path: Path,
        result: VideoResult,
        given: Path | None,
        inputs: Sequence[Path],
        reporter: Reporter,
        progress: BatchProgress,
    ) -> None:
        source = find_source(result, path, given)
        if result.video.source is None:
            reporter.warn(f"{path} stores no fingerprint of its video: check that {source} is the segmented video")
        shown = self.choose_instances(result)
        outputs = self.target.outputs(path.stem, shown, per_object=self.per_object)
        check_writable(outputs, source, inputs, overwrite=self.overwrite)
        progress.start_video(result.video.name)
        video = open_segmented(source, result.video)
        for output in outputs:
            self._write(output, result, video, reporter, progress)
        progress.end_video(result.video.num_frames)
        for warning in dict.fromkeys(video.warnings):
            reporter.warn(f"{source}: {warning}")
        self._report(outputs, len(shown), len(result.instances), reporter)

    def choose_instances(self, result: VideoResult) -> list[InstanceSequence]:
        """Return the instances of a result to draw.

        A selection by id or category, and a redaction, also contain instances that are not confident.
        """
        is_complete = self.is_selected or self.mode.is_redaction
        min_score = 0.0 if self.min_score is None and is_complete else self.min_score
        return shown_instances(self.only.instances(result), min_score)

    def _write(
        self, output: Output, result: VideoResult, video: Video, reporter: Reporter, progress: BatchProgress
    ) -> None:
        if self.mode.make is None:
            write_contact_sheet(result, video, output.path, instances=output.instances, progress=progress.update)
            return
        painter = self.mode.make(result, output.instances, self.look)
        before = output_files(output.path)
        write_rendering(
            result,
            video,
            painter,
            output.path,
            suffix=output.suffix,
            alpha=has_alpha(self.name, self.look),
            progress=progress.update,
        )
        report_kept(output.path, kept_files(before), reporter)

    def _report(self, outputs: Sequence[Output], num_drawn: int, num_instances: int, reporter: Reporter) -> None:
        """Report how many instances are drawn and left out, and how to see all if the user has not selected ids."""
        num_left_out = num_instances - num_drawn
        left_out = f", {num_left_out} left out" if num_left_out and self.is_selected else ""
        path = outputs[0].path if len(outputs) == 1 else self.target.out
        reporter.note(f"{path}: {num_drawn} of {num_instances} instances {self.mode.verb}{left_out}")
        if num_left_out and not self.is_selected:
            reporter.note(hint_at_left_out(num_left_out))


def _reject_videos(results: Sequence[str]) -> None:
    """Report the option that replaces the second argument of earlier versions, the video."""
    for text in results[1:]:
        path = Path(text)
        if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
            given = shlex.quote(text)
            raise UsageError(f"unexpected argument {given}", hint=f"Use --video {given}.")


def _parse_shown(values: Sequence[str], files: Sequence[Path], loader: ResultLoader) -> Only:
    """Return the ids and categories of --only. For one result, an error lists its ids.

    Raises:
        UsageError: No result has an id or a category.
    """
    if values and len(files) == 1:
        result = loader.read(files[0])
        names = {plain_name(category.name) for category in result.categories}
        words = {word.strip() for value in values if plain_name(value) not in names for word in value.split(",")}
        known = {str(instance.id) for instance in result.instances}
        if unknown := sorted(word for word in words - known if re.fullmatch("[0-9]+", word)):
            ids = ", ".join(sorted(known, key=int))
            hint = f"Use these ids: {ids}." if known else "The result has no instances: omit --only."
            raise UsageError(f"no instance {', '.join(unknown)}", where="--only", hint=hint)
    return parse_only(values, loader.iterate(files))
