"""Messages about the contents of an export.

Used by `commands.export_json` and `exports.formats`.
"""

from __future__ import annotations

from collections.abc import Sequence

from vis_cli.messages import Messages
from vis_cli.records.davis import MAX_LABEL
from vis_cli.records.result_matching import ExportReport

SHOWN_NAMES = 5  # maximum number of names in a message


def report_matches(report: ExportReport, target: object, messages: Messages) -> None:
    """Report the renamed and omitted categories and the missing results.

    Args:
        report: The report of an export.
        target: What defines the categories, such as the file of the split.
        messages: Receives the messages.
    """
    if report.synonyms:
        messages.note(f"categories matched by a synonym: {shorten([f'{a} as {b}' for a, b in report.synonyms])}")
    if report.videos_without_result:
        messages.warn(f"videos without a result, written without instances: {shorten(report.videos_without_result)}")
    if report.unmapped_categories:
        messages.warn(f"omitted categories that {target} does not contain: {shorten(report.unmapped_categories)}")
    if report.relabelled:
        messages.warn(f"ids that are not from 1 to {MAX_LABEL}, written as another label: {shorten(report.relabelled)}")


def shorten(names: Sequence[str]) -> str:
    """Return a list of names, of which only the first ones are written."""
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")
