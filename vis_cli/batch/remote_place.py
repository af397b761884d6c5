"""Folder of the results in an object store. Used by `place`.

Object stores have neither append nor file locks. Each driver therefore appends to a local part of the manifest. It
uploads the part as segments of at most 4 MiB, and only the last segment again when it grows. A lock object with a
counter shows that a driver is alive.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_cli.batch.manifest import FOLDER
from vis_cli.batch.tasks import RESULT_SUFFIX, Shard
from vis_cli.errors import VisError
from vis_cli.files import remote
from vis_cli.files.atomic import named_failures
from vis_cli.files.limits import MIB
from vis_cli.files.urls import is_listable, shown_url
from vis_cli.messages import Messages

BEAT = 20.0  # seconds between two changes of the lock
STALE = 60.0  # seconds without a change; then the driver is dead
WATCH = 2.0  # seconds between two looks at the lock of another driver
SETTLE = 2.0  # seconds for another driver that takes over the same lock at the same time
SYNC_BEATS = 3  # beats between two uploads of the manifest
SEGMENT_BYTES = 4 * MIB
THREADS = 16
DRIVER = "driver-"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_SEGMENT = re.compile(r"(rows-.+)~([0-9]{6})\.jsonl")


@dataclass(slots=True)
class _Part:
    """Upload of one part of the manifest."""

    index: int = 1  # of the segment that grows
    start: int = 0  # of this segment, in bytes
    end: int = 0  # of all that is uploaded


class RemotePlace:
    """A `place.Place` in an object store, with a copy of its manifest in a local folder."""

    is_remote = True

    def __init__(self, address: str, folder: Path, messages: Messages) -> None:
        """Copy the manifest into a local folder.

        Raises:
            VisError: The URL cannot be written to, or the manifest cannot be read.
        """
        if not is_listable(address):
            problem = f"cannot write to {shown_url(address)}: web servers are read only"
            raise VisError(problem, hint="Use a folder, or a URL with s3:// or gs://.")
        self.folder = folder
        self._url = address.rstrip("/")
        self._messages = messages
        self._parts: defaultdict[str, _Part] = defaultdict(_Part)
        self._plans: dict[str, tuple[int, int]] = {}  # uploaded versions
        self._old: frozenset[str] = frozenset()  # names of parts of earlier runs
        self._results: set[str] | None = None
        self._token = secrets.token_hex(8)
        self._num_beats = 0
        self._lost: VisError | None = None
        self._download_manifest()

    def address_of(self, path: Path) -> str:
        """See `Place`."""
        return shown_url(self._url_of(path))

    def has(self, result: Path) -> bool:
        """See `Place`. The first call lists all results, which takes one request for about 1,000 results."""
        if self._results is None:
            self._results = self._list_results()
        return result.relative_to(self.folder).as_posix() in self._results

    def check(self) -> None:
        """See `Place`."""
        if self._lost is not None:
            raise self._lost

    def free_bytes(self) -> int | None:
        """See `Place`."""
        return None

    def fetch(self, path: Path, local: Path) -> bool:
        """See `Place`."""
        try:
            remote.download(self._url_of(path), local)
        except remote.MissingFileError:
            local.unlink(missing_ok=True)
            return False
        return True

    def publish(self, local: Path, path: Path) -> None:
        """See `Place`."""
        remote.upload(local, self._url_of(path))

    @contextmanager
    def sole_driver(self, shard: Shard) -> Iterator[None]:
        """See `Place`."""
        self._require_same_number(shard)
        lock = self._lock(f"{DRIVER}{shard}.json")
        self._acquire(lock, f"shard {shard.index}/{shard.number}")
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(lock, stop), daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            with suppress(VisError):  # the first error is reported
                self._finish(lock, stop, thread)
            raise
        self._finish(lock, stop, thread)

    def _finish(self, lock: str, stop: threading.Event, thread: threading.Thread) -> None:
        stop.set()
        thread.join()
        try:
            self._upload_manifest()
        finally:
            with suppress(VisError):
                if self._is_own(remote.read(lock)):
                    remote.remove(lock)

    def _keep(self, lock: str, stop: threading.Event) -> None:
        """Show that this driver is alive, and upload the manifest, until the driver ends."""
        while not stop.wait(BEAT):
            with suppress(VisError):  # the next beat tries again
                found = remote.read(lock)
                if found is not None and not self._is_own(found):
                    problem = f"stopped: another `vis batch` has taken over {shown_url(self._url)}"
                    self._lost = VisError(problem, hint="Wait for its end.")
                    return
                self._num_beats += 1
                remote.write(lock, self._claim())
                if self._num_beats % SYNC_BEATS == 0:
                    self._upload_manifest()

    def _acquire(self, lock: str, name: str) -> None:
        """Create the lock, or replace the lock of a driver that has ended.

        Raises:
            VisError: Another driver is alive.
        """
        while not remote.create(lock, self._claim()):
            found = remote.read(lock)
            if found is None:
                continue
            self._require_dead(lock, found, name)
            remote.write(lock, self._claim())
            time.sleep(SETTLE)
            if not self._is_own(remote.read(lock)):
                raise self._rival(name, found)
            return

    def _require_same_number(self, shard: Shard) -> None:
        """Check that no driver works on shards of another number.

        Raises:
            VisError: A driver does.
        """
        for name in remote.list_names(f"{self._url}/{FOLDER}")[0]:
            number = name.removesuffix(".json").rpartition("-of-")[2]
            if name.startswith(DRIVER) and number != str(shard.number):
                lock = self._lock(name)
                if (found := remote.read(lock)) is not None:
                    self._require_dead(lock, found, f"{number} shards")
                    remote.remove(lock)

    def _require_dead(self, lock: str, found: bytes, name: str) -> None:
        """Check that the driver with a lock has ended. On this machine, its process is missing. Otherwise, watch.

        Raises:
            VisError: The driver is alive.
        """
        owner = _parse(found)
        mine = _parse(self._claim())
        is_here = all(owner.get(key) == mine[key] for key in ("host", "boot"))
        if is_here and (owner.get("pid") == os.getpid() or not _is_running(owner.get("pid"))):
            return
        self._messages.warn(f"{shown_url(lock)} is from another run. Waiting {STALE:g} s to see whether it has ended.")
        end = time.monotonic() + STALE
        while time.monotonic() < end:
            time.sleep(WATCH)
            if remote.read(lock) not in (found, None):
                raise self._rival(name, found)

    def _rival(self, name: str, found: bytes) -> VisError:
        host = _parse(found).get("host")
        problem = f"cannot write to {shown_url(self._url)}: another `vis batch` works on {name} (host {host})"
        return VisError(problem, hint="Wait for its end, or use another -o DIR.")

    def _claim(self) -> bytes:
        boot = BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ""
        owner = {"host": socket.gethostname(), "boot": boot, "pid": os.getpid(), "token": self._token}
        return json.dumps({**owner, "beat": self._num_beats}).encode()

    def _is_own(self, found: bytes | None) -> bool:
        return found is not None and _parse(found).get("token") == self._token

    def _download_manifest(self) -> None:
        """Copy plans and rows. The segments of one part are joined, because a part is one run of a driver."""
        folder = self.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        names = [name for name in remote.list_names(f"{self._url}/{FOLDER}")[0] if not name.startswith(DRIVER)]
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda name: remote.download(f"{self._url}/{FOLDER}/{name}", folder / name), names))
        for name in sorted(names):
            if match := _SEGMENT.fullmatch(name):
                segment = folder / name
                with named_failures(folder), (folder / f"{match[1]}.jsonl").open("ab") as part:
                    part.write(segment.read_bytes())
                segment.unlink()
        self._old = frozenset(path.name for path in folder.glob("rows-*.jsonl"))
        self._plans = {path.name: _version(path) for path in folder.glob("plan-*.jsonl")}

    def _upload_manifest(self) -> None:
        """Upload what is new in the plans and in the rows of this run.

        Raises:
            StorageError: The manifest cannot be written.
        """
        folder = self.folder / FOLDER
        for plan in folder.glob("plan-*.jsonl"):
            if self._plans.get(plan.name) != (version := _version(plan)):
                remote.upload(plan, f"{self._url}/{FOLDER}/{plan.name}")
                self._plans[plan.name] = version
        for part in folder.glob("rows-*.jsonl"):
            if part.name not in self._old:
                self._upload_rows(part, self._parts[part.name])

    def _upload_rows(self, part: Path, state: _Part) -> None:
        with part.open("rb") as file:
            while True:
                file.seek(state.start)
                block = file.read(SEGMENT_BYTES)
                length = block.rfind(b"\n") + 1  # a row can be written at this moment
                if state.start + length > state.end:
                    remote.write(f"{self._url}/{FOLDER}/{part.stem}~{state.index:06}.jsonl", block[:length])
                    state.end = state.start + length
                if len(block) < SEGMENT_BYTES:
                    return
                state.start, state.index = state.start + length, state.index + 1

    def _list_results(self) -> set[str]:
        names, folders = remote.list_names(self._url)
        found = {name for name in names if name.endswith(RESULT_SUFFIX)}
        folders = [folder for folder in folders if folder != FOLDER]
        with ThreadPoolExecutor(THREADS) as pool:
            for folder, (names, _) in zip(
                folders, pool.map(lambda folder: remote.list_names(f"{self._url}/{folder}"), folders), strict=True
            ):
                found |= {f"{folder}/{name}" for name in names if name.endswith(RESULT_SUFFIX)}
        return found

    def _lock(self, name: str) -> str:
        return f"{self._url}/{FOLDER}/{name}"

    def _url_of(self, path: Path) -> str:
        return self._url if path == self.folder else f"{self._url}/{path.relative_to(self.folder).as_posix()}"


def _parse(claim: bytes) -> dict[str, Any]:
    try:
        values = json.loads(claim)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _is_running(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _version(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
