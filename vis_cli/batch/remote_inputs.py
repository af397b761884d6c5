"""Videos and lists in object stores and on web servers. Used by `commands.planned_batch`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vis_cli.batch.scratch import Scratch
from vis_cli.batch.tasks import VideoTask
from vis_cli.batch.video_list import address_of, is_list, read_list
from vis_cli.errors import VisError
from vis_cli.files import remote
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.names import natural_key, safe_file_name
from vis_cli.files.urls import is_listable, is_url, shown_url, url_name
from vis_cli.messages import Messages
from vis_cli.records.media_folder import IMAGE_SUFFIXES, VIDEO_SUFFIXES

_PATTERN = re.compile(r"[*?\[]")


def find_remote(url: str, messages: Messages, scratch: Scratch) -> tuple[list[VideoTask], bool]:
    """Return the videos of a URL, and whether it is a list.

    A URL of an object store can be a list, a pattern, a video, or a folder with videos or with the images of one video.
    A URL of a web server is a list or a video.

    Raises:
        VisError: The URL cannot be read, or no video has it.
    """
    if is_list(Path(url_name(url))):
        return _read_remote_list(url, messages, scratch), True
    if not is_listable(url):
        return [_task(url)], False
    if _PATTERN.search(url) and remote.stat(url) is None:  # a file can have such characters in its name
        found = [file for file in remote.find(url) if not url_name(file).startswith(".")]
        if not found:
            raise VisError(f"cannot read {shown_url(url)}: no file matches the pattern", hint="Check the URL.")
        return [_task(file) for file in sorted(found, key=natural_key)], False
    if not url.endswith("/") and not remote.is_folder(url):
        return [_task(url)], False
    return _list_videos(url.rstrip("/")), False


def remote_versions(tasks: Sequence[VideoTask]) -> dict[str, tuple[int | None, int | None]]:
    """Return the size of each remote file in bytes and the hash of its ETag, by path. None: it is missing.

    Raises:
        VisError: There are no credentials, or a package is missing.
    """
    addresses = {task.path: task.address or task.path for task in tasks if is_url(task.path)}
    masks = ((task.masks, task.masks_address) for task in tasks)
    addresses |= {shown: address or shown for shown, address in masks if shown is not None and is_url(shown)}
    found = remote.stat_many(addresses.values()) if addresses else {}
    versions = {path: found.get(url) for path, url in addresses.items()}
    return {path: (None, None) if one is None else (one.size, one.tag) for path, one in versions.items()}


def _read_remote_list(url: str, messages: Messages, scratch: Scratch) -> list[VideoTask]:
    local = scratch.make("list") / safe_file_name(url_name(url), max_bytes=MAX_NAME_BYTES, fallback="list")
    remote.download(url, local)
    try:
        return read_list(local, messages)
    except VisError as error:
        parts = (text.replace(str(local), shown_url(url)) for text in (error.problem, error.where, error.hint))
        problem, where, hint = parts
        raise VisError(problem, where=where, field=error.field, hint=hint) from error


def _list_videos(folder: str) -> list[VideoTask]:
    files = [file for file in remote.list_folder(folder) if not url_name(file).startswith(".")]
    videos = [file for file in files if Path(file).suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        return [_task(file) for file in sorted(videos, key=natural_key)]
    if any(Path(file).suffix.lower() in IMAGE_SUFFIXES for file in files):
        return [_task(f"{folder}/")]
    hint = f"For videos in deeper folders, use a pattern in quotes: '{shown_url(folder)}/**/*.mp4'."
    raise VisError(f"cannot read {shown_url(folder)}: no videos or images in this folder", hint=hint)


def _task(url: str) -> VideoTask:
    path, address = address_of(url)
    return VideoTask(path, address=address)
