"""`vis report-system`: describe the machine for a bug report.

Registered by `app`.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vis_cli.console import Reporter, print_json, print_line
from vis_cli.options import Debug


def report_system(
    *,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON instead of text.")] = False,
    debug: Debug = False,
) -> None:
    """Print versions, devices, codecs and models for a bug report.

    The output contains no paths, and no names of users or hosts. Add it to a bug report.
    """
    with Reporter(debug=debug).guard():
        from vis_cli.commands.system_facts import system_facts

        sections = system_facts()
        if as_json:
            print_json(json.dumps(sections, indent=2))
            return
        for number, (section, facts) in enumerate(sections.items()):
            print_line(f"\n{section}" if number else section)
            for name, value in facts.items():
                print_line(f"  {name}: {value}")
