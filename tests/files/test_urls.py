"""URLs: parts, and their form without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.files.urls import is_inside_url, is_listable, is_masked, is_url, shown_url, url_name, url_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a.mp4", True),
        ("gs://bucket", True),
        ("http://host/a.mp4", True),
        ("https://user:word@host:81/a.mp4?b=1", True),
        ("rtsp://camera/1", False),
        ("s3:/bucket/a.mp4", False),
        ("videos/a.mp4", False),
        ("s3://", False),
    ],
)
def test_urls_that_are_opened(text: str, expected: bool) -> None:
    assert is_url(text) is expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/a b.mp4", "s3://bucket/a b.mp4"),
        ("s3://bucket/what?.mp4", "s3://bucket/what?.mp4"),  # a pattern, not a query
        ("https://host/a.mp4", "https://host/a.mp4"),
        ("https://user:word@host/a.mp4", "https://***@host/a.mp4"),
        ("https://us@er:wo@rd@host/a@b.mp4", "https://***@host/a@b.mp4"),
        ("https://h/a.mp4?X-Amz-Credential=AK&X-Amz-Signature=1f", "https://h/a.mp4?***"),
        ("https://h/a.mp4?sv=2026&se=9&sig=zz%3D", "https://h/a.mp4?***"),
        ("https://h/a?id=1", "https://h/a?id=6b86b273"),  # SHA-256 of "1"
        ("https://h/a?id=1&Signature=x#part", "https://h/a?id=6b86b273&***"),
        ("https://h/a?1", "https://h/a?6b86b273"),
        ("https://h/a.mp4?***", "https://h/a.mp4?***"),
        ("/videos/a?b.mp4", "/videos/a?b.mp4"),
    ],
)
def test_no_secret_is_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_url_that_is_signed_again_is_the_same_video() -> None:
    first, second = (f"https://h/a.mp4?v=2&X-Goog-Date={day}&X-Goog-Signature=s{day}" for day in (1, 2))
    assert shown_url(first) == shown_url(second)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("https://h/a.mp4?***", True),
        ("https://h/a?id=6b86b273", True),
        ("s3://***@bucket/a.mp4", True),
        ("s3://bucket/what?.mp4", False),
        ("https://h/a.mp4", False),
        ("/videos/***.mp4", False),
    ],
)
def test_a_url_without_its_secrets_cannot_be_opened(shown: str, expected: bool) -> None:
    assert is_masked(shown) is expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/day/clip.mp4", "clip.mp4"),
        ("s3://bucket/day/", "day"),
        ("s3://bucket", "bucket"),
        ("s3://bucket/100%25.mp4", "100%25.mp4"),
        ("https://host/my%20clip.mp4?id=a/b.avi", "my clip.mp4"),
        ("https://host", "host"),
    ],
)
def test_the_name_of_a_url(url: str, name: str) -> None:
    assert url_name(url) == name


def test_only_object_stores_are_listed() -> None:
    assert [is_listable(f"{scheme}://a/b") for scheme in ("s3", "gs", "http", "https")] == [True, True, False, False]


def test_a_url_that_passed_through_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert url_of(Path("s3://bucket/a.mp4")) == "s3://bucket/a.mp4"
    assert url_of(Path("/videos/a.mp4")) == "/videos/a.mp4"
    assert is_inside_url(Path("s3://bucket/out"))
    assert not is_inside_url(Path("out"))
    Path("s3:").mkdir()
    assert not is_inside_url(Path("s3://bucket/out"))
