"""Problems told by kind."""

from __future__ import annotations

from itertools import count

from vis_cli.files.limits import MAX_PROBLEMS
from vis_cli.records.submission_problems import Problem, summarise_problems


def test_the_first_of_each_kind_and_how_many_more() -> None:
    problems = [Problem("score", f"[{i}]", "is nan") for i in range(5)]
    problems.insert(1, Problem("size", "[0]", "is wrong"))
    found = summarise_problems(iter(problems), shown=2)
    assert found.count == 6
    assert found.lines == ("[0]: is nan", "[1]: is nan", "score: 3 more of this kind", "[0]: is wrong")


def test_no_problem() -> None:
    assert summarise_problems([], shown=2) == summarise_problems(iter(()), shown=9)
    assert summarise_problems([], shown=2).count == 0


def test_the_check_ends_at_a_limit() -> None:
    endless = (Problem("score", f"[{i}]", "is nan") for i in count())
    found = summarise_problems(endless, shown=1)
    assert found.count == MAX_PROBLEMS
    assert found.lines[-1] == "the check ended after 100,000 problems"
