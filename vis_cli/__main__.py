"""`vis` and `python -m vis_cli`.

The handlers of signals come first, because the imports of a command take about a second.
"""

from __future__ import annotations

from vis_cli.signals import install_handlers


def main() -> None:
    """Run `vis` with the arguments of the process."""
    install_handlers()
    from vis_cli import app

    app.main()


if __name__ == "__main__":
    main()
