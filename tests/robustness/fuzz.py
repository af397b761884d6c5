"""`make fuzz N=10000`: run damaged inputs, print a table by kind of input, keep each fault so that it can be run again.

python -m tests.robustness.fuzz 1000 --seed 7
python -m tests.robustness.fuzz --replay fuzz-faults/traceback-123
python -m tests.robustness.fuzz --case 123
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

os.environ.update(COLUMNS="200", TERM="dumb", PYTHONHASHSEED="0", OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

from tests.robustness.case import INPUT, WORK, copy_any, make_case, repeat_case
from tests.robustness.checks import Report
from tests.robustness.server import MOST_SECONDS, ForkServer

JOBS = 2
MODULE = "python -m tests.robustness.fuzz"
SPREAD = 1_000_000_000  # cases of one --seed: the numbers of two seeds never meet


def main() -> int:
    """Run what the command line asks for; return 1 if there was a fault."""
    options = parse_options()
    # Not a TemporaryDirectory: its finaliser would run at the end of each child, too.
    root = Path(tempfile.mkdtemp(prefix="vis-fuzz-"))
    try:
        return run(ForkServer(root, most_seconds=options.seconds), options)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(server: ForkServer, options: argparse.Namespace) -> int:
    """Serve, replay a fault, show a case, or run many."""
    if options.serve:
        return serve(server, options.jobs)
    if options.replay is not None:
        replayed = server.run_built([(0, lambda folder: repeat_case(options.replay, folder))], jobs=1, keep=True)
        return show_one(server, next(replayed))
    if options.case is not None:
        return show_one(server, next(server.run([options.case], jobs=1, keep=True)))
    return run_many(server, options)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=MODULE, description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=1000, help="number of cases")
    parser.add_argument("--seed", type=int, default=0, help="which cases: the same seed gives the same ones")
    parser.add_argument("--jobs", type=int, default=JOBS, help="cases at a time")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="time limit of a case")
    parser.add_argument("--faults", type=Path, default=Path("fuzz-faults"), help="folder that faults are kept in")
    parser.add_argument("--case", type=int, help="run one case by its number and show it")
    parser.add_argument("--replay", type=Path, help="run a kept fault again and show it")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_many(server: ForkServer, options: argparse.Namespace) -> int:
    """Run the cases of a seed, keep their faults and print the table."""
    began = time.monotonic()
    first = options.seed * SPREAD
    reports = []
    for report in server.run(range(first, first + options.count), jobs=options.jobs):
        reports.append(report)
        if report.faults:
            place = keep_fault(server, report, options.faults)
            print(f"[{len(reports)}/{options.count}] {describe(report)}\n    {MODULE} --replay {place}", flush=True)
    print_table(reports)
    print(f"{len(reports)} cases in {time.monotonic() - began:.0f} s")
    return int(any(report.faults for report in reports))


def serve(server: ForkServer, jobs: int) -> int:
    """Run the cases that each line of standard input names; answer with a line of JSON."""
    print("ready", flush=True)
    for line in sys.stdin:
        reports = [asdict(report) for report in server.run(json.loads(line), jobs=jobs)]
        print(json.dumps(reports), flush=True)
        for report in reports:
            shutil.rmtree(server.root / f"case-{report['number']}", ignore_errors=True)
    return 0


def keep_fault(server: ForkServer, report: Report, folder: Path) -> Path:
    """Copy the inputs (made anew), the command and the output of a case to a folder of its own; return that."""
    from tests.robustness.kinds import KINDS

    place = folder / f"{report.faults[0].name.replace(' ', '-')}-{report.number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    run = server.root / f"case-{report.number}"
    for name in ("case.json", "stdout", "stderr", "noise"):
        with suppress(FileNotFoundError):
            shutil.copyfile(run / name, place / name)
    fresh = server.build_only(report.number, lambda path: make_case(report.number, server.seeds, path, KINDS))
    shutil.copytree(fresh / WORK / INPUT, place / INPUT, symlinks=True, copy_function=copy_any)
    (place / "faults.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    shutil.rmtree(fresh)
    return place


def show_one(server: ForkServer, report: Report) -> int:
    """Print a case's command, output and faults."""
    folder = server.root / f"case-{report.number}"
    print(f"{report.kind}: vis {' '.join(report.argv)}\nexit code {report.code}, {report.seconds:.1f} s")
    for name in ("stdout", "stderr", "noise"):
        if (folder / name).exists():
            print(
                f"--- {name}\n{ascii((folder / name).read_bytes().decode(errors='replace'))[1:-1]}".replace("\\n", "\n")
            )
    print("\n".join(f"fault: {fault.name}: {fault.detail}" for fault in report.faults) or "no fault")
    return int(bool(report.faults))


def describe(report: Report) -> str:
    """Return a case and its faults in a line."""
    faults = "; ".join(f"{fault.name} ({fault.detail})" for fault in report.faults)
    return f"case {report.number}, {report.kind}, vis {ascii(' '.join(report.argv))[1:-1][:120]}: {faults}"


def print_table(reports: Iterable[Report]) -> None:
    """Print cases, exit codes, time and faults for each kind of input, then each distinct fault."""
    by_kind: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_kind[report.kind].append(report)
    print(f"\n{'kind':14} {'cases':>6} {'0':>5} {'1':>5} {'2':>5} {'CPU s':>7} {'MiB':>5} {'faults':>7}  classes")
    for kind, found in sorted(by_kind.items()):
        codes = Counter(report.code for report in found)
        classes = Counter(report.faults[0].name for report in found if report.faults)
        cpu = sum(report.cpu_seconds for report in found) / len(found)
        peak = max(report.peak for report in found) >> 20
        counts = " ".join(f"{codes[code]:5}" for code in (0, 1, 2))
        named = ", ".join(f"{count} {name}" for name, count in classes.most_common())
        print(f"{kind:14} {len(found):6} {counts} {cpu:7.2f} {peak:5} {sum(classes.values()):7}  {named}")
    distinct = Counter((f.name, f.detail) for found in by_kind.values() for r in found for f in r.faults)
    total = sum(bool(report.faults) for found in by_kind.values() for report in found)
    print(f"{'all':14} {sum(map(len, by_kind.values())):6} {total:42} faults, {len(distinct)} distinct")
    for (name, detail), count in distinct.most_common():
        print(f"{count:6}  {name}: {detail}")


if __name__ == "__main__":
    sys.exit(main())
