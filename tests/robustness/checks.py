"""What a case must not do, and how its faults are named; used by `server`."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.case import OUTPUT, TEMPORARY, WORK, Case, read_case
from tests.robustness.child import BROKEN, named_output
from tests.robustness.snapshot import list_files, take_snapshot

EXIT_CODES = (0, 1, 2)
ERROR_LINE = re.compile(r"^(error|vis): |^╭─ Error ", re.MULTILINE)  # the last is how Typer draws wrong usage
TRACEBACK = "Traceback (most recent call last)"
PRODUCT_FRAME = re.compile(r'File ".*?(vis_cli/\S+\.py)", line \d+, in (\S+)')
NOISE = re.compile(r"^\S+\.py:\d+: \w*Warning|^\s*warnings\.warn|^\[ *(WARN|ERROR|INFO)|libpng|^W\d{4} |^DEBUG:")
OUT_OF_MEMORY = re.compile("out of memory", re.IGNORECASE)  # every input here is small
DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
HIDDEN_OUTPUT = re.compile(r"(^|/)\.|pymp-|torchinductor")
OWN_FILES = {"case.json", "before.json", "own.json"} | {
    "stdout",
    "stderr",
    "noise",
    "a",
    "a/b",
    "a/b/c",
    str(WORK),
    TEMPORARY,
    "home",
}
LONGEST_LINE = 3000  # characters: names of 255 bytes may stand in it, values of 5,000 characters may not


@dataclass(frozen=True, slots=True)
class Ending:
    """Hold how the child's process ended."""

    status: int  # of os.wait
    killed: str | None  # why the server killed it
    seconds: float
    cpu_seconds: float
    peak: int  # bytes beyond the parent's
    left_processes: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Name one fault: its class, and what is the same for all that have one cause."""

    name: str
    detail: str


@dataclass(slots=True)
class Report:
    """Hold what came of a case."""

    number: int
    kind: str
    argv: list[str]
    code: int | None  # None: killed by a signal
    seconds: float
    cpu_seconds: float
    peak: int
    faults: list[Fault] = field(default_factory=list)


def judge(number: int, folder: Path, ending: Ending, *, most_bytes: int) -> Report:
    """Look at what a case left, and name its faults; a case that could not be made is one of the harness."""
    code = os.waitstatus_to_exitcode(ending.status)
    if code == BROKEN or not (folder / "case.json").exists():
        return _broken(number, folder, ending)
    case = read_case(folder / "case.json")
    exit_code = code if code >= 0 else None
    report = Report(number, case.kind, case.argv, exit_code, ending.seconds, ending.cpu_seconds, ending.peak)
    if ending.killed is not None:
        report.faults.append(Fault(ending.killed, " ".join(case.argv[:2])))
        return report
    if ending.peak > most_bytes:
        report.faults.append(Fault("memory", f"peak of {ending.peak >> 20} MiB"))
    if exit_code is None:
        report.faults.append(Fault("signal", f"signal {-code}"))
        return report
    texts = {name: _read(folder / name) for name in ("stdout", "stderr", "noise")}
    report.faults += [*_output_faults(case, exit_code, texts), *_file_faults(folder, case)]
    if ending.left_processes:
        report.faults.append(Fault("leftover", "a process"))
    return report


def _broken(number: int, folder: Path, ending: Ending) -> Report:
    reason = _read(folder / "broken.txt").strip().splitlines() or [f"ended before it began, {ending.killed}"]
    fault = Fault("harness", _plain(reason[-1]))
    return Report(number, "none", [], None, ending.seconds, ending.cpu_seconds, ending.peak, [fault])


def _output_faults(case: Case, code: int, texts: dict[str, str]) -> list[Fault]:
    faults = []
    errors = texts["stderr"]
    if TRACEBACK in errors + texts["noise"]:
        faults.append(Fault("traceback", _name_traceback(errors if TRACEBACK in errors else texts["noise"])))
    elif texts["noise"].strip():
        faults.append(Fault("noise", _plain(texts["noise"].strip().splitlines()[0])))
    noisy = next((line for line in errors.splitlines() if NOISE.search(line)), None)
    if noisy is not None:
        faults.append(Fault("noise", _plain(noisy)))
    if code not in EXIT_CODES:
        faults.append(Fault("exit code", str(code)))
    if not faults:
        faults += _line_faults(case, code, texts)
    faults += _character_faults(texts)
    if OUT_OF_MEMORY.search(errors):
        faults.append(Fault("memory", "says that it is out of memory"))
    return faults


def _line_faults(case: Case, code: int, texts: dict[str, str]) -> list[Fault]:
    """See that there is one error line for each failure, and not too long."""
    lines = len(ERROR_LINE.findall(texts["stderr"]))
    expected, faults = int(code != 0), []
    if code != 2 and case.argv[0] == "segment" and "--json" in case.argv:
        expected = sum(json.loads(line)["status"] == "failed" for line in texts["stdout"].splitlines())
        if code != int(expected > 0):
            faults.append(Fault("exit code", f"{code} with {expected} failed inputs"))
    if lines != expected:
        faults.append(Fault("error lines", f"{lines} instead of {expected}, exit code {code}, {case.argv[0]}"))
    longest = max(map(len, (texts["stderr"] + texts["stdout"]).splitlines()), default=0)
    if longest > LONGEST_LINE and "--json" not in case.argv:
        faults.append(Fault("long line", case.argv[0]))
    return faults


def _character_faults(texts: dict[str, str]) -> list[Fault]:
    for name, text in texts.items():
        raw = next((character for character in text if _is_raw(character)), None)
        if raw is not None:
            return [Fault("control character", f"U+{ord(raw):04X} on {name}")]
    return []


def _is_raw(character: str) -> bool:
    is_plain = character in "\n" or (character.isascii() and character.isprintable())
    return not is_plain and (character in DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"))


def _file_faults(folder: Path, case: Case) -> list[Fault]:
    faults = []
    own_output = named_output(case.argv)
    before = json.loads((folder / "before.json").read_text())
    after = take_snapshot(folder / WORK, without=own_output)
    changed = sorted(n for n in before if after.get(n) != before[n] and not n.lstrip("'\"").startswith(OUTPUT))
    if changed:
        faults.append(Fault("input changed", _plain(changed[0])))
    left = [name for name in list_files(folder / TEMPORARY) if name]
    if left:
        faults.append(Fault("leftover", f"{re.sub(r'[0-9a-z_]{8}', '*', left[0])} in TMPDIR"))
    written = [] if own_output is None else list_files(folder / WORK / own_output)
    there = json.loads((folder / "own.json").read_text())
    hidden = [name for name in written if HIDDEN_OUTPUT.search(name) and name not in there]
    if hidden:
        faults.append(Fault("leftover", f"{_plain(hidden[0])} in the output"))
    outside = [name for name in after if name not in before and not name.lstrip("'\"").startswith(OUTPUT)]
    above = [
        name for name in list_files(folder) if name not in OWN_FILES and not name.startswith((f"{WORK}/", "home/"))
    ]
    stray = [name for name in above if not name.startswith(f"{TEMPORARY}/")]
    if outside or stray:
        faults.append(Fault("outside of OUT", _plain((outside + stray)[0])))
    return faults


def _name_traceback(text: str) -> str:
    """Return the exception and the innermost function of the product, which are the same for all of one cause."""
    last = text[text.rindex(TRACEBACK) :]
    frames = PRODUCT_FRAME.findall(last)
    where = ":".join(frames[-1]) if frames else "outside of the product"
    ends = [line for line in last.splitlines()[1:] if line and not line.startswith((" ", "\t"))]
    return f"{_plain(ends[0] if ends else '?')} in {where}"


def _plain(text: str) -> str:
    return ascii(re.sub(r"\d+", "#", text))[1:-1][:150]


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
