"""The exception for a mistake of the user. Every module raises it, and `console` prints it as one line."""

from __future__ import annotations


class VisError(Exception):
    """A mistake of the user: what is wrong, where, and how to fix it.

    The parts stay separate until the error is printed, so that a caller can change one of them.

    Attributes:
        where: The file, the entry of a file, or the table of a configuration. It can be empty.
        field: The field or setting whose value is wrong. It can be empty.
        problem: What is wrong, without a period at the end.
        hint: How to fix it, as one or two sentences. It can be empty.
    """

    def __init__(self, problem: str, *, where: object = "", field: str = "", hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = str(where)
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        """Return the line that is printed: `where: field problem. hint`."""
        subject = f"{self.field} {self.problem}" if self.field else self.problem
        line = f"{self.where}: {subject}" if self.where else subject
        return f"{line.removesuffix('.')}. {self.hint}" if self.hint else line

    def __repr__(self) -> str:
        """Return the class and the printed line."""
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Keep all parts when the error passes from one process to another."""
        return _rebuild, (self.problem, self.where, self.field, self.hint)

    def inside(self, where: object) -> VisError:
        """Return the same error with a place around its own place: a file around a table, for example."""
        inner = f"{where}: {self.where}" if self.where else where
        return VisError(self.problem, where=inner, field=self.field, hint=self.hint)

    def with_hint(self, hint: str) -> VisError:
        """Return the same error with another sentence at its end."""
        hints = f"{self.hint} {hint}" if self.hint else hint
        return VisError(self.problem, where=self.where, field=self.field, hint=hints)


def _rebuild(problem: str, where: str, field: str, hint: str) -> VisError:
    return VisError(problem, where=where, field=field, hint=hint)
