"""Questions to the archive that every healthy one answers with 'none'.

Bulk tables have no foreign keys, which would cost a look-up a row: what the keys would hold is asked here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from photodb.storage import migrate
from photodb.storage.recalibrate import wrong_points
from photodb.storage.rowhashes import row_hashes
from photodb.storage.runs import dead_runs

__all__ = ["CHECKS", "Check", "Problem", "calibration_problems", "row_hashes", "run_check", "stale_runs"]

SCHEMA_CHECK = "the schema is at its head"
STALE_CHECK = "no run was cut off"
CALIBRATION_CHECK = "calibrated = raw + terms"

INGEST_AGAIN = (
    "undo its run with 'photodb runs undo RUN' (its run is in frame.run_id) and ingest the frame again"
)
MEASURE_AGAIN = (
    "take the frame's measurements off (DELETE FROM forced WHERE frame_id = N; UPDATE frame SET n_forced = NULL "
    "WHERE frame_id = N), then 'photodb measure N'"
)
SOLVE_AGAIN = "solve again ('photodb solve'), then drop the faulty solution ('photodb solution drop N')"


CHANGED_SINCE = """EXISTS (SELECT FROM source_history h JOIN solution s ON s.solution_id = p.solution_id
                                LEFT JOIN run g ON g.run_id = s.run_id
                                WHERE p.source_id IN (h.source_id, h.other_source_id)
                                AND h.happened_at > coalesce(g.started_at, s.created_at)
                                UNION ALL
                                SELECT FROM frame_place a JOIN solution s ON s.solution_id = p.solution_id
                                LEFT JOIN run g ON g.run_id = s.run_id WHERE p.frame_id = a.frame_id
                                AND a.placed_at > coalesce(g.started_at, s.created_at))"""
"""SQL of whether the source of a light-curve point `p` was merged or split since, or its frame placed anew: its rows
went to another source then."""


@dataclass(frozen=True)
class Problem:
    """Something wrong: which check, how many rows, an example, and how to mend it."""

    check: str
    count: int
    example: str
    mend: str


@dataclass(frozen=True)
class Check:
    """One question: its name, a SELECT of one text a bad row, and how to mend what it finds."""

    name: str
    select: str
    mend: str


CHECKS: tuple[Check, ...] = (
    Check(
        "every frame has its detections",
        """SELECT format('frame %s (%s): %s detections stored, %s expected', f.frame_id, f.path,
                         coalesce(d.n, 0), f.n_detections)
           FROM frame f LEFT JOIN (SELECT frame_id, count(*) AS n FROM detection GROUP BY 1) d USING
           (frame_id) WHERE f.n_detections <> coalesce(d.n, 0)""",
        INGEST_AGAIN,
    ),
    Check(
        "no frame twice",
        """SELECT format('hash %s: %s frames', data_hash, count(*)) FROM frame GROUP BY data_hash
           HAVING count(*) > 1""",
        "rebuild the index with 'REINDEX TABLE frame', then undo the run of the later frame",
    ),
    Check(
        "detections belong to frames",
        """SELECT format('frame %s: %s detections', d.frame_id, d.n)
           FROM (SELECT frame_id, count(*) AS n FROM detection GROUP BY 1) d
           WHERE NOT EXISTS (SELECT FROM frame f WHERE f.frame_id = d.frame_id)""",
        "delete them: DELETE FROM detection WHERE frame_id = ...",
    ),
    Check(
        "detections belong to sources",
        """SELECT format('detection %s of frame %s: source %s', d.detection_id, d.frame_id, d.source_id)
           FROM detection d WHERE d.source_id >= 0
           AND NOT EXISTS (SELECT FROM source s WHERE s.cell = d.cell AND s.source_id = d.source_id)""",
        INGEST_AGAIN,
    ),
    Check(
        "astrometric matches belong to detections",
        """SELECT format('detection %s of frame %s', m.detection_id, m.frame_id) FROM astrometric_match m
           WHERE NOT EXISTS (SELECT FROM detection d WHERE d.frame_id = m.frame_id AND d.cell = m.cell
                             AND d.detection_id = m.detection_id)""",
        INGEST_AGAIN,
    ),
    Check(
        "every frame has its forced measurements",
        """SELECT format('frame %s (%s): %s measurements stored, %s expected', f.frame_id, f.path,
                         coalesce(r.n, 0), coalesce(f.n_forced, 0))
           FROM frame f LEFT JOIN (SELECT frame_id, count(*) AS n FROM forced GROUP BY 1) r USING
           (frame_id) WHERE coalesce(f.n_forced, 0) <> coalesce(r.n, 0)""",
        MEASURE_AGAIN,
    ),
    Check(
        "forced measurements belong to frames",
        """SELECT format('frame %s: %s measurements', r.frame_id, r.n)
           FROM (SELECT frame_id, count(*) AS n FROM forced GROUP BY 1) r
           WHERE NOT EXISTS (SELECT FROM frame f WHERE f.frame_id = r.frame_id)""",
        "delete them: DELETE FROM forced WHERE frame_id = ...",
    ),
    Check(
        "forced measurements belong to sources",
        """SELECT format('frame %s: source %s', r.frame_id, r.source_id) FROM forced r
           WHERE NOT EXISTS (SELECT FROM source s WHERE s.cell = r.cell AND s.source_id = r.source_id)""",
        MEASURE_AGAIN,
    ),
    Check(
        "forced measurements belong to detections",
        """SELECT format('frame %s, source %s: detection %s', r.frame_id, r.source_id, r.detection_id)
           FROM forced r WHERE r.detection_id >= 0
           AND NOT EXISTS (SELECT FROM detection d WHERE d.frame_id = r.frame_id AND d.cell = r.cell
                           AND d.detection_id = r.detection_id AND d.source_id = r.source_id)
           AND NOT EXISTS (SELECT FROM source s WHERE s.source_id = r.source_id AND s.merged_into >= 0)""",
        MEASURE_AGAIN,
    ),
    Check(
        "sources count their detections",
        """SELECT format('source %s: %s counted, %s there', s.source_id, s.n_detections, coalesce(d.n, 0))
           FROM source s LEFT JOIN (SELECT source_id, count(*) AS n FROM detection WHERE source_id >= 0 GROUP
           BY 1) d USING (source_id) WHERE s.merged_into < 0 AND s.n_detections <> coalesce(d.n, 0)""",
        "undo the last ingest ('photodb runs list', 'photodb runs undo RUN') and ingest its frames again",
    ),
    Check(
        "sources are merged into sources",
        """SELECT format('source %s was merged into %s, which is not there', s.source_id, s.merged_into) FROM source s
           WHERE s.merged_into >= 0 AND NOT EXISTS (SELECT FROM source k WHERE k.source_id = s.merged_into)""",
        "undo the run that merged it ('photodb source history ID' tells it)",
    ),
    Check(
        "masters have their pixels",
        """SELECT format('master %s (%s): %s pieces', master_id, status, (SELECT count(*) FROM master_piece p
                         WHERE p.master_id = m.master_id)) FROM master m
           WHERE (status = 'accepted') <> EXISTS (SELECT FROM master_piece p WHERE p.master_id = m.master_id)
           OR (status = 'accepted' AND data_hash IS NULL)""",
        "undo the run that built it ('photodb calib list') and what used it, then 'photodb calib build'",
    ),
    Check(
        "light curves belong to solutions",
        """SELECT format('solution %s: %s points', p.solution_id, p.n)
           FROM (SELECT solution_id, count(*) AS n FROM light_curve_point GROUP BY 1) p
           WHERE NOT EXISTS (SELECT FROM solution s WHERE s.solution_id = p.solution_id)""",
        "drop the table light_curve_point_s<solution>",
    ),
    Check(
        "light curves belong to detections",
        f"""SELECT format('solution %s, frame %s, detection %s', p.solution_id, p.frame_id, p.detection_id)
           FROM light_curve_point p
           WHERE p.detection_id >= 0
           AND NOT EXISTS (SELECT FROM detection d WHERE d.frame_id = p.frame_id AND d.cell = p.cell
                           AND d.detection_id = p.detection_id AND d.source_id = p.source_id)
           AND NOT ({CHANGED_SINCE} AND EXISTS (SELECT FROM detection d WHERE d.frame_id = p.frame_id
                                                AND d.detection_id = p.detection_id))""",
        SOLVE_AGAIN,
    ),
    Check(
        "light curves belong to forced measurements",
        f"""SELECT format('solution %s, frame %s, source %s', p.solution_id, p.frame_id, p.source_id)
           FROM light_curve_point p
           WHERE p.photometry > -2 AND NOT EXISTS (SELECT FROM forced r WHERE r.frame_id = p.frame_id
                                                   AND r.cell = p.cell AND r.source_id = p.source_id)
           AND NOT {CHANGED_SINCE}
           AND NOT EXISTS (SELECT FROM frame f WHERE f.frame_id = p.frame_id AND f.n_forced IS NULL)""",
        SOLVE_AGAIN,
    ),
    Check(
        "light curves belong to frames of the solution",
        """SELECT format('solution %s, frame %s', p.solution_id, p.frame_id)
           FROM (SELECT DISTINCT solution_id, frame_id FROM light_curve_point) p
           WHERE NOT EXISTS (SELECT FROM frame_term t WHERE t.solution_id = p.solution_id
                             AND t.frame_id = p.frame_id)""",
        SOLVE_AGAIN,
    ),
    Check(
        "magnitudes belong to sources",
        """SELECT format('solution %s, source %s', m.solution_id, m.source_id) FROM source_mag m
           WHERE NOT EXISTS (SELECT FROM source s WHERE s.cell = m.cell AND s.source_id = m.source_id)""",
        SOLVE_AGAIN,
    ),
    Check(
        "kinds of photometry belong to magnitudes",
        """SELECT format('solution %s, source %s, band %s', k.solution_id, k.source_id, k.band_id)
           FROM source_photometry k
           WHERE NOT EXISTS (SELECT FROM source_mag m WHERE m.solution_id = k.solution_id AND m.cell = k.cell
                             AND m.source_id = k.source_id AND m.band_id = k.band_id)""",
        SOLVE_AGAIN,
    ),
    Check(
        "statistics belong to magnitudes",
        """SELECT format('solution %s, source %s, band %s', t.solution_id, t.source_id, t.band_id)
           FROM source_stat t
           WHERE NOT EXISTS (SELECT FROM source_mag m WHERE m.solution_id = t.solution_id AND m.cell = t.cell
                             AND m.source_id = t.source_id AND m.band_id = t.band_id)""",
        "compute them again: photodb stats",
    ),
    Check(
        "magnitudes count their points",
        """SELECT format('solution %s, source %s: %s counted, %s there', m.solution_id, m.source_id, m.n_obs,
                         coalesce(p.n, 0))
           FROM source_mag m LEFT JOIN (SELECT solution_id, cell, source_id, band_id::bigint, count(*) AS n
                                        FROM light_curve_point GROUP BY 1, 2, 3, 4) p
           USING (solution_id, cell, source_id, band_id) WHERE m.n_obs > coalesce(p.n, 0)""",
        SOLVE_AGAIN,
    ),
    Check(
        "one solution is published, as the archive says",
        """SELECT format('solution %s is %s, the archive shows %s', s.solution_id, s.state,
                         coalesce(a.published_solution_id::text, 'none'))
           FROM solution s CROSS JOIN archive a
           WHERE (s.state = 'published') <> (s.solution_id IS NOT DISTINCT FROM a.published_solution_id)""",
        "publish the solution that you want: photodb solution publish N",
    ),
)


def run_check(conn: Connection, check: Check) -> Problem | None:
    """Ask one question; None if all is well."""
    query = f"SELECT count(*), min(what) FROM ({check.select}) AS bad(what)"
    count, example = conn.execute(text(query)).one()
    return Problem(check.name, count, example, check.mend) if count else None


def schema_problems(conn: Connection) -> list[Problem]:
    """Compare the schema with the one that this version writes."""
    name = SCHEMA_CHECK
    if migrate.current(conn) != migrate.HEAD:
        return [
            Problem(
                name, 1, f"it is at {migrate.current(conn)}, not {migrate.HEAD}", "run: photodb db upgrade"
            )
        ]
    found = migrate.differences(conn)
    mend = "the tables were changed by hand: undo that, or restore a dump ('photodb db restore')"
    return [Problem(name, len(found), found[0], mend)] if found else []


def stale_runs(conn: Connection) -> list[Problem]:
    """Find runs that say 'running' although their process is gone."""
    stale = dead_runs(conn)
    if not stale:
        return []
    first = stale[0]
    example = f"run {first['run_id']} ({first['command']}) of process {first['pid']} on {first['host']}"
    mend = "it was killed: the same command, run again there, goes on from where it was and closes the row"
    return [Problem(STALE_CHECK, len(stale), example, mend)]


def calibration_problems(conn: Connection) -> list[Problem]:
    """Recompute every calibrated magnitude from the raw one and the frame's terms; they agree to 1e-6 mag."""
    problems = []
    for solution_id in conn.scalars(text("SELECT solution_id FROM solution ORDER BY 1")).all():
        bad, example = wrong_points(conn, solution_id)
        problems += [Problem(CALIBRATION_CHECK, bad, example, SOLVE_AGAIN)] if bad else []
    return problems
