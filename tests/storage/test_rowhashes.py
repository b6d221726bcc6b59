"""Row hashes see content, and nothing but content."""

import pytest
from sqlalchemy import text

from photodb.storage.rowhashes import CONTENT_TABLES
from photodb.storage.verify import row_hashes
from tests.storage.rows import add_frames, small_archive


def hashes(db):
    with db.begin() as conn:
        return row_hashes(conn)


@pytest.fixture
def second(server):
    """A second archive, in which keys and serials were used up before."""
    name = server.create()
    with server.database(name) as db:
        with db.begin() as conn:
            for sequence in conn.scalars(text("SELECT sequencename FROM pg_sequences")).all():
                conn.execute(text(f"SELECT setval('{sequence}', 5000)"))
        yield db
    server.drop(name)


def test_the_same_content_under_other_keys_hashes_the_same(database, second):
    for db in (database, second):
        small_archive(db)
    first, other = hashes(database), hashes(second)
    assert first == other
    assert first["detection"].startswith("15:") and first["source"].startswith("5:")
    assert set(first) == {table.name for table in CONTENT_TABLES} | {"field", "source"}


@pytest.mark.parametrize(
    ("damage", "changed"),
    [
        ("UPDATE detection SET flux = flux + 1 WHERE detection_id = (SELECT max(detection_id) FROM detection)",
         {"detection"}),
        ("UPDATE detection SET source_id = -1 WHERE detection_id = (SELECT max(detection_id) FROM detection)",
         {"source", "forced", "source_mag", "source_stat", "source_photometry", "light_curve_point"}),
        ("UPDATE frame SET fwhm = 3 WHERE frame_id = (SELECT max(frame_id) FROM frame)", {"frame"}),
        ("UPDATE frame SET path = 'elsewhere', ingested_at = now()", set()),
        ("UPDATE source SET ra = ra + 1e-5", {"source"}),
        ("UPDATE source SET ra = ra + 1e-13", set()),
        ("UPDATE astrometric_match SET dx = 1", {"astrometric_match"}),
        ("UPDATE light_curve_point SET mag = mag + 1", {"light_curve_point"}),
        ("UPDATE frame_term SET zero_point = zero_point + 1e-9", {"frame_term"}),
        ("DELETE FROM light_curve_point WHERE detection_id = (SELECT max(detection_id) FROM detection)",
         {"light_curve_point"}),
        ("UPDATE forced SET flux_psf = -flux_psf", {"forced"}),
        ("UPDATE forced SET run_id = 77", set()),
        ("UPDATE frame SET n_forced = n_forced + 1", {"frame"}),
        ("UPDATE source_photometry SET photometry = 0", {"source_photometry"}),
        ("UPDATE frame_photometry SET n_stars = 0", {"frame_photometry"}),
        ("UPDATE run SET outcome = 'failed'", set()),
    ],
)  # fmt: skip
def test_a_change_shows_where_it_was_made(database, damage, changed):
    small_archive(database, force=True)
    before = hashes(database)
    with database.begin() as conn:
        conn.execute(text(damage))
    after = hashes(database)
    assert {name for name in before if before[name] != after[name]} == changed


def test_the_order_of_arrival_does_not_matter(database, second):
    for db, names in ((database, "ab"), (second, "ba")):
        with db.begin() as conn:
            for name in names:
                add_frames(conn, None, 2, 3, name=name)
    first, other = hashes(database), hashes(second)
    for table in ("frame", "detection", "astrometric_match", "source", "field"):
        assert first[table] == other[table] and not first[table].startswith("0:")


def test_some_tables_only(database):
    with database.begin() as conn:
        assert list(row_hashes(conn, ["frame"])) == ["frame"]
