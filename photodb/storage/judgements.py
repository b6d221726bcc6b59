"""Frames rejected and restored after ingest; every judgement leaves a row that tells it.

A rejection stands until a run withdraws it, each by itself: a frame that two judgements rejected is accepted again only
when both are withdrawn. A rejected frame without a standing rejection was rejected by ingest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from photodb.storage.tables import frame_judgement


@dataclass(frozen=True)
class Rejection:
    """A rejection that stands."""

    frame_judgement_id: int
    frame_id: int
    reason: str
    reason_code: str
    run_id: int
    remark: str


def current(conn: Connection, frame_ids: Sequence[int]) -> dict[int, tuple[str, str, int]]:
    """Return status, reason and number of detections of frames by id, locked until the transaction ends."""
    query = text(
        "SELECT frame_id, status, reason, n_detections FROM frame "
        "WHERE frame_id = ANY(CAST(:ids AS bigint[])) ORDER BY frame_id FOR UPDATE"
    )
    rows = conn.execute(query, {"ids": list(frame_ids)})
    return {int(frame_id): (status, reason, int(n)) for frame_id, status, reason, n in rows}


def standing(conn: Connection, frame_ids: Sequence[int] | None = None) -> list[Rejection]:
    """Return the rejections that stand, of some frames or of all, oldest first."""
    query = text(
        "SELECT frame_judgement_id, frame_id, reason, reason_code, coalesce(run_id, -1) AS run_id, remark "
        "FROM frame_judgement WHERE status = 'rejected' AND withdrawn_run_id IS NULL "
        "AND (CAST(:ids AS bigint[]) IS NULL OR frame_id = ANY(CAST(:ids AS bigint[]))) "
        "ORDER BY frame_judgement_id"
    )
    ids = None if frame_ids is None else list(frame_ids)
    return [Rejection(**row) for row in conn.execute(query, {"ids": ids}).mappings()]


def reject(conn: Connection, reasons: dict[int, str], reason_code: str, run_id: int) -> None:
    """Reject frames, each with its reason; one that is rejected already keeps the reason that it shows.

    Parameters
    ----------
    reasons : reason by frame_id, not empty
    """
    if not reasons:
        return
    values = {
        "ids": list(reasons),
        "reasons": list(reasons.values()),
        "code": reason_code,
        "run_id": run_id,
    }
    given = "unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[])) AS g(frame_id, reason)"
    remark = (
        "CASE WHEN f.status = 'accepted' THEN f.reason ELSE coalesce((SELECT j.remark FROM frame_judgement j "
        "WHERE j.frame_id = f.frame_id AND j.withdrawn_run_id IS NULL AND j.status = 'rejected' LIMIT 1), '') END"
    )
    conn.execute(
        text(
            "INSERT INTO frame_judgement (frame_id, status, reason, reason_code, run_id, remark) "
            f"SELECT g.frame_id, 'rejected', g.reason, :code, :run_id, {remark} FROM {given} "
            "JOIN frame f USING (frame_id) ORDER BY g.frame_id"
        ),
        values,
    )
    conn.execute(
        text(
            "UPDATE frame f SET status = 'rejected', reason = g.reason, reason_code = :code "
            f"FROM {given} WHERE f.frame_id = g.frame_id AND f.status = 'accepted'"
        ),
        values,
    )


def withdraw(conn: Connection, rejections: Iterable[Rejection], run_id: int) -> list[int]:
    """Take rejections back; return the frames that are accepted by that, none of theirs being left.

    The others show the oldest rejection that stands. A frame gets back the remark that it had.
    """
    gone = list(rejections)
    conn.execute(
        text("UPDATE frame_judgement SET withdrawn_run_id = :run WHERE frame_judgement_id = ANY(:ids)"),
        {"run": run_id, "ids": [r.frame_judgement_id for r in gone]},
    )
    remarks = {r.frame_id: r.remark for r in gone}
    left: dict[int, Rejection] = {}
    for rejection in standing(conn, list(remarks)):
        left.setdefault(rejection.frame_id, rejection)
    restored = [frame_id for frame_id in sorted(remarks) if frame_id not in left]
    _show(conn, {i: ("accepted", remarks[i], "") for i in restored})
    _show(conn, {i: ("rejected", r.reason, r.reason_code) for i, r in left.items()})
    if restored:
        rows = [
            {"frame_id": i, "status": "accepted", "reason": remarks[i], "run_id": run_id} for i in restored
        ]
        conn.execute(frame_judgement.insert(), rows)
    return restored


def undo(conn: Connection, run_id: int) -> int:
    """Take back what a run judged: its rejections, and its withdrawals of others; return how many of both."""
    query = text(
        "SELECT frame_judgement_id, frame_id, reason, reason_code, coalesce(run_id, -1) AS run_id, remark "
        "FROM frame_judgement WHERE withdrawn_run_id = :run AND run_id <> :run ORDER BY frame_judgement_id"
    )
    withdrawn = [Rejection(**row) for row in conn.execute(query, {"run": run_id}).mappings()]
    for r in withdrawn:
        reject(conn, {r.frame_id: r.reason}, r.reason_code, r.run_id)
    mine = [r for r in standing(conn) if r.run_id == run_id]
    if mine:
        withdraw(conn, mine, run_id)
    return len(withdrawn) + len(mine)


def _show(conn: Connection, states: dict[int, tuple[str, str, str]]) -> None:
    """Give frames a status, a reason and its code."""
    if not states:
        return
    statuses, reasons, codes = zip(*states.values(), strict=True)
    conn.execute(
        text(
            "UPDATE frame f SET status = g.status, reason = g.reason, reason_code = g.code FROM "
            "unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]), "
            "CAST(:codes AS text[])) AS g(frame_id, status, reason, code) WHERE f.frame_id = g.frame_id"
        ),
        {"ids": list(states), "statuses": list(statuses), "reasons": list(reasons), "codes": list(codes)},
    )


def used_by_published(conn: Connection, frame_ids: Sequence[int]) -> tuple[int, int]:
    """Return the published solution (-1 if none) and how many of the frames took part in it."""
    query = text(
        "SELECT coalesce(a.published_solution_id, -1) AS solution_id, (SELECT count(*) FROM frame_term t "
        "WHERE t.solution_id = a.published_solution_id AND t.status = 'used' "
        "AND t.frame_id = ANY(CAST(:ids AS bigint[]))) AS n FROM archive a"
    )
    row = conn.execute(query, {"ids": list(frame_ids)}).one()
    return int(row.solution_id), int(row.n)


def judged(conn: Connection, frame_ids: Sequence[int]) -> set[int]:
    """Return those of the frames that were judged after ingest."""
    query = text("SELECT DISTINCT frame_id FROM frame_judgement WHERE frame_id = ANY(CAST(:ids AS bigint[]))")
    return set(conn.scalars(query, {"ids": list(frame_ids)}))


def restored(conn: Connection, frame_ids: Sequence[int]) -> set[int]:
    """Return those of the frames whose newest judgement accepted them, and not the undoing of a run."""
    query = text(
        "SELECT frame_id FROM (SELECT DISTINCT ON (j.frame_id) j.frame_id, j.status, r.outcome "
        "FROM frame_judgement j LEFT JOIN run r USING (run_id) "
        "WHERE j.frame_id = ANY(CAST(:ids AS bigint[])) ORDER BY j.frame_id, j.frame_judgement_id DESC) AS n "
        "WHERE status = 'accepted' AND outcome IS DISTINCT FROM 'undone'"
    )
    return set(conn.scalars(query, {"ids": list(frame_ids)}))


def history(conn: Connection, frame_id: int) -> list[dict]:
    """Return the judgements of a frame, oldest first."""
    query = text(
        "SELECT judged_at, status, reason, reason_code, run_id, withdrawn_run_id FROM frame_judgement "
        "WHERE frame_id = :frame_id ORDER BY frame_judgement_id"
    )
    return [dict(row) for row in conn.execute(query, {"frame_id": frame_id}).mappings()]
