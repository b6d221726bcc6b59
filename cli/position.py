"""Positions on the command line: degrees or sexagesimal, negative declinations included."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from typing import Any

import click

_PARTS = re.compile(
    r"^(?P<sign>[+-]?)(?P<whole>\d+)\s*(?P<unit>[:hd°\s])\s*(?P<minutes>\d+)\s*(?:[:m'\s]\s*(?P<seconds>\d+(?:\.\d*)?)\s*[s\"]?)?m?$"
)


def parse_angle(text: str, hours: bool) -> float:
    """Read an angle: decimal degrees, or sexagesimal (hours where `hours`, unless written with 'd').

    Returns degrees; raises ValueError for anything else, not-a-number and infinity included.
    """
    cleaned = text.strip().replace("\u2212", "-")
    match = _PARTS.match(cleaned)
    if match is None:
        value = float(cleaned)
        if not math.isfinite(value):
            raise ValueError(text)
        return value
    minutes, seconds = int(match["minutes"]), float(match["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise ValueError(text)
    value = int(match["whole"]) + minutes / 60 + seconds / 3600
    in_hours = match["unit"] == "h" or (hours and match["unit"] not in "d°")
    return (-value if match["sign"] == "-" else value) * (15 if in_hours else 1)


class Angle(click.ParamType):
    """A right ascension or a declination; gives degrees."""

    name = "angle"

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._low, self._high = (-360.0, 360.0) if kind == "RA" else (-90.0, 90.0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text; refuse what is no angle or off the sphere."""
        if isinstance(value, float | int):
            return float(value)
        if re.match(r"^--?[A-Za-z]", value):
            raise click.NoSuchOption(value, ctx=ctx)
        try:
            degrees = parse_angle(value, hours=self._kind == "RA")
        except ValueError:
            self.fail(
                f"{value!r} is neither degrees (31.0427) nor sexagesimal (02:04:10.25, 2h4m10s)", param, ctx
            )
        if not self._low <= degrees <= self._high:
            self.fail(
                f"{value}: {self._kind} lies between {self._low:g} and {self._high:g} degrees", param, ctx
            )
        return degrees % 360 if self._kind == "RA" else degrees


class SkyCommand(click.Command):
    """A command whose arguments may begin with a minus sign, as declinations do."""

    ignore_unknown_options = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, having refused options that are not there: click would take them for arguments."""
        known = [option for param in self.get_params(ctx) for option in param.opts]
        before = args[: args.index("--")] if "--" in args else args
        for word in before:
            name = word.split("=")[0]
            if re.match(r"--[A-Za-z]", name) and name not in known:
                raise click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, known), ctx=ctx)
        return super().parse_args(ctx, args)


def position_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments RA DEC, passed as `ra` and `dec` in degrees."""
    dec = click.argument("dec", metavar="DEC", type=Angle("DEC"))(function)
    return click.argument("ra", metavar="RA", type=Angle("RA"))(dec)
