"""Options of the commands that may ask a program for the place of frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

BLIND_OPTIONS = (
    click.option(
        "--blind",
        type=click.Choice(["solve-field"]),
        help="Program of astrometry.net to ask for frames that no catalogue places (docs/astrometry.md).",
    ),
    click.option(
        "--blind-config",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Its configuration file, which names its index files; default: its own.",
    ),
)


def blind_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(BLIND_OPTIONS):
        function = option(function)
    return function
