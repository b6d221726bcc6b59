"""Frames that one camera exposed at the same time on the same sky, which none can: both stay, and both say so.

The remark names the other frame by its file, so that it does not hang on the order in which they came.
"""

from __future__ import annotations

from pathlib import PurePath

from sqlalchemy import Connection, text

from photodb.core.doubts import Doubt

SAME_TIME_S = 1.0
"""Exposures that overlap by no more are neighbours whose times are written in whole seconds."""
SAME_SKY = 0.5
"""Frames whose centres are farther apart than this share of their radius are of several detectors, or of a scan."""
MOST_NAMED = 3
PHRASE = "exposed at the same time as "

_OTHERS = """
SELECT o.frame_id, o.path FROM frame f JOIN frame o ON o.camera_id = f.camera_id AND o.channel = f.channel
WHERE f.frame_id = :frame_id AND o.frame_id <> f.frame_id AND o.kind = 'science' AND o.status = 'accepted'
AND o.mjd BETWEEN f.mjd - 0.5 - (f.mjd - f.mjd_start) AND f.mjd + 0.5 + (f.mjd - f.mjd_start)
AND 86400 * (least(2 * o.mjd - o.mjd_start, 2 * f.mjd - f.mjd_start) - greatest(o.mjd_start, f.mjd_start)) > :seconds
AND (o.ra IS NULL OR f.ra IS NULL OR degrees(acos(least(1, greatest(-1,
     sind(o.dec) * sind(f.dec) + cosd(o.dec) * cosd(f.dec) * cosd(o.ra - f.ra))))) <= :share * f.radius)
ORDER BY o.mjd, o.path
"""
_REMARK = """
UPDATE frame SET doubts = doubts | :bit, reason = concat_ws('; ', nullif(reason, ''), CAST(:remark AS text))
WHERE frame_id = :frame_id
AND length(reason) - length(replace(reason, CAST(:phrase AS text), '')) < :most * length(CAST(:phrase AS text))
"""
_FORGET = """
UPDATE frame
SET reason = btrim(replace(replace(reason, '; ' || CAST(:remark AS text), ''), CAST(:remark AS text), ''), '; ')
WHERE camera_id = :camera_id AND run_id IS DISTINCT FROM :run AND doubts & :bit <> 0
AND position(CAST(:remark AS text) IN reason) > 0
"""
_NO_LONGER = """
UPDATE frame SET doubts = doubts & ~CAST(:bit AS int)
WHERE camera_id = :camera_id AND run_id IS DISTINCT FROM :run AND doubts & :bit <> 0
AND position(CAST(:phrase AS text) IN reason) = 0
"""


def mark(conn: Connection, frame_id: int) -> int:
    """Mark a frame and those that its camera exposed at the same time on the same sky; return how many these are."""
    values = {"frame_id": frame_id, "seconds": SAME_TIME_S, "share": SAME_SKY}
    others = conn.execute(text(_OTHERS), values).all()
    path = conn.scalar(text("SELECT path FROM frame WHERE frame_id = :f"), {"f": frame_id}) if others else ""
    for other in others:
        for one, name in ((frame_id, other.path), (other.frame_id, path)):
            remark = {
                "bit": int(Doubt.OVERLAP),
                "remark": _remark(name),
                "phrase": PHRASE,
                "most": MOST_NAMED,
            }
            conn.execute(text(_REMARK), remark | {"frame_id": one})
    return len(others)


def _remark(path: str) -> str:
    return f"{PHRASE}'{PurePath(path).name}'"


def with_those_of(reason: str, other: str) -> str:
    """Return a frame's reason with what another reason says of frames of the same time, and nothing else of these."""
    parts = [part for part in reason.split("; ") if not part.startswith(PHRASE)]
    return "; ".join(filter(None, (*parts, *(part for part in other.split("; ") if part.startswith(PHRASE)))))


def forget(conn: Connection, run_id: int) -> None:
    """Take the remarks on a run's frames off the frames of other runs: before the run is undone."""
    bit = int(Doubt.OVERLAP)
    query = "SELECT camera_id, path FROM frame WHERE run_id = :run AND doubts & :bit <> 0 ORDER BY camera_id"
    gone = conn.execute(text(query), {"run": run_id, "bit": bit}).all()
    for row in gone:
        values = {"camera_id": row.camera_id, "run": run_id, "bit": bit, "remark": _remark(row.path)}
        conn.execute(text(_FORGET), values)
    for camera_id in sorted({row.camera_id for row in gone}):
        values = {"camera_id": camera_id, "run": run_id, "bit": bit, "phrase": PHRASE}
        conn.execute(text(_NO_LONGER), values)
