"""Spares a command the import of pydantic, which would be a fifth of a sync that finds nothing.

Since 0.29 Typer turns what was typed into values by pydantic, even where nothing was typed. For
plain texts, numbers, paths and words of an enum a function of one line does the same. Whatever such
a function cannot read goes Typer's own way, which words the error; and a Typer that works
otherwise is left alone.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin

Convert = Callable[[Any], Any]

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_CHECKS = ("exists", "resolve_path", "path_type", "allow_dash", "parser", "formats")
_BOUNDS = ("min", "max")


def lighten(command: Any) -> Any:
    """The same command, or group of commands, with quick ways to read its parameters."""
    for param in command.params:
        _lighten_param(param)
    command.get_help_option = partial(_light_help_option, command.get_help_option)
    commands = getattr(command, "commands", None)
    for inner in commands.values() if isinstance(commands, dict) else ():
        lighten(inner)
    return command


class _Quick:
    """Stands in for Typer's ``RuntimeParam``."""

    def __init__(self, param: Any, convert: Convert) -> None:
        self._param, self._convert = param, convert

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        try:
            return [self._convert(one) for one in value] if several else self._convert(value)
        except (TypeError, ValueError):
            self._param._runtime_param = None  # so that Typer makes its own
            return self._param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _light_help_option(make: Callable[[Any], Any], ctx: Any) -> Any:
    """``--help`` is made late, and anew for each command."""
    return _lighten_param(make(ctx))


def _lighten_param(param: Any) -> Any:
    convert = _convert(param)
    if convert is not None and param._runtime_param is None:
        param._runtime_param = _Quick(param, convert)
    return param


def _convert(param: Any) -> Convert | None:
    if not hasattr(param, "_runtime_param") or not hasattr(param, "type_descriptor"):
        return None
    info = param.type_descriptor.parameter_info
    if any(getattr(info, name, None) for name in _CHECKS):
        return None
    if any(getattr(info, name, None) is not None for name in _BOUNDS):
        return None
    kind = param.type_descriptor.annotation
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return {str: _text, int: _whole, bool: _flag, Path: Path}.get(kind)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    raise ValueError
