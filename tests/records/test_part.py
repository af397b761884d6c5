"""Tests of `vis_cli.records.part`: one notation per kind of position, and one-line errors for everything else."""

from __future__ import annotations

import pytest

from vis_cli.errors import VisError
from vis_cli.records.part import Given, PartRequest, Position, make_request, parse_position


@pytest.mark.parametrize(("given", "frame"), [("120", 120), ("0", 0), (" 7 ", 7), (120, 120)])
def test_an_integer_is_a_frame_number(given: Given, frame: int) -> None:
    assert parse_position(given, "start") == Position(frame, is_time=False)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("5s", 5.0),
        ("5.5s", 5.5),
        ("5.5", 5.5),
        ("5.0", 5.0),
        (5.0, 5.0),
        ("0:05", 5.0),
        ("1:20", 80.0),
        ("90:00", 5400.0),
        ("0:01:20.5", 80.5),
        ("00:01:20", 80.0),
        ("2:00:00", 7200.0),
        ("0.041667s", 0.041667),
    ],
)
def test_a_time(given: Given, seconds: float) -> None:
    assert parse_position(given, "start") == Position(round(seconds * 1e6), is_time=True)


@pytest.mark.parametrize(
    "given",
    ["", " ", "-1", "-0:05", "-5s", "nan", "NaN", "inf", "1:99", "1:60", "60:00:00:00", "1:75:00", "0:5", "5 s", "5.",
     ".5", "1e3", "5m", "0x10", "1:20s", "١٢", "1_000", "+5", "9" * 20, -1, -0.5, float("nan"), float("inf"),
     10**15, 1e15],
)  # fmt: skip
def test_other_notations_are_rejected_in_one_line(given: Given) -> None:
    with pytest.raises(VisError, match=r"Use a frame number such as 120, seconds such as 5s or 5\.5, or a") as caught:
        parse_position(given, "start")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("start is ")


@pytest.mark.parametrize(
    ("given", "text"), [("5.50s", "5.5s"), ("1:20", "80s"), ("100", "100"), ("10.0", "10s"), ("0.000001s", "0.000001s")]
)
def test_the_notation_of_a_position_is_unique(given: str, text: str) -> None:
    position = parse_position(given, "end")
    assert str(position) == text
    assert parse_position(text, "end") == position


def test_no_part_is_the_complete_video() -> None:
    assert make_request() is None
    assert make_request("0") is None
    assert make_request(0, None, 1) is None
    assert make_request(every=2) == PartRequest(every=2)
    assert str(make_request("0:05", "1:20", 2)) == "--start 5s --end 80s --every 2"


@pytest.mark.parametrize(
    ("start", "end"), [("5s", "4s"), ("0:05", "5s"), ("9", "9"), ("9", "3"), (None, "0"), (None, 0.0)]
)
def test_an_end_that_is_not_after_the_start(start: Given, end: Given) -> None:
    with pytest.raises(VisError, match=r"^end is .*, which is not after the start of the part"):
        make_request(start, end)


@pytest.mark.parametrize("every", [0, -2])
def test_a_distance_below_1(every: int) -> None:
    with pytest.raises(VisError, match=rf"^every is {every}\. Use a value of at least 1\.$"):
        make_request(every=every)


def test_a_distance_that_no_result_can_store() -> None:
    assert make_request(every=10**15 - 1) == PartRequest(every=10**15 - 1)
    with pytest.raises(VisError, match=r"^every is 1000000000000000\. Use a value of at most 999,999,999,999,999\.$"):
        make_request(every=10**15)
