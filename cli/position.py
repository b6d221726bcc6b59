"""Positions on the command line: degrees or sexagesimal, negative declinations included, or the name of an object."""

from __future__ import annotations

import difflib
import functools
import math
import os
import re
from collections.abc import Callable, Sequence
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


online_option = click.option(
    "--online",
    type=click.Choice(["simbad", "vsx"]),
    help="Ask there over the network for a NAME that the archive does not know; the answer is kept.",
)
"""--online, for commands that read the words of a position themselves by `position_of`."""


def position_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments RA DEC, or the NAME of an object, passed as `ra` and `dec` in degrees; and --online.

    The function's first argument is the database: this stands below `pass_database`.
    """
    return _with_place(function, required=True)


def optional_position_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same, which may be missing: `ra` and `dec` are None then."""
    return _with_place(function, required=False)


def _with_place(function: Callable[..., Any], required: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(database: Any, *args: Any, place: tuple[str, ...], online: str | None, **options: Any) -> Any:
        ra, dec = position_of(database, place, online) if place else (None, None)
        return function(database, *args, ra=ra, dec=dec, **options)

    argument = click.argument("place", nargs=-1, required=required, metavar="RA DEC | NAME")
    return argument(online_option(wrapper))


def position_of(database: Any, words: Sequence[str], online: str | None = None) -> tuple[float, float]:
    """Return the position, deg, that words tell: RA DEC, or the name of an object, which may be of several words."""
    told = place_words(words)
    if not isinstance(told, str):
        return told
    from photodb.steps.places import find_place

    found = find_place(database, told, online)
    _say(f"{found.name} ({found.origin}): RA {found.ra:.5f} Dec {found.dec:+.5f}")
    for note in found.notes:
        _say(note)
    return found.ra, found.dec


def _say(text: str) -> None:
    click.echo(text, err=True, color=False if os.environ.get("NO_COLOR") else None)


def place_words(words: Sequence[str]) -> tuple[float, float] | str:
    """Read RA DEC, in two words, six (2 4 10.25 -46 41 16) or one (31.04,46.69); else return the name.

    Raises
    ------
    click.UsageError : an option that there is not, or what can be neither.
    """
    for word in words:
        if re.match(r"^--?[A-Za-z]", word):
            raise click.NoSuchOption(word)
    parts = [p for word in words for p in re.split(r"[\s,]+", word.strip()) if p]
    text = " ".join(" ".join(words).split())
    if not parts:
        raise click.UsageError("give RA DEC, or the NAME of an object")
    if len(parts) == 6 and all(map(_is_angle, parts)):
        parts = [" ".join(parts[:3]), " ".join(parts[3:])]
    pair = list(words) if len(words) == 2 else parts
    if len(pair) == 2 and (all(map(_is_angle, pair)) or any(map(_is_surely_angle, pair))):
        return Angle("RA").convert(pair[0], None, None), Angle("DEC").convert(pair[1], None, None)
    if len(parts) == 1 and _is_surely_angle(parts[0]):
        raise click.UsageError(f"{text!r} is one coordinate: give RA DEC, or the NAME of an object")
    return text


def _is_angle(word: str) -> bool:
    try:
        parse_angle(word, hours=True)
    except ValueError:
        return False
    return True


def _is_surely_angle(word: str) -> bool:
    """Tell whether a word is an angle and can be no part of a name: it has a decimal point, colons or a sign."""
    return _is_angle(word) and (any(mark in word for mark in ".:") or word[0] in "+-\u2212")
