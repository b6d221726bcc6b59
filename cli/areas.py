"""Parts of the frame on the command line: --box and --mask, in pixels."""

from __future__ import annotations

import re
from typing import Any

import click

Box = tuple[int, int, int, int]

NUMBERS = 4
_INTEGER = re.compile(r"[0-9]+,?$")


class BoxType(click.ParamType):
    """A part of the frame: X0,Y0,X1,Y1, from the first pixel (0) on, its edges included."""

    name = "X0,Y0,X1,Y1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Box:
        """Read four whole numbers; refuse a part without pixels."""
        if isinstance(value, tuple):
            return value  # type: ignore[return-value]
        words = value.replace(",", " ").split()
        if len(words) != NUMBERS or not all(word.isascii() and word.isdigit() for word in words):
            self.fail(f"{value!r}: four whole numbers X0,Y0,X1,Y1 are needed, from 0 on", param, ctx)
        x0, y0, x1, y1 = (int(word) for word in words)
        if not (x0 < x1 and y0 < y1):
            self.fail(f"{value}: X0 < X1 and Y0 < Y1 are needed", param, ctx)
        return x0, y0, x1, y1


class AreaCommand(click.Command):
    """A command whose --box and --mask may also be written as four words: --box 10 10 200 200."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the four words before click looks at them."""
        joined: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            joined.append(word)
            if word == "--":
                joined += rest
                break
            four = rest[:NUMBERS]
            if word in ("--box", "--mask") and len(four) == NUMBERS and all(map(_INTEGER.match, four)):
                joined.append(",".join(number.rstrip(",") for number in four))
                rest = rest[NUMBERS:]
        return super().parse_args(ctx, joined)


AREA_OPTIONS = (
    click.option(
        "--box",
        type=BoxType(),
        metavar="X0,Y0,X1,Y1",
        help="Part of the frame over which the dynamic range is taken, pixels; default: all of it.",
    ),
    click.option(
        "--mask",
        "masks",
        type=BoxType(),
        multiple=True,
        metavar="X0,Y0,X1,Y1",
        help="Part of the frame left out of the quality and of the stars that register it; may be repeated.",
    ),
)
"""--box and --mask, passed as `box` and `masks`."""


def area_options(function: Any) -> Any:
    """Add --box and --mask."""
    for option in reversed(AREA_OPTIONS):
        function = option(function)
    return function
