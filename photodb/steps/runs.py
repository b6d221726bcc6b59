"""Record what a command did, and undo it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from photodb.errors import PhotodbError, UsageError
from photodb.storage import judgements, registrations, runs, undo
from photodb.storage.engine import Database

JUDGING = ("frame reject", "frame restore", "qa apply", "shift reject")
"""Commands that judge frames; undoing them withdraws, or renews, the rejections."""

NOT_UNDONE = {
    "solution publish": "'photodb solution publish N' publishes another, 'photodb solution list' lists them",
    "calib drop": "the pixels are gone; 'photodb calib build' builds the master anew",
    "refcat drop": "the catalogue is gone; 'photodb refcat load' loads it again",
    "objects drop": "the objects are gone; 'photodb objects load' loads them again",
    "solution drop": "what it deleted is gone; 'photodb solve' makes a solution anew",
}
"""Commands whose runs only changed or deleted rows, and what to do instead."""

EMPTY = {
    "telescope add": "the cameras are in use, or a later description took their place; "
    "'photodb telescope add FILE.toml' describes them anew",
    **dict.fromkeys(JUDGING, "none of its judgements stands; 'photodb frame list' shows the frames"),
    "refcat load": "the catalogue is not its own; 'photodb refcat list' lists them",
    "objects load": "the objects are not its own; 'photodb objects list' lists them",
}
"""Commands whose runs can be taken back only while rows of theirs are there, and what to do else."""


@dataclass
class RecordedRun:
    """A run under way: its key, and what it has to tell at its end.

    Set `outcome` to ``partial`` if some items failed. `report` is stored as JSON.
    """

    run_id: int
    outcome: str = "done"
    report: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def recorded_run(
    db: Database, command: str, arguments: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[RecordedRun]:
    """Record a command: a row when it begins, outcome and report when it ends, each in its own transaction.

    An exception passes on; the row says `failed`, or `interrupted` for Ctrl-C. The row of a process that was
    killed says `running` until the next command on the same machine closes it as `interrupted`.
    """
    with db.begin() as conn:
        runs.close_dead_runs(conn)
        run_id = runs.start_run(conn, command, _jsonable(arguments), _jsonable(settings))
    this = RecordedRun(run_id)
    try:
        yield this
    except (KeyboardInterrupt, SystemExit) as stop:
        _finish_anyway(db, this, "interrupted", stop)
        raise
    except BaseException as error:
        _finish_anyway(db, this, "failed", error)
        raise
    with db.begin() as conn:
        runs.finish_run(conn, run_id, this.outcome, _jsonable(this.report))


def list_runs(db: Database, command: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """List the runs, newest first, of one command or of all."""
    with db.begin() as conn:
        return [dict(row) for row in runs.list_runs(conn, command, limit)]


def show_run(db: Database, run_id: int) -> dict[str, Any]:
    """Return the row of a run; NothingMatched if there is none."""
    with db.begin() as conn:
        return dict(runs.get_run(conn, run_id))


def undo_run(db: Database, run_id: int, dry_run: bool = False) -> dict[str, int]:
    """Take back what a run wrote and return the rows deleted by table; `dry_run` counts, and deletes nothing.

    Judgements are not deleted: their number is that of the rejections withdrawn, or renewed.

    Raises
    ------
    NothingMatched
        There is no such run.
    UsageError
        It still runs, was undone, or later things depend on it: all of the reasons.
    """
    try:
        with db.begin() as conn:
            undo.lock(conn)
            row = runs.get_run(conn, run_id)
            reasons = undo.blockers(conn, run_id)
            if row["outcome"] == "undone":
                reasons = ["it was undone already"]
            elif row["command"] in NOT_UNDONE:
                reasons = [NOT_UNDONE[row["command"]]]
            elif row["outcome"] == "running" and runs.lives(row):
                reasons = [f"it still runs, as process {row['pid']} on {row['host']}"]
            if reasons:
                raise UsageError(f"run {run_id} ({row['command']}) cannot be undone: {'; '.join(reasons)}")
            moved = (
                registrations.give_back(conn, row["report"]) if row["command"] == "shift reference" else {}
            )
            n_judged = judgements.undo(conn, run_id)
            counts = undo.undo(conn, run_id) | moved | ({"frame_judgement": n_judged} if n_judged else {})
            if not counts and row["command"] in EMPTY:
                raise UsageError(
                    f"run {run_id} ({row['command']}) has nothing to take back: {EMPTY[row['command']]}"
                )
            runs.finish_run(conn, run_id, "undone", {**row["report"], "undone": counts})
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return counts


class _DryRun(Exception):
    """Rolls a transaction back on purpose."""


def _finish_anyway(db: Database, this: RecordedRun, outcome: str, error: BaseException) -> None:
    """Close the row of a failed run; a database that is gone must not hide the first error."""
    report = {**_jsonable(this.report), "error": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(PhotodbError), db.begin() as conn:
        runs.finish_run(conn, this.run_id, outcome, report)


def _jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make values fit for JSON: paths and such as text, numpy as numbers, NaN as null."""
    result: dict[str, Any] = json.loads(
        json.dumps(dict(values), default=_plain), parse_constant=lambda _: None
    )
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
