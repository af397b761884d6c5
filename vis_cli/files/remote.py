"""Files of object stores and web servers, through fsspec. Used by the modules of `batch` for remote storage.

Each function takes a URL. Errors contain the URL without secrets, and never the message of a library, which can
contain the complete URL. A failed connection is tried again with growing pauses.
"""

from __future__ import annotations

import errno
import hashlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from vis_cli.errors import VisError
from vis_cli.files.atomic import write_error
from vis_cli.files.urls import OBJECT_STORES, WEB, is_listable, shown_url

PAUSES = (1.0, 3.0, 9.0)  # seconds before another try; each varies by up to half, so that machines do not synchronize
CONNECT_TIMEOUT, READ_TIMEOUT = 20, 60  # seconds without a byte
THREADS = 16  # of requests for the sizes of many files
LISTED_AT = 1000  # files of a folder from which its listing replaces one request per file
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
EXTRA = "Run: pip install 'vis-cli[storage]'"
NO_CONDITIONS = "NotImplemented"  # error code of stores of S3 without conditional writes
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
CREDENTIAL_ERRORS = (
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"),  # botocore
    *("NoAuthTokenError", "TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError"),
    *("DefaultCredentialsError", "RefreshError"),  # google.auth
)

T = TypeVar("T")


class StorageError(VisError):
    """A remote file cannot be read or written. The cause can be gone in a later run."""


class MissingFileError(VisError):
    """A remote file does not exist."""


class CredentialsError(VisError):
    """There are no credentials for a storage, or its package is missing. No video of the storage can be read."""


class IncompleteDownloadError(Exception):
    """A download ended before the file was complete. It is tried again, like a failed connection."""


class ScratchFullError(VisError):
    """The disk of a downloaded file is full."""


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """Version of a remote file, without reading it."""

    size: int | None  # in bytes, None if the server does not report it
    tag: int | None  # hash of the ETag; without an ETag, the time of the last change in ns


def stat(url: str) -> RemoteVersion | None:
    """Return the version of a file, or of all files of a folder. None: it does not exist.

    Raises:
        VisError: The storage cannot be read.
    """
    info = _tried("read", url, lambda files: _info(files, url))
    if info is None or info["type"] != "directory":
        return None if info is None else _version(info)
    infos = [entry for entry in _entries(url) if entry["type"] == "file"]
    versions = [_version(entry) for entry in sorted(infos, key=lambda entry: str(entry["name"]))]
    tag = _hash(repr(versions)) if versions else None
    return RemoteVersion(sum(version.size or 0 for version in versions), tag) if versions else None


def stat_many(urls: Iterable[str]) -> dict[str, RemoteVersion]:
    """Return the versions of files. Files that do not exist, or cannot be read, are omitted.

    A folder with many of the files is listed, which takes one request for about 1,000 files.

    Raises:
        CredentialsError: There are no credentials, or a package is missing.
    """
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for url in urls:
        folders[url.rstrip("/").rpartition("/")[0]].append(url)
    listed = [folder for folder, members in folders.items() if is_listable(folder) and len(members) >= LISTED_AT]
    found: dict[str, RemoteVersion] = {}
    single = [url for folder, members in folders.items() if folder not in listed for url in members]
    for folder in listed:
        names = {url.partition("://")[2].rstrip("/"): url for url in folders[folder]}
        try:
            infos = _entries(folder)
        except (StorageError, MissingFileError):  # the download of each file reports the cause
            continue
        for info in infos:
            known = names.get(_key(info).rstrip("/"))
            if known is not None and info["type"] == "file":
                found[known] = _version(info)
            elif known is not None:
                single.append(known)  # a folder, whose files have to be listed
    with ThreadPoolExecutor(THREADS) as pool:
        for url, version in zip(single, pool.map(_stat_or_none, single), strict=True):
            if version is not None:
                found[url] = version
    return found


def list_folder(url: str) -> list[str]:
    """Return the URLs of the files in a folder, in the order of their names.

    Raises:
        MissingFileError: The bucket does not exist.
        VisError: The folder cannot be listed.
    """
    return sorted(f"{_scheme(url)}://{_key(info)}" for info in _entries(url) if info["type"] == "file")


def list_names(url: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders in a folder. A missing folder has none.

    Raises:
        VisError: The folder cannot be listed.
    """
    infos = _entries(url)
    names = [(info["type"], _key(info).rpartition("/")[2]) for info in infos]
    return [name for kind, name in names if kind == "file"], [name for kind, name in names if kind != "file"]


def is_folder(url: str) -> bool:
    """Return whether files exist whose URLs start with this URL and a slash.

    Raises:
        VisError: The storage cannot be read.
    """
    info = _tried("read", url, lambda files: _info(files, url))
    return info is not None and info["type"] == "directory"


def find(pattern: str) -> list[str]:
    """Return the URLs of the files that match a pattern with `*`, `?`, `[…]` or `**`.

    Raises:
        VisError: The storage cannot be read.
    """
    infos = _tried("read", pattern, lambda files: files.glob(pattern, detail=True))
    return sorted(f"{_scheme(pattern)}://{_key(info)}" for info in infos.values() if info["type"] == "file")


def download(url: str, path: Path) -> None:
    """Copy a remote file to a local path.

    Raises:
        MissingFileError: It does not exist.
        ScratchFullError: The local disk is full.
        StorageError: It cannot be read.
    """
    _tried("read", url, lambda files: _download(files, url, path))


def download_folder(url: str, folder: Path) -> None:
    """Copy the files of a remote folder to a local folder.

    Raises:
        VisError: As for `download`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = list_folder(url)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda file: download(file, folder / file.rpartition("/")[2]), found))


def upload(path: Path, url: str) -> None:
    """Copy a local file to an object store. The object is complete or absent.

    Raises:
        StorageError: It cannot be written.
    """
    _tried("write", url, lambda files: files.put_file(str(path), url))


def read(url: str) -> bytes | None:
    """Return the content of a small remote file. None: it does not exist.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        content: bytes = _tried("read", url, lambda files: files.cat_file(url))
    except MissingFileError:
        return None
    return content


def write(url: str, content: bytes) -> None:
    """Write a small object with one request.

    Raises:
        StorageError: It cannot be written.
    """
    _tried("write", url, lambda files: files.pipe_file(url, content))


def create(url: str, content: bytes) -> bool:
    """Write a small object if it does not exist. Return whether this call created it.

    Raises:
        StorageError: It cannot be written.
    """
    return bool(_tried("write", url, lambda files: _create(files, url, content)))


def remove(url: str) -> None:
    """Remove an object.

    Raises:
        StorageError: It cannot be removed.
    """
    _tried("write", url, lambda files: files.rm_file(url))


@cache
def _files(scheme: str) -> Any:
    """Return the file system of a scheme. It keeps no listings, which other processes change.

    Raises:
        CredentialsError: Its package is missing.
    """
    settings: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        import fsspec

        if scheme == "s3":
            settings["config_kwargs"] = {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT}
        elif scheme in WEB:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
            headers = {"Accept-Encoding": "identity"}  # otherwise, Content-Length is the size of a compressed copy
            settings["client_kwargs"] = {"timeout": timeout, "headers": headers, "trust_env": True}  # proxies
        return fsspec.filesystem(scheme, **settings)
    except ImportError:
        raise CredentialsError(f"the package {PACKAGES.get(scheme, 'fsspec')} is missing", hint=EXTRA) from None


def _tried(verb: str, url: str, call: Callable[[Any], T]) -> T:
    """Call a function with the file system of a URL. After a failed connection, call it again.

    Raises:
        VisError: It failed for another reason, or too often.
    """
    try:
        files = _files(_scheme(url))
    except CredentialsError as error:
        raise CredentialsError(f"cannot {verb} {shown_url(url)}: {error.problem}", hint=error.hint) from None
    for pause in (*PAUSES, None):
        try:
            return call(files)
        except VisError:
            raise
        except Exception as error:  # each of the libraries has exceptions of its own
            failure, is_transient = _failure(verb, url, error, files)
            if pause is None or not is_transient:
                raise failure from None  # the exception of the library can contain secrets
        time.sleep(pause * random.uniform(0.5, 1.5))
    raise AssertionError


def _download(files: Any, url: str, path: Path) -> None:
    from fsspec.callbacks import Callback

    progress = Callback()
    files.get_file(url, str(path), callback=progress)
    size, expected = path.stat().st_size, progress.size  # Content-Length, None if the server does not send it
    if expected is not None and size != expected:
        raise IncompleteDownloadError(f"{size} of {expected} bytes")


def _failure(verb: str, url: str, error: Exception, files: Any) -> tuple[VisError, bool]:
    """Return the error to raise for an exception of a library, and whether another try can succeed."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None and _scheme(url) in WEB:
        cause = error.__cause__  # fsspec reports each failed request for the size of a file as a missing file
        error = cause if isinstance(cause, Exception) else error
    start, name, status = f"cannot {verb} {shown_url(url)}", type(error).__name__, getattr(error, "status", None)
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        found = write_error("the scratch folder", error)
        return ScratchFullError(found.problem, hint="Free disk space, or use another --scratch DIR."), False
    if name in CREDENTIAL_ERRORS:
        hint = "Set the credentials of the storage, for example AWS_PROFILE or GOOGLE_APPLICATION_CREDENTIALS."
        return CredentialsError(f"{start}: no credentials", hint=hint), False
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        bucket = _missing_bucket(url, files)
        if bucket is not None:
            return MissingFileError(f"{start}: the bucket {bucket} does not exist", hint="Check the URL."), False
        return MissingFileError(f"{start}: no such file", hint="Check the URL."), False
    if isinstance(error, PermissionError) or status in (401, 403):
        return StorageError(f"{start}: access denied", hint="Check the credentials and their rights."), False
    cause_text = f"HTTP status {status}" if isinstance(status, int) and status else name
    is_final = isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
    hint = "Check the network, then run the same command again."
    return StorageError(f"{start}: the connection failed ({cause_text})", hint=hint), not is_final


def _missing_bucket(url: str, files: Any) -> str | None:
    """Return the name of the bucket of a URL if it does not exist. None: it exists, or it is not known."""
    bucket = url.partition("://")[2].partition("/")[0]
    if _scheme(url) not in OBJECT_STORES:
        return None
    try:
        return None if files.exists(bucket) else shown_url(f"{_scheme(url)}://{bucket}").partition("://")[2]
    except Exception:  # the first error is reported
        return None


def _info(files: Any, url: str) -> Mapping[str, Any] | None:
    try:
        info: Mapping[str, Any] = files.info(url)
    except FileNotFoundError as error:
        if _scheme(url) in OBJECT_STORES or isinstance(_failure("read", url, error, files)[0], MissingFileError):
            return None
        raise
    return info


def _entries(url: str) -> list[Mapping[str, Any]]:
    """Return the entries of a folder, without the empty object that some programs create for the folder itself."""
    own = url.partition("://")[2].rstrip("/")

    def call(files: Any) -> list[Mapping[str, Any]]:
        try:
            found: list[Mapping[str, Any]] = files.ls(url, detail=True)
        except FileNotFoundError:
            if (bucket := _missing_bucket(url, files)) is not None:
                problem = f"cannot read {shown_url(url)}: the bucket {bucket} does not exist"
                raise MissingFileError(problem, hint="Check the URL.") from None
            return []
        return [info for info in found if _key(info).rstrip("/") != own]

    return _tried("read", url, call)


def _create(files: Any, url: str, content: bytes) -> bool:
    try:
        files.pipe_file(url, content, mode="create")
    except FileExistsError:
        return False
    except (NotImplementedError, OSError) as error:
        if not isinstance(error, NotImplementedError) and _code(error) != NO_CONDITIONS:
            raise
        if files.exists(url):  # the store ignores conditions, so another process can create it at this moment
            return False
        files.pipe_file(url, content)
    return True


def _code(error: BaseException) -> object:
    """Return the error code of S3, which is in the exception of botocore."""
    response = getattr(error.__cause__, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, Mapping) else None


def _stat_or_none(url: str) -> RemoteVersion | None:
    try:
        return stat(url)
    except (StorageError, MissingFileError):  # the download reports the cause
        return None


def _version(info: Mapping[str, Any]) -> RemoteVersion:
    size = info.get("size")
    etag = info.get("ETag") or info.get("etag") or info.get("md5Hash")
    tag = _hash(str(etag)) if etag else _changed(info)
    return RemoteVersion(None if size is None else int(size), tag)


def _changed(info: Mapping[str, Any]) -> int | None:
    """Return the time of the last change in ns, None if the storage does not report it."""
    value = info.get("LastModified") or info.get("updated") or info.get("mtime") or info.get("created")
    try:
        if value is None:
            value = parsedate_to_datetime(info["Last-Modified"])
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except (KeyError, TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return int(when.timestamp() * 1e6) * 1000


def _hash(text: str) -> int:
    """Return 60 bits of the hash of a text: a positive integer in JSON, Parquet and Python."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def _key(info: Mapping[str, Any]) -> str:
    name = str(info["name"])
    return (name.partition("://")[2] if "://" in name else name).lstrip("/")


def _scheme(url: str) -> str:
    return url.partition("://")[0]
