"""Print the rows of JSON files of `windows.py` as Markdown tables.

    python benchmarks/windows_table.py rows/*.json

Rows of the same clip, frames, model and settings are in one table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PERCENT = ("precision", "precision_with_category", "recall", "hota", "idf1", "births", "deaths")
COLUMNS = {  # measure in the JSON: header of its column
    "objects": "objects",
    "instances": "instances",
    "precision": "precision",
    "recall": "recall",
    "precision_with_category": "precision with category",
    "identity_switches": "identity switches",
    "hota": "HOTA",
    "idf1": "IDF1",
    "births": "births",
    "deaths": "deaths",
    "key_frames": "key frames",
    "seconds": "seconds",
    "cpu_seconds": "CPU seconds",
    "peak_gb": "peak GB",
}


def main() -> None:
    """Print one table per clip and settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON file of windows.py")
    args = parser.parse_args()
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in args.files]
    print("\n".join(make_tables(reports)))


def make_tables(reports: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines of all tables. A later row replaces an earlier row of the same method."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for report in reports:
        table = tables.setdefault(make_title(report), {})
        table.update({row["method"]: row for row in report["rows"]})
    lines: list[str] = []
    for title, rows in tables.items():
        lines += [*([""] if lines else []), title, "", *make_table(list(rows.values()))]
    return lines


def make_title(report: dict[str, Any]) -> str:
    """Return a sentence with everything that is equal in the rows of a table."""
    frames = "all frames" if report["frames"] is None else f"the first {report['frames']} frames"
    settings = "".join(f" `--set {text}`" for text in report["set"])
    return f"{report['clip']}, {frames}, model `{report['model']}`, preset `{report['preset']}`{settings}:"


def make_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a table. Fractions are in percent."""
    lines = [f"| method | {' | '.join(COLUMNS.values())} |", f"|{' --- |' * (len(COLUMNS) + 1)}"]
    return lines + [f"| {row['method']} | {' | '.join(show(row, name) for name in COLUMNS)} |" for row in rows]


def show(row: dict[str, Any], name: str) -> str:
    """Return the value of a measure."""
    if name in PERCENT:
        return f"{100 * row[name]:.1f}"
    if name in ("seconds", "cpu_seconds"):
        return f"{row[name]:.0f}"
    return f"{row[name]:.2f}" if name == "peak_gb" else str(row[name])


if __name__ == "__main__":
    main()
