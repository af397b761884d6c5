"""Hooks of MkDocs: files of the repository outside of docs/ that pages link to become files of the site.

Used by mkdocs.yml. A link such as `../../models/lite/CARD.md` also works on a Git server, so the pages keep it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
FOLDER = "repository"  # of the site, for the files outside of docs/
CODE_OR_LINK = re.compile(r"^```.*?^```$|`[^`\n]+`|(?P<link>\]\((?P<target>[^)\s]+)\))", re.MULTILINE | re.DOTALL)

LIST = re.compile(r"^([^\s\-*|>#`].*)\n(?=- )", re.MULTILINE)  # Python-Markdown needs an empty line before a list


def on_files(files: Files, config: Any) -> Files:
    """Add the linked files outside of docs/. Markdown becomes a page, whose linked files are also added."""
    waiting = sorted(DOCS.rglob("*.md"))
    found: set[Path] = set()
    while waiting:
        page = waiting.pop()
        for path in _linked(page):
            if path in found or path.is_relative_to(DOCS) or not path.is_file():
                continue
            found.add(path)
            is_page = path.suffix == ".md"
            level = InclusionLevel.NOT_IN_NAV if is_page else InclusionLevel.INCLUDED
            files.append(File.generated(config, _uri(path), abs_src_path=str(path), inclusion=level))
            if is_page:
                waiting.append(path)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace the links to files by links to their pages in the site."""
    source = Path(page.file.abs_src_path)

    def replace(match: re.Match[str]) -> str:
        if match["link"] is None or not (path := _path(source, match["target"])):
            return match[0]
        _, mark, anchor = match["target"].partition("#")
        target = os.path.relpath(_uri(path), start=os.path.dirname(page.file.src_uri) or ".")  # noqa: PTH120
        return f"]({target}{mark}{anchor})"

    return LIST.sub(r"\1\n\n", CODE_OR_LINK.sub(replace, markdown))


def _linked(page: Path) -> Iterator[Path]:
    for match in CODE_OR_LINK.finditer(page.read_text(encoding="utf-8")):
        if match["link"] is not None and (path := _path(page, match["target"])):
            yield path


def _path(page: Path, target: str) -> Path | None:
    """Return the file of a link, or None for a link to another server or inside of the page."""
    if re.match(r"\w+:|#", target):
        return None
    return (page.parent / target.partition("#")[0]).resolve()


def _uri(path: Path) -> str:
    """Return the path of a file in the site's sources."""
    return (
        path.relative_to(DOCS).as_posix()
        if path.is_relative_to(DOCS)
        else f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
    )
