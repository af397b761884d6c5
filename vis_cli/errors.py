"""The one exception for a user's mistake; raised everywhere, printed by `console` as a single line."""


class VisError(Exception):
    """Say what went wrong, which input it was, and how to mend it, in one line."""
