"""Record what a command did, and undo it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from photodb.errors import PhotodbError
from photodb.storage import runs
from photodb.storage.engine import Database


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
    """Record a command: a row at its beginning, its outcome and report at its end, each in its own transaction.

    An exception passes on; the row says `failed`, or `interrupted` for Ctrl-C. Of a process that was killed the row
    says `running` for ever; `photodb verify` finds it.
    """
    with db.begin() as conn:
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
