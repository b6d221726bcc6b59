"""photodb variables: candidates of variable stars."""

from __future__ import annotations

from typing import Any

import click

from photodb.errors import NothingMatched

from .common import format_option, message, pass_database, write_table
from .lightcurve import table_of
from .numbers import Finite


@click.command()
@pass_database
@click.option("--min-epochs", type=click.IntRange(0), default=0, help="Only stars with so many good points.")
@click.option("--band", metavar="NAME", help="Only this band.")
@click.option("--min-score", type=Finite(0.0), default=0.0, help="Only candidates with this score or more.")
@click.option("--all", "all_stars", is_flag=True, help="Every star, the candidates first.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option(
    "--new/--known",
    "new",
    default=None,
    help="Only those that no known catalogue has; only those that one has.",
)
@format_option()
@click.pass_context
def variables(
    ctx: click.Context,
    db: Any,
    min_epochs: int,
    band: str | None,
    min_score: float,
    all_stars: bool,
    limit: int | None,
    new: bool | None,
    fmt: str,
) -> None:
    """List candidates of variable stars, best first, with the criteria that they passed.

    The score is the highest z of an index against neighbours in magnitude, among the criteria passed. The last columns
    tell the nearest object of the catalogues loaded with 'photodb objects load': name, type and period. Without a
    candidate only the names of the columns are written, and the exit code is 5.
    """
    from photodb.steps.variables import variables as list_variables

    found = list_variables(
        db, min_epochs, band, min_score, all_stars, limit, known=None if new is None else not new
    )
    write_table(table_of({name: found[name] for name in found.dtype.names or ()}), fmt)
    if not len(found):
        which = {None: "", True: "new ", False: "known "}[new]
        message(f"no {which}candidate; 'photodb variables --all' lists every star")
        ctx.exit(NothingMatched.exit_code)
