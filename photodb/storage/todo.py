"""What is left to do: whether the published solution and its statistics are as new as the frames."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Todo:
    """What a chain of steps still has to do."""

    n_frames: int  # accepted science frames with detections
    solve: bool  # frames came, were measured, judged or placed anew, sources merged, after the published one began
    stats: bool  # the published solution has no statistics
    solution_id: int  # published; -1 if none


def todo(conn: Connection) -> Todo:
    """Compare the published solution with the frames: nothing is left where no frame is newer than it."""
    query = text(
        """
        WITH published AS (
            SELECT s.solution_id, coalesce(r.started_at, s.created_at) AS began
            FROM archive a JOIN solution s ON s.solution_id = a.published_solution_id
            LEFT JOIN run r ON r.run_id = s.run_id
        )
        SELECT
            (SELECT count(*) FROM frame
             WHERE status = 'accepted' AND kind = 'science' AND n_detections > 0) AS n_frames,
            (SELECT solution_id FROM published) AS solution_id,
            EXISTS (SELECT 1 FROM frame, published WHERE status = 'accepted' AND kind = 'science'
                    AND n_detections > 0 AND ingested_at > began)
            OR EXISTS (SELECT 1 FROM frame_judgement, published WHERE judged_at > began)
            OR EXISTS (SELECT 1 FROM source_history, published WHERE happened_at > began)
            OR EXISTS (SELECT 1 FROM run, published WHERE command IN ('ingest', 'measure') AND outcome <> 'undone'
                       AND finished_at > began AND coalesce((report->>'n_forced')::bigint, 0) > 0)
            OR EXISTS (SELECT 1 FROM frame_place, published WHERE placed_at > began) AS newer,
            EXISTS (SELECT 1 FROM source_stat t, published p WHERE t.solution_id = p.solution_id) AS has_stats
        """
    )
    row = conn.execute(query).mappings().one()
    unsolved = row["solution_id"] is None
    return Todo(
        int(row["n_frames"]),
        solve=int(row["n_frames"]) > 0 and (unsolved or bool(row["newer"])),
        stats=unsolved or not row["has_stats"],
        solution_id=-1 if unsolved else int(row["solution_id"]),
    )
