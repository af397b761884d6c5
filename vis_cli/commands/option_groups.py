"""Declaration of options: groups as dataclasses, rare options of `--help-all`, and removed options.

Used by the commands with many options. `options` defines the groups.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import OptionInfo

from vis_cli.console import UsageError, print_line
from vis_cli.messages import listed
from vis_cli.options import RARE_PANELS
from vis_cli.setting_fields import settings_of
from vis_cli.settings import OLD_NAMES, SegmentSettings

ALL = "vis_cli.help_all"  # key in the context: the help page also lists the rare options


class GroupedCommand(TyperCommand):
    """Command whose `--help` omits rare options. It reports the replacement of a removed option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            UsageError: An option of an earlier version is used.
        """
        known = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for word in args:
            name = word.partition("=")[0]
            if word == "--":
                break
            if name in REMOVED and name not in known:
                raise UsageError(f"No such option: {name}. Use {REMOVED[name]}")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page. Without `--help-all`, omit the rare options and list the ones that examples use."""
        rare: list[Any] = [] if ALL in ctx.meta else [item for item in self.params if _panel(item) in RARE_PANELS]
        epilog = self.epilog
        for parameter in rare:
            parameter.hidden = True
        if used := _used_in(epilog or "", rare):
            self.epilog = f"{epilog}\n\n`{ctx.command_path} --help-all` describes {listed(used)}."
        try:
            super().format_help(ctx, formatter)
        finally:
            for parameter in rare:
                parameter.hidden = False
            self.epilog = epilog


def print_all_help(ctx: typer.Context, wanted: bool) -> None:
    """Print the help page with all options and exit if `--help-all` is given."""
    if wanted:
        ctx.meta[ALL] = True
        if page := ctx.get_help():
            print_line(page)
        raise typer.Exit


HelpAll: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--help-all",
        metavar="",
        hidden=True,
        is_eager=True,
        callback=print_all_help,
        help="Print all options and exit.",
    ),
]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with one option for each field of a parameter that is a dataclass.

    The annotation `Annotated[Group, "Panel"]` moves the options of a group to this panel. An option with a panel keeps
    its panel.
    """
    hints = parameter_hints(command)
    bare = {name: get_args(hint)[0] if get_origin(hint) is Annotated else hint for name, hint in hints.items()}
    groups: dict[str, Any] = {name: kind for name, kind in bare.items() if dataclasses.is_dataclass(kind)}

    @functools.wraps(command)
    def call(**given: Any) -> None:
        given.pop("help_all")
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given)

    parameters = list(_parameters(command, hints, groups))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def parameter_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of the parameters of a function.

    `get_type_hints` of Python 3.10 turns `Annotated[X, ...]` into an Optional of it if the default is None.
    """
    parameters = inspect.signature(function, eval_str=True).parameters
    return {name: parameter.annotation for name, parameter in parameters.items()}


def changed_options(group: Any) -> Iterator[str]:
    """Yield the option of each field of a group that does not have its default value."""
    hints = get_type_hints(type(group), include_extras=True)
    for field in dataclasses.fields(group):
        if getattr(group, field.name) != field.default:
            info = next(part for part in get_args(hints[field.name]) if isinstance(part, OptionInfo))
            yield str(next(name for name in (info.default, *(info.param_decls or ())) if str(name).startswith("--")))


def _parameters(
    command: Callable[..., None], hints: Mapping[str, Any], groups: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if parameter.name not in groups:
            yield parameter.replace(annotation=hint, kind=keyword)
            continue
        group = groups[parameter.name]
        panel = get_args(hint)[1] if get_origin(hint) is Annotated else None
        fields = get_type_hints(group, include_extras=True)
        for field in dataclasses.fields(group):
            annotation = fields[field.name] if panel is None else _in_panel(fields[field.name], panel)
            yield inspect.Parameter(field.name, keyword, default=field.default, annotation=annotation)
    yield inspect.Parameter("help_all", keyword, default=False, annotation=HelpAll)


def _in_panel(hint: Any, panel: str) -> Any:
    kind, info = get_args(hint)
    if isinstance(info.rich_help_panel, str):
        return hint
    info = copy.copy(info)
    info.rich_help_panel = panel
    return Annotated[kind, info]


def _used_in(text: str, parameters: Sequence[Any]) -> list[str]:
    """Return the options of these parameters that a text uses, each one once, in the order of the text."""
    known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    return list(dict.fromkeys(word for word in re.findall(r"--[a-z][a-z-]*", text) if word in known))


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _removed() -> dict[str, str]:
    """Return the removed options of earlier versions, each with its replacement."""
    removed = {}
    old_names = {new: old for old, new in OLD_NAMES.items()}
    for name, setting in settings_of(SegmentSettings).items():
        value = "true" if setting.kind is bool else "VALUE"
        for flag in {f"--{old_names.get(name, name)}", f"--{name}"}:
            removed[flag.replace("_", "-")] = f"--set {name}={value}. `vis settings` lists all settings."
    opposites = {
        "--class-aware": "class_agnostic",
        "--keep-key-frame": "resegment_key_frame",
        "--no-memory-previous": "memory_previous",
    }
    removed |= {flag: f"--set {name}=false." for flag, name in opposites.items()}
    return {
        **removed,
        "--sequence-score": "--score-threshold VALUE.",
        "--render": "--no-render to omit the overlay; drawing it is the default.",
    }


REMOVED: Mapping[str, str] = _removed()
