"""Frames rejected and restored after ingest; every change leaves a row that tells it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text


def current(conn: Connection, frame_ids: Sequence[int]) -> dict[int, tuple[str, str, int]]:
    """Return status, reason and number of detections of frames by id, locked until the transaction ends."""
    query = text(
        "SELECT frame_id, status, reason, n_detections FROM frame "
        "WHERE frame_id = ANY(CAST(:ids AS bigint[])) ORDER BY frame_id FOR UPDATE"
    )
    rows = conn.execute(query, {"ids": list(frame_ids)})
    return {int(frame_id): (status, reason, int(n)) for frame_id, status, reason, n in rows}


def judge(conn: Connection, reasons: dict[int, str], status: str, reason_code: str, run_id: int) -> None:
    """Give frames a status, each with its reason, and record it.

    Parameters
    ----------
    reasons : reason by frame_id; must not be empty text where `status` is 'rejected'
    status : 'accepted' or 'rejected'
    """
    values = {
        "ids": list(reasons),
        "reasons": list(reasons.values()),
        "status": status,
        "code": reason_code,
        "run_id": run_id,
    }
    given = "unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[])) AS g(frame_id, reason)"
    conn.execute(
        text(
            "UPDATE frame f SET status = :status, reason = g.reason, reason_code = :code "
            f"FROM {given} WHERE f.frame_id = g.frame_id"
        ),
        values,
    )
    conn.execute(
        text(
            "INSERT INTO frame_judgement (frame_id, status, reason, reason_code, run_id) "
            f"SELECT g.frame_id, :status, g.reason, :code, :run_id FROM {given} ORDER BY g.frame_id"
        ),
        values,
    )


def history(conn: Connection, frame_id: int) -> list[dict]:
    """Return the judgements of a frame, oldest first."""
    query = text(
        "SELECT judged_at, status, reason, reason_code, run_id FROM frame_judgement "
        "WHERE frame_id = :frame_id ORDER BY frame_judgement_id"
    )
    return [dict(row) for row in conn.execute(query, {"frame_id": frame_id}).mappings()]
