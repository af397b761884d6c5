"""An object store in memory that takes the place of `s3://`, and fails on request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar

from fsspec.implementations.memory import MemoryFileSystem

from vis_cli.files import remote


class NoCredentialsError(Exception):
    """Has the name of the exception of botocore."""


class FakeStore(MemoryFileSystem):  # type: ignore[misc]
    """Files by `/bucket/key`. `fail` is called with each operation and its path, and may raise."""

    protocol: ClassVar[Any] = ("s3", "http", "https")
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.store = {}
        self.pseudo_dirs = [""]
        self.fail: Callable[[str, str], None] = lambda operation, path: None
        self.calls: list[tuple[str, str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).partition("://")[2].strip("/") if "://" in str(path) else "/" + str(path).strip("/")

    def names(self) -> list[str]:
        return sorted(self.store)

    def _tagged(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Add the ETag, as object stores do."""
        if entry["type"] == "file":
            entry["ETag"] = hashlib.md5(self.store[entry["name"]].getvalue()).hexdigest()
        return entry

    def _call(self, operation: str, path: str) -> None:
        self.calls.append((operation, path))
        self.fail(operation, path)

    def info(self, path: str, **kwargs: Any) -> Any:
        self._call("info", path)
        return self._tagged(super().info(path, **kwargs))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self._call("ls", path)
        found = super().ls(path, detail=detail, **kwargs)
        return [self._tagged(entry) for entry in found] if detail else found

    def get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        self._call("get", rpath)
        super().get_file(rpath, lpath, **kwargs)

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        self._call("put", rpath)
        super().put_file(lpath, rpath, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self._call("pipe", path)
        super().pipe_file(path, value, mode=mode, **kwargs)


def install(monkeypatch: Any) -> FakeStore:
    """Let `vis_cli.files.remote` use a new store for each scheme, without pauses between tries."""
    store = FakeStore()
    monkeypatch.setattr(remote, "_files", lambda scheme: store)
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    return store
