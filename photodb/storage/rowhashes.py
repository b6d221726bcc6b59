"""Hashes of what an archive holds, to tell whether two archives hold the same.

Each hash is over CONTENT. Surrogate keys (`frame_id`, `source_id`, `run_id`, ...), times of writing, paths
and the table `run` are left out; what a key points at stands for it:

============================= ==============================================================================
table                         a row is hashed as
============================= ==============================================================================
telescope, camera, band,      all columns; a camera by its telescope's name
reference_catalogue
reference_star                catalogue's name and all columns
known_catalogue,              all columns; an object by its catalogue and name
known_object, known_name
frame                         `data_hash`, all measured columns, status and reasons; camera, band, catalogue
by
                              name; the reference frame by its `data_hash`
field                         its `approximate`, and the set of its frames
detection                     its frame's `data_hash`, its number on the frame, and every value
astrometric_match             the same, with the reference star by catalogue and name, or the reference
detection
                              by frame and number, and every value
source                        its set of detections, `n_detections`, first and last time, flags, and its
position
                              to 1e-6 deg (a mean may differ in its last bits when frames came in another
                              order); those merged into others only if they keep detections
master, master_frame,         all columns but `left_out`; a master by its identity, frames by `data_hash`
frame_master
forced                        its frame's `data_hash`, its source by its set of detections, the number of its
                              detection, and every value
solution, frame_term,         the solution's rank in order of creation; frames by `data_hash`; every value
frame_photometry
source_mag, source_stat,      the solution's rank; the source by its set of detections; every value
source_photometry
light_curve_point             the solution's rank, frame, number and source; every value
tie                           the solution's rank; band, camera and catalogue by name; every value
frame_judgement,              the frame, and what was judged or measured
frame_quality
============================= ==============================================================================

The order of rows does not matter, their number does. Floats are hashed exactly as stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table, text

from photodb.storage import tables

NOT_CONTENT = {"run_id", "path", "file_hash", "ingested_at", "created_at", "published_at", "judged_at"}
NOT_CONTENT |= {"measured_at", "withdrawn_run_id"}
NUMBER = "detection_id & 1048575"

KEYS = """
CREATE TEMP TABLE frame_content AS SELECT frame_id, data_hash FROM frame;
CREATE TEMP TABLE source_content AS
SELECT source_id, md5(string_agg(f.data_hash || ':' || (d.detection_id & 1048575), ',' ORDER BY f.data_hash,
       d.detection_id)) AS content
FROM detection d JOIN frame f USING (frame_id) WHERE d.source_id >= 0 GROUP BY source_id;
CREATE TEMP TABLE solution_content AS
SELECT solution_id, rank() OVER (ORDER BY solution_id) AS content FROM solution;
CREATE TEMP TABLE star_content AS
SELECT s.reference_star_id, c.name || ':' || s.name AS content
FROM reference_star s JOIN reference_catalogue c USING (reference_catalogue_id)
WHERE s.reference_star_id IN (SELECT reference_star_id FROM astrometric_match);
CREATE INDEX ON frame_content (frame_id);
CREATE INDEX ON source_content (source_id);
CREATE INDEX ON star_content (reference_star_id);
ANALYZE frame_content, source_content, solution_content, star_content
"""

FRAME = "(SELECT data_hash FROM frame_content k WHERE k.frame_id = t.{})"
SOURCE = "(SELECT content FROM source_content k WHERE k.source_id = t.source_id)"
SOLUTION = "(SELECT content FROM solution_content k WHERE k.solution_id = t.solution_id)"
NAME = "(SELECT name FROM {0} k WHERE k.{0}_id = t.{0}_id)"

MASTER = "(SELECT identity FROM master k WHERE k.master_id = t.{})"

STAND_IN = {
    "frame_id": FRAME.format("frame_id"),
    "reference_frame_id": FRAME.format("reference_frame_id"),
    "via_frame_id": FRAME.format("via_frame_id"),
    "detection_id": f"t.{NUMBER}",
    "source_id": SOURCE,
    "solution_id": SOLUTION,
    "telescope_id": NAME.format("telescope"),
    "camera_id": NAME.format("camera"),
    "band_id": NAME.format("band"),
    "master_id": MASTER.format("master_id"),
    "bias_id": MASTER.format("bias_id"),
    "dark_id": MASTER.format("dark_id"),
    "reference_catalogue_id": NAME.format("reference_catalogue"),
    "known_catalogue_id": NAME.format("known_catalogue"),
    "known_object_id": "(SELECT c.name || ':' || k.name FROM known_object k JOIN known_catalogue c "
    "USING (known_catalogue_id) WHERE k.known_object_id = t.known_object_id)",
    "reference_star_id": "(SELECT content FROM star_content k "
    "WHERE k.reference_star_id = t.reference_star_id)",
    "reference_detection_id": "CASE WHEN t.reference_detection_id < 0 THEN NULL ELSE "
    "(SELECT data_hash FROM frame_content k WHERE k.frame_id = t.reference_detection_id >> 20) || ':' || "
    "(t.reference_detection_id & 1048575) END",
}
"""What stands for a key that points at another row."""

LEFT_OUT = {
    "frame": {"field_id"},
    "master": {"left_out"},
    "detection": {"cell", "source_id"},
    "astrometric_match": {"cell"},
    "forced": {"cell"},
    "source_photometry": {"cell"},
    "source_mag": {"cell", "tie_id"},
    "source_stat": {"cell"},
    "light_curve_point": {"cell"},
    "tie": {"field_id"},
    "camera": set(),
}
"""Columns that are no content in one table only; which source a detection belongs to is in `source`."""

FIELD = """
SELECT t.approximate, (SELECT md5(string_agg(data_hash, ',' ORDER BY data_hash)) FROM frame f
                       WHERE f.field_id = t.field_id) FROM field t
"""
SOURCE_ROWS = """
SELECT k.content, t.n_detections, t.first_mjd, t.last_mjd, t.flags, t.approximate, t.merged_into >= 0,
       round(t.ra::numeric, 6), round(t.dec::numeric, 6)
FROM source t LEFT JOIN source_content k USING (source_id) WHERE t.merged_into < 0 OR k.content IS NOT NULL
"""

CONTENT_TABLES: tuple[Table, ...] = (
    tables.telescope,
    tables.camera,
    tables.band,
    tables.reference_catalogue,
    tables.reference_star,
    tables.known_catalogue,
    tables.known_object,
    tables.known_name,
    tables.master,
    tables.master_frame,
    tables.frame_master,
    tables.frame,
    tables.detection,
    tables.astrometric_match,
    tables.forced,
    tables.solution,
    tables.frame_term,
    tables.frame_photometry,
    tables.source_photometry,
    tables.source_mag,
    tables.source_stat,
    tables.light_curve_point,
    tables.tie,
    tables.frame_judgement,
    tables.frame_quality,
)


def row_hashes(conn: Connection, only: Iterable[str] | None = None) -> dict[str, str]:
    """Return ``{table: "rows:hash"}`` over the content of an archive; equal for equal content.

    Parameters
    ----------
    conn : Connection
        In a transaction; temporary tables are made and dropped in it.
    only : iterable of str, optional
        Names of the tables; all by default. See the module's text for what is hashed.
    """
    selects = {table.name: _select(table) for table in CONTENT_TABLES}
    selects |= {"field": FIELD, "source": SOURCE_ROWS}
    names = sorted(selects if only is None else only)
    conn.execute(text("SET LOCAL extra_float_digits = 1"))
    for statement in KEYS.split(";\n"):
        conn.execute(text(statement))
    hashes = {name: _hash(conn, selects[name]) for name in names}
    conn.execute(text("DROP TABLE frame_content, source_content, solution_content, star_content"))
    return hashes


def _select(table: Table) -> str:
    own_key = f"{table.name}_id"
    left_out = NOT_CONTENT | LEFT_OUT.get(table.name, set())
    names = [c.name for c in table.columns if c.name not in left_out]
    if table.name not in ("solution", "detection"):
        names = [name for name in names if name != own_key]
    values = [STAND_IN.get(name, f't."{name}"') for name in names]
    return f"SELECT {', '.join(values)} FROM {table.name} t"


def _hash(conn: Connection, select: str) -> str:
    """Hash the rows of a SELECT whatever their order: their number and the sum of their hashes."""
    query = f"""
    SELECT count(*), coalesce(sum(('x' || substr(h, 1, 15))::bit(60)::bigint::numeric), 0),
           coalesce(sum(('x' || substr(h, 16, 15))::bit(60)::bigint::numeric), 0)
    FROM (SELECT md5(q::text) AS h FROM ({select}) AS q) AS hashed
    """
    n, first, second = conn.execute(text(query)).one()
    return f"{n}:{int(first) % 2**60:015x}{int(second) % 2**60:015x}"
