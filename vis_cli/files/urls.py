"""URLs of object stores and web servers, and their form without secrets.

Used by `remote`, by the modules of `batch`, and by the writers that store the URL of a video.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

OBJECT_STORES = ("s3", "gs")  # schemes that can be listed and written to
WEB = ("http", "https")  # read only
MASKED = "***"  # stands for a user, a password or a signature
VALUE_DIGITS = 8  # hexadecimal digits of the hash of a parameter

_URL = re.compile(r"(s3|gs|https?)://(?:([^/]*)@)?([^/@]+)(?:/(.*))?", re.DOTALL)
_QUERY = re.compile(r"([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_COLLAPSED = re.compile(r"(s3|gs|https?):/(?=[^/])")  # a URL that passed through a `Path`
# Parameters that sign a URL: of AWS, Google, Azure, CloudFront. They change when the same URL is signed again.
_SIGNATURE = re.compile(
    r"x-(amz|goog|ms)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|sig|sv|ss|srt|sp|se|st|spr|sip|sr|ske|sks|skt|skv|skoid|sktid|sdd",
    re.IGNORECASE,
)


def is_url(text: str) -> bool:
    """Return whether a text is a URL that `vis batch` opens: s3, gs, http or https."""
    return _URL.fullmatch(text) is not None


def is_listable(url: str) -> bool:
    """Return whether the files below a URL can be listed and written: object stores, but not web servers."""
    return _scheme(url) in OBJECT_STORES


def shown_url(url: str) -> str:
    """Return a URL without secrets, for messages and the manifest. It identifies a video in later runs.

    The user and the password become `***`. All parameters of a signature become one `***`, so that a URL that is
    signed again stays the same video. The value of any other parameter becomes a short hash. A name without a
    value becomes a hash, too.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return url
    scheme, user, host, rest = match.groups()
    place = f"{scheme}://{'' if user is None else f'{MASKED}@'}{host}"
    if rest is None:
        return place
    path, query = (rest, None) if scheme in OBJECT_STORES else _split(rest)
    return f"{place}/{path}" + ("" if query is None else f"?{_shown_query(query)}")


def is_masked(shown: str) -> bool:
    """Return whether `shown_url` removed possible secrets, so that the URL cannot be opened."""
    return is_url(shown) and (f"://{MASKED}@" in shown or (not is_listable(shown) and "?" in shown))


def url_name(url: str) -> str:
    """Return the last part of the path of a URL, such as clip.mp4. It is the host or bucket if the path is empty."""
    match = _URL.fullmatch(url)
    if match is None:
        return posixpath.basename(url)
    scheme, _, host, rest = match.groups()
    path = (rest or "") if scheme in OBJECT_STORES else unquote(_split(rest or "")[0])
    return posixpath.basename(path.rstrip("/")) or host


def url_of(path: Path) -> str:
    """Return the text of a path. A URL that passed through a `Path` gets its second slash again."""
    return _COLLAPSED.sub(r"\1://", str(path), count=1)


def is_inside_url(path: Path) -> bool:
    """Return whether a `Path` is a URL that passed through it, and not a local folder with such a name."""
    return is_url(url_of(path)) and not Path(path.parts[0]).exists()


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _split(rest: str) -> tuple[str, str | None]:
    match = _QUERY.fullmatch(rest)
    return (rest, None) if match is None else (match[1], match[2])


def _shown_query(query: str) -> str:
    values = parse_qsl(query, keep_blank_values=True)
    others = [(name, value) for name, value in values if name != MASKED and not _SIGNATURE.fullmatch(name)]
    kept = [f"{quote(name)}={_hash(value)}" if value else _hash(name) for name, value in others]
    is_signed = len(kept) < len(values) or not values
    return "&".join([*kept, *([MASKED] if is_signed else [])])


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:VALUE_DIGITS]
