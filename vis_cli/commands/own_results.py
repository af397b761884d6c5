"""Assignment of existing results to inputs, and the check that a result can be reused.

A source is the file or folder of an input video. Used by `outputs` and `batch`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import folded_name, printable
from vis_cli.records.part import PartRequest
from vis_cli.records.result_head import ResultHead, read_head
from vis_cli.records.result_json import list_results
from vis_cli.records.source_identity import absolute_path, identify_source, source_difference, source_size
from vis_cli.records.types import ModelInfo, SourceIdentity
from vis_cli.settings import BEFORE_SETTING

SHOWN_SETTINGS = 3  # maximum number of settings in a message
SHOWN_HASH = 8  # characters
SHOWN_VALUE = 40  # characters


@dataclass(frozen=True, slots=True)
class Production:
    """Model, settings, part, and all inputs that the user gives: all that changes a result by more than rounding."""

    model: ModelInfo
    config: Mapping[str, Any]
    given_masks: str | None = None
    given_names: str | None = None
    given_detections: str | None = None
    given_prompts: str | None = None
    part: PartRequest | None = None  # of the video; None: the complete video


class OwnResults:
    """Existing results of a folder, indexed by the video that they store."""

    def __init__(self, folder: Path) -> None:
        """Read the heads of all results in `folder`, which may be missing."""
        self._by_path: dict[str, list[ResultHead]] = defaultdict(list)
        self._by_content: dict[tuple[str, int, str], list[ResultHead]] = defaultdict(list)
        self._by_name: dict[str, list[ResultHead]] = defaultdict(
            list
        )  # results of schema 1, whose paths can be relative
        self._identities: dict[Path, SourceIdentity | None] = {}
        self.heads = [head for head in map(read_head, list_results(folder)) if head is not None]
        for head in self.heads:
            self._add(head)
        self._sizes = {size for _, size, _ in self._by_content}

    def assign(self, sources: Sequence[Path], default_names: Sequence[str]) -> dict[Path, ResultHead]:
        """Return the existing result of each source. A copy of a video is a separate source.

        A result belongs to the first of these sources that exists:

        1. the source at the stored path, if its content is unchanged
        2. a source with the stored content, if the file at the stored path is missing or has changed (a moved file)
        3. the source at the stored path, with changed content
        """
        found: dict[Path, ResultHead] = {}
        used: set[Path] = set()
        for find in (self._unchanged, self._moved, self._at_path, self._unidentified):
            for source, name in zip(sources, default_names, strict=True):
                heads = [] if source in found else [head for head in find(source) if head.path not in used]
                if heads:
                    best = heads[0] if len(heads) == 1 else min(heads, key=lambda head: self._rank(head, source, name))
                    found[source] = best
                    used.add(best.path)
        return found

    def _add(self, head: ResultHead) -> None:
        if head.source is None:
            paths = _path_keys(head.video_path)
            if not os.path.lexists(head.video_path):
                self._by_name[head.video_path.name].append(head)
        else:
            paths = _path_keys(head.source.path)
            self._by_content[_content(head.source)].append(head)
        for key in paths:
            self._by_path[key].append(head)

    def _unchanged(self, source: Path) -> list[ResultHead]:
        return [head for head in self._at_path(source) if self._has_content(head, source)]

    def _at_path(self, source: Path) -> list[ResultHead]:
        heads = (head for key in sorted(_path_keys(source)) for head in self._by_path.get(key, ()))
        return list({head.path: head for head in heads}.values())

    def _moved(self, source: Path) -> list[ResultHead]:
        if not self._may_be_known(source):
            return []
        identity = self._identify(source)
        heads = [] if identity is None else self._by_content.get(_content(identity), [])
        return [head for head in heads if head.source and not self._is_other(head, head.source.path, source)]

    def _may_be_known(self, source: Path) -> bool:
        """Return whether a result stores the size of a source. The size is known without reading the source."""
        try:
            size = source_size(source) if self._by_content else None
        except (OSError, ValueError, VisError):  # the batch reports the error when it processes this source
            return False
        return size in self._sizes

    def _is_other(self, head: ResultHead, stored: Path, source: Path) -> bool:
        """Return whether the stored path still has the stored content and is not another name of the source."""
        return self._has_content(head, stored) and not _is_same_entry(stored, source)

    def _unidentified(self, source: Path) -> list[ResultHead]:
        return self._by_name.get(source.name, [])

    def _rank(self, head: ResultHead, source: Path, name: str) -> tuple[bool, bool, Path]:
        return not self._has_content(head, source), head.path.stem != name, head.path

    def _has_content(self, head: ResultHead, path: Path) -> bool:
        identity = self._identify(path)
        return identity is not None and head.source is not None and source_difference(head.source, identity) is None

    def _identify(self, path: Path) -> SourceIdentity | None:
        """Return the identity of a source, None if it is missing or cannot be read."""
        if path not in self._identities:
            try:
                self._identities[path] = identify_source(path)
            except VisError:
                self._identities[path] = None
        return self._identities[path]


def find_difference(head: ResultHead, source: SourceIdentity, production: Production) -> str | None:
    """Return how a stored result differs from a new result, in one phrase. None: no difference."""
    if head.source is None:
        return "it stores no fingerprint of its video (written by an earlier version of vis)"
    changed = source_difference(head.source, source)
    differences = [
        None if changed is None else f"the {source.kind} has changed since ({changed})",
        _stream_difference(head.source.stream, source.stream),
        _part_difference(None if head.part is None else head.part.request, production.part),
        *_config_differences(head.config, production.config),
        _model_difference(head.model, production.model),
        _given_difference("masks", head.given_masks, production.given_masks),
        _given_difference("names", head.given_names, production.given_names),
        _given_difference("detections", head.given_detections, production.given_detections),
        _given_difference("prompts", head.given_prompts, production.given_prompts),
    ]
    return ", ".join(filter(None, differences)) or None


def is_own(head: ResultHead, source: Path, *, origin: Path | None = None) -> bool:
    """Return whether a result belongs to this source: by its stored path, or by its content after a move.

    Args:
        head: Head of the result.
        source: The video.
        origin: URL of a remote video whose copy is `source`.
    """
    stored = head.video_path if head.source is None else head.source.path
    if _path_keys(stored) & _path_keys(origin or source):
        return True
    return head.source is not None and source_difference(head.source, identify_source(source)) is None


def hash_masks(masks: Mapping[int, NDArray[np.integer[Any]]]) -> str:
    """Return a hash of label maps (H, W) by frame index; the encoding of their files has no influence."""
    digest = hashlib.sha256()
    for frame, labels in sorted(masks.items()):
        digest.update(f"{frame} {labels.shape} ".encode())
        digest.update(np.ascontiguousarray(labels, "<u4").tobytes())
    return digest.hexdigest()


def hash_names(names: Mapping[int, str]) -> str:
    """Return a hash of the names of objects by id. The order of the names has no influence."""
    return hashlib.sha256(json.dumps(sorted(names.items())).encode()).hexdigest()


def hash_detections(digest: str, first: int | None) -> str:
    """Return a hash of detections, and of the number of the first frame if the user gives it.

    Args:
        digest: Hash of the content of their file.
        first: Number of the first frame. None: `vis` chooses it from the content.
    """
    return digest if first is None else hashlib.sha256(f"{digest} {first}".encode()).hexdigest()


def _config_differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    now = json.loads(json.dumps(now))  # tuples become lists, as in the file
    stored = {**{name: value for name, value in BEFORE_SETTING.items() if name in now}, **stored}
    names = [name for name in {**now, **stored} if stored.get(name) != now.get(name)]
    shown = [f"{name} {_value(stored.get(name))} -> {_value(now.get(name))}" for name in names[:SHOWN_SETTINGS]]
    rest = len(names) - len(shown)
    return [*shown, f"{rest} more settings"] if rest > 0 else shown


def _stream_difference(stored: int | None, now: int | None) -> str | None:
    if stored == now:
        return None
    first, second = ("default" if stream is None else stream for stream in (stored, now))
    return f"video stream {first} -> {second}"


def _part_difference(stored: PartRequest | None, now: PartRequest | None) -> str | None:
    if stored == now:
        return None
    first, second = ("the complete video" if part is None else str(part) for part in (stored, now))
    return f"part {first} -> {second}"


def _model_difference(stored: ModelInfo, now: ModelInfo) -> str | None:
    if stored.sha256 == now.sha256:
        return None
    return f"model {_model(stored)} -> {_model(now)}"


def _given_difference(given: str, stored: str | None, now: str | None) -> str | None:
    if stored == now:
        return None
    if stored is None:
        return f"{given} are given now"
    return f"no {given} are given now" if now is None else f"{given} differ"


def _model(model: ModelInfo) -> str:
    return f"{printable(model.name, limit=SHOWN_VALUE)} {printable(model.sha256[:SHOWN_HASH])}"


def _value(value: object) -> str:
    return printable("none" if value is None else str(value), limit=SHOWN_VALUE)


def _content(source: SourceIdentity) -> tuple[str, int, str]:
    return source.kind, source.size, source.fingerprint


def _is_same_entry(one: Path, other: Path) -> bool:
    """Return whether two paths are the same file under names that this file system does not distinguish."""
    return folded_name(one.name) == folded_name(other.name) and one.samefile(other)


def _path_keys(path: Path) -> set[str]:
    """Return the absolute path as given by the user, and the path with all symbolic links resolved."""
    return {str(absolute_path(path)), os.path.realpath(path)}
