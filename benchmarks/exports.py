"""Measure time, peak memory and size of `vis export` in each format, and of `vis report`.

    vis segment sample_videos/cat.mp4 sample_videos/launchpad.mp4 vtest.avi -o results --no-render
    python benchmarks/exports.py results

Each format has its own process. The videos must be at the paths that the results store.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from vis_process import run_vis

COMMANDS = {  # name of the row: arguments without -o, and name of the output
    "csv": (["export", "--to", "csv"], "tracks.csv"),
    "parquet": (["export", "--to", "parquet"], "tracks.parquet"),
    "cvat": (["export", "--to", "cvat"], "cvat.zip"),
    "cvat --masks": (["export", "--to", "cvat", "--masks"], "cvat-masks.zip"),
    "label-studio": (["export", "--to", "label-studio"], "tasks.json"),
    "labelme": (["export", "--to", "labelme"], "labelme"),
    "datumaro": (["export", "--to", "datumaro"], "datumaro"),
    "coco": (["export", "--to", "coco"], "coco"),
    "coco --no-images": (["export", "--to", "coco", "--no-images"], "coco.json"),
    "yolo-seg": (["export", "--to", "yolo-seg"], "yolo"),
    "coco-video": (["export", "--to", "coco-video"], "instances.json"),
    "mot": (["export", "--to", "mot"], "mot"),
    "mots": (["export", "--to", "mots"], "mots"),
    "report": (["report"], "report"),
}


def main() -> None:
    """Print a Markdown table with one row per format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="DIR", help="folder of results")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="rows to measure")
    args = parser.parse_args()
    print("| format | seconds | CPU seconds | peak MB | files | MB |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            arguments, output = COMMANDS[name]
            print(measure_row(name, [*arguments, str(args.results)], Path(folder) / output), flush=True)


def measure_row(name: str, arguments: list[str], output: Path) -> str:
    """Run a command and return its row."""
    cost = run_vis(name, [*arguments, "-o", str(output)])
    sizes = [path.stat().st_size for path in written(output)]
    times = f"{cost.seconds:.1f} | {cost.cpu_seconds:.1f}"
    return f"| {name} | {times} | {1000 * cost.peak_gb:.0f} | {len(sizes)} | {sum(sizes) / 1e6:.2f} |"


def written(output: Path) -> list[Path]:
    """Return the files of an output. A table of frames has a second table next to it."""
    if output.is_dir():
        return [path for path in output.rglob("*") if path.is_file()]
    return list(output.parent.glob(f"{output.stem}*{output.suffix}"))


if __name__ == "__main__":
    main()
