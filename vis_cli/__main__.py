"""Entry point of `vis` and of `python -m vis_cli`.

It installs the signal handlers first, because the imports of a command take about a second.
"""

from __future__ import annotations

from vis_cli.signals import install_handlers


def main() -> None:
    """Run `vis` with the command-line arguments of this process."""
    install_handlers()
    from vis_cli import app

    app.main()


if __name__ == "__main__":
    main()
