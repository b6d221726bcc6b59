"""photodb query: questions in SQL, read only."""

from __future__ import annotations

from typing import Any

import click

from .common import POSITIVE, format_option, message, pass_database, write_table


@click.command()
@pass_database
@click.argument("sql", metavar='"SELECT ..."')
@click.option("--timeout", type=click.FloatRange(min=0.001), default=60.0, show_default=True, help="Seconds.")
@click.option("--max-rows", type=POSITIVE, default=1_000_000, show_default=True)
@format_option()
def query(db: Any, sql: str, timeout: float, max_rows: int, fmt: str) -> None:
    """Ask the archive one question in SQL, read only.

    The view `calibrated` has a row a point of the published solution. Every table and column carries a
    comment: \\d+ in psql at 'photodb db url' shows them.
    """
    from photodb.steps import ask

    names, rows, more = ask.question(db, sql, max_rows, timeout)
    write_table([dict(zip(names, row, strict=True)) for row in rows], fmt, columns=names)
    if more:
        message(f"only the first {max_rows} rows; give --max-rows for more")
