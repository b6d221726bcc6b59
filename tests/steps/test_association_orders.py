"""Two telescopes of different scale and rotation on one field: the same sources, whatever came first, and when."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table
from scipy.spatial import cKDTree
from sqlalchemy import text

from photodb.core.sky import project
from photodb.simulate.survey import simulate
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.refcat import load_refcat
from photodb.steps.verify import verify_archive

HERE = IngestSettings(jobs=0)
ISOLATED_ARCSEC = 15.0
SEEN_ARCSEC = 2.5
"""How far a detection may lie from the star that it is taken for: far more than its error, far less than ISOLATED."""


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Two telescopes, two nights, 12 frames of 300 stars, some of them pairs; with truth."""
    out = tmp_path_factory.mktemp("field") / "sim"
    simulate(
        out,
        n_frames=12,
        n_stars=300,
        n_telescopes=2,
        n_nights=2,
        seed=np.random.default_rng().integers(2**31),
    )
    return out


def files(field):
    return sorted((field / "frames").rglob("*.fits*"))


class Seen:
    """The detections of an archive with the stars that they are of."""

    def __init__(self, db, field):
        with db.begin() as conn:
            rows = conn.execute(
                text(
                    """SELECT f.path, d.x, d.y, d.ra, d.dec, d.source_id, d.flux / d.flux_err, d.class
                       FROM detection d JOIN frame f USING (frame_id) ORDER BY f.path, 2"""
                )
            ).all()
            self.sources = np.array(
                conn.execute(text("SELECT source_id, ra, dec FROM source WHERE merged_into < 0")).all(), float
            )
        self.key = [(r[0], round(r[1]), round(r[2])) for r in rows]
        ra, dec, self.source, snr, kind = np.array([tuple(r[3:]) for r in rows], float).T
        stars = Table.read(field / "truth" / "stars.ecsv")
        self.xy = np.column_stack(project(stars["ra"], stars["dec"], stars["ra"][0], stars["dec"][0])) * 3600
        place = np.column_stack(project(ra, dec, stars["ra"][0], stars["dec"][0])) * 3600
        tree = cKDTree(self.xy)
        self.isolated = tree.query(self.xy, 2)[0][:, 1] > ISOLATED_ARCSEC
        away, star = tree.query(place)
        self.star = np.where(away < SEEN_ARCSEC, star, -1)
        self.of_isolated = (self.star >= 0) & self.isolated[self.star]
        self.good = self.of_isolated & (snr >= 5) & (kind != 3)


def check(seen):
    """Assert that isolated stars are one source each, that next to no detection is lost and none is another star's."""
    linked = seen.good & (seen.source >= 0)
    assert linked.sum() >= 0.995 * seen.good.sum() > 500
    owner = {}
    for source, star in zip(seen.source[linked], seen.star[linked]):
        owner.setdefault(source, []).append(star)
    wrong = sum(len(stars) - np.bincount(stars).max() for stars in owner.values())
    assert wrong <= 0.001 * linked.sum()
    many = linked & (np.bincount(seen.star[linked], minlength=len(seen.xy))[seen.star] > 1)
    per_star = {star: set(seen.source[many & (seen.star == star)]) for star in np.unique(seen.star[many])}
    assert [star for star, sources in per_star.items() if len(sources) > 1] == []


def common(one, other):
    """Return the rows of the same detections of isolated stars in two archives."""
    there = {key: k for k, key in enumerate(other.key)}
    rows = [(k, there[key]) for k, key in enumerate(one.key) if one.of_isolated[k] and key in there]
    return np.array(rows).T


def same_sources(one, other):
    """Assert that detections share a source in one archive if they do in the other; the faintest may have none.

    A detection below a signal to noise of 5 founds no source, so that these depend on what came before.
    """
    i, j = common(one, other)
    assert len(i) > 0.99 * one.of_isolated.sum()
    a, b = one.source[i], other.source[j]
    both = (a >= 0) & (b >= 0)
    assert both.sum() > 0.995 * max((a >= 0).sum(), (b >= 0).sum())
    pairs = {(x, y) for x, y in zip(a[both], b[both])}
    assert len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def pairs_report(seen):
    """Return, of the stars that are not isolated, how many are one source each, and how many share or split."""
    count = np.zeros(len(seen.xy), int)
    for star in np.flatnonzero(~seen.isolated):
        count[star] = len(set(seen.source[(seen.star == star) & (seen.source >= 0)]))
    chosen = count[~seen.isolated]
    return {n: int((chosen == n).sum()) for n in np.unique(chosen)}


def filled(db, field, groups):
    load_refcat(db, field / "refcat.csv", "truth")
    for group in groups:
        ingest(db, group, HERE)
    assert verify_archive(db).problems == []
    return Seen(db, field)


def test_the_same_sources_in_any_order_and_by_four_processes_at_once(
    server, database, another_database, field
):
    paths = files(field)
    rng = np.random.default_rng()
    shuffled = [paths[k] for k in rng.permutation(len(paths))]
    at_once = filled(database, field, [paths])
    check(at_once)
    by_one = filled(another_database, field, [[p] for p in shuffled])
    check(by_one)
    same_sources(by_one, at_once)
    print("stars in pairs by number of sources:", pairs_report(at_once), pairs_report(by_one))


def test_four_processes_at_once(server, database, another_database, field):
    paths = files(field)
    alone = filled(another_database, field, [paths])
    load_refcat(database, field / "refcat.csv", "truth")
    url = server.url(database.conninfo["dbname"])
    rng = np.random.default_rng()
    parts = np.array_split(rng.permutation(len(paths)), 4)
    command = [sys.executable, "-m", "photodb", "--archive", url, "ingest", "--jobs", "0"]
    running = [subprocess.Popen([*command, *(str(paths[k]) for k in part)]) for part in parts]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    together = Seen(database, field)
    check(together)
    same_sources(together, alone)
