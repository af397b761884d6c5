"""The folder of the results of a batch, which is local or remote. Used by `staging` and `commands.batch_run`.

The manifest and the results of a remote place are first written to local files. `RemotePlace` copies them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vis_cli.batch.driver import sole_driver
from vis_cli.batch.scratch import Scratch
from vis_cli.batch.tasks import Shard
from vis_cli.errors import VisError
from vis_cli.files.urls import is_url
from vis_cli.messages import Messages


class Place(Protocol):
    """Folder of the results."""

    @property
    def folder(self) -> Path:
        """Return the local folder with the manifest. Paths of results start with it."""

    @property
    def is_remote(self) -> bool:
        """Return whether results are written to a scratch folder first, then published."""

    def address_of(self, path: Path) -> str:
        """Return the final path or URL of a file in `folder`, without secrets."""

    def has(self, result: Path) -> bool:
        """Return whether a result exists. A result is complete if it exists.

        Raises:
            VisError: The place cannot be read.
        """

    def sole_driver(self, shard: Shard) -> AbstractContextManager[None]:
        """Keep other drivers of a shard away until the body ends. The manifest is complete at the end.

        Raises:
            VisError: Another driver works on this shard, or on shards of another number.
        """

    def check(self) -> None:
        """Check that this driver may continue.

        Raises:
            VisError: Another driver has taken over the shard.
        """

    def free_bytes(self) -> int | None:
        """Return the free space in bytes. None: it is not known."""

    def fetch(self, path: Path, local: Path) -> bool:
        """Copy a file of the place to a local path. Return whether it exists.

        Raises:
            VisError: The place cannot be read, or the disk is full.
        """

    def publish(self, local: Path, path: Path) -> None:
        """Copy a local file into the place. The copy is complete or absent.

        Raises:
            VisError: The place cannot be written to.
        """


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A local or mounted folder. Workers write into it, so that no file is fetched or published."""

    folder: Path
    is_remote: bool = False

    def address_of(self, path: Path) -> str:
        """See `Place`."""
        return str(path)

    def has(self, result: Path) -> bool:
        """See `Place`."""
        return result.exists()

    def sole_driver(self, shard: Shard) -> AbstractContextManager[None]:
        """See `Place`. The lock is a file lock."""
        return sole_driver(self.folder, shard)

    def check(self) -> None:
        """See `Place`. The kernel keeps the lock."""

    def free_bytes(self) -> int | None:
        """See `Place`."""
        parents = (self.folder.absolute(), *self.folder.absolute().parents)
        return shutil.disk_usage(next(path for path in parents if path.exists())).free

    def fetch(self, path: Path, local: Path) -> bool:
        """See `Place`."""
        raise AssertionError

    def publish(self, local: Path, path: Path) -> None:
        """See `Place`."""
        raise AssertionError


def open_place(address: str, scratch: Scratch, messages: Messages) -> Place:
    """Return the folder of the results.

    Args:
        address: A path, or the URL of an object store.
        scratch: Folder for the files of a remote place.
        messages: Receiver of warnings.

    Raises:
        VisError: The URL cannot be written to, or its manifest cannot be read.
    """
    if not is_url(address):
        return LocalPlace(Path(address))
    from vis_cli.batch.remote_place import RemotePlace

    return RemotePlace(address, scratch.folder / "place", messages)


@contextmanager
def addressed_errors(place: Place) -> Iterator[None]:
    """Put the URL of a remote place into errors that contain the path of its local folder.

    Raises:
        VisError: The body raised it.
    """
    try:
        yield
    except VisError as error:
        local, address = str(place.folder), place.address_of(place.folder)
        error.problem, error.where = error.problem.replace(local, address), error.where.replace(local, address)
        raise


def same_folder_key(address: str) -> str:
    """Return the same text for two addresses of the same folder."""
    return address.rstrip("/") if is_url(address) else os.path.realpath(address)
