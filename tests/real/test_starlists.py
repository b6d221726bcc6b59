"""LCO's own catalogues of its frames, read as star lists by a column map."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table
from sqlalchemy import text

from photodb.core.match import mutual_nearest
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.solve import solve

COLUMNS = """
[columns]
x = "XWIN"
y = "YWIN"
flux = "FLUXAPER5"
flux_err = "FLUXERR5"
flags = "FLAG"
sky = "BACKGROUND"
ellipticity = "ELLIPTICITY"
theta = "THETA"

[units]
flux = "adu"
first_pixel = 1

[flags]
1 = "blend"
2 = "blend"
4 = "saturated"
8 = "edge"
"""
INSIDE = f'[list]\nname = "lco"\nmatch = "*-e91.fits.fz"\nhdu = "CAT"\n{COLUMNS}'
APART = f"""[list]
name = "apart"
match = "*.csv"
filename = '_(?P<band>[a-z]+)\\.csv$'
{COLUMNS}
[frame]
time = {{ header = "DATE-OBS" }}
exptime = {{ header = "EXPTIME" }}
telescope = "0m4-04"
camera = "kb82"
gain = 1
nx = 1523
ny = 1020
"""


def ask(db, sql):
    with db.begin() as conn:
        return conn.execute(text(sql)).all()


def test_the_catalogue_inside_each_frame(database, data_dir, tmp_path):
    (tmp_path / "lco.toml").write_text(INSIDE)
    told = IngestSettings(jobs=0, list_maps=(str(tmp_path / "lco.toml"),))
    report = ingest(database, [data_dir("lco_kb82")], told)
    # the three lists in band up have 6 to 8 stars and a header whose astrometry failed
    assert report.n_accepted == 9 and {code for _, code, _ in report.rejected} == {"not_registered"}
    rows = ask(database, """
        SELECT b.name, count(*), min(nx), max(nx), max(ny), min(source_format),
               bool_and(abs(frame.pixel_scale - 1.1415) < 0.002), min(c.name), min(n_detections)
        FROM frame JOIN band b USING (band_id) JOIN camera c USING (camera_id) WHERE status = 'accepted'
        GROUP BY 1 ORDER BY 1""")  # fmt: skip
    assert [r[:-1] for r in rows] == [
        (band, 3, 1523, 1523, 1020, "map:lco", True, "kb82") for band in ("gp", "rp", "zs")
    ]
    assert [r[-1] for r in rows] == [68, 133, 47]
    solve(database)
    scatter = ask(database, """
        SELECT count(*), avg(abs(p.mag - m.mag)) FROM light_curve_point p
        JOIN source_mag m USING (solution_id, source_id, band_id) WHERE p.mag_err < 0.03
        """)  # fmt: skip
    assert scatter[0][0] > 50 and scatter[0][1] < 0.02


def test_the_same_catalogue_as_text_beside_no_image(database, data_dir, tmp_path):
    """What the map takes out of comment lines and the file's name is what the image's header tells."""
    (tmp_path / "apart.toml").write_text(APART)
    for path in sorted(data_dir("lco_kb82").glob("*-115[678]-*.fits.fz")):
        with fits.open(path) as hdus:
            header, table = hdus["SCI"].header, Table(hdus["CAT"].data)
        lines = [f"# {card}: {header[card]}" for card in ("DATE-OBS", "EXPTIME")]
        rows = "\n".join(table.pformat(max_lines=-1, max_width=-1, show_unit=False)[2:])
        body = "\n".join(",".join(line.split()) for line in rows.splitlines())
        name = tmp_path / "lists" / f"{path.name.split('.')[0]}_{header['FILTER']}.csv"
        name.parent.mkdir(exist_ok=True)
        name.write_text("\n".join(lines) + f"\n{','.join(table.colnames)}\n{body}\n")
    (tmp_path / "lco.toml").write_text(INSIDE)
    told = IngestSettings(
        jobs=0, list_maps=(str(tmp_path / "apart.toml"),), center=(80.88, -1.17), scale=1.1415
    )
    assert ingest(database, [tmp_path / "lists"], told).n_accepted == 3
    frames = sorted(data_dir("lco_kb82").glob("*-115[678]-*.fits.fz"))
    again = ingest(database, frames, IngestSettings(jobs=0, list_maps=(str(tmp_path / "lco.toml"),)))
    assert (again.n_new, again.n_known) == (0, 3)  # the same numbers are the same frame


def test_our_own_measurement_of_the_frames_agrees_with_the_lists(
    database, another_database, data_dir, tmp_path
):
    """Positions count from the same pixel, fluxes differ by the aperture: read by the map, and measured by photodb."""
    (tmp_path / "lco.toml").write_text(INSIDE)
    path = sorted(data_dir("lco_kb82").glob("*-1160-*.fits.fz"))
    ingest(database, path, IngestSettings(jobs=0, list_maps=(str(tmp_path / "lco.toml"),)))
    ingest(another_database, path, IngestSettings(jobs=0))
    theirs, ours = (
        np.array(ask(db, "SELECT x, y, mag FROM detection"), float) for db in (database, another_database)
    )
    i, j = mutual_nearest(theirs[:, :2], ours[:, :2], 1.0)
    assert len(i) > 0.95 * len(theirs)
    assert np.abs(np.median(theirs[i, :2] - ours[j, :2], axis=0)).max() < 0.15
    bright = theirs[i, 2] < np.median(theirs[i, 2])
    off = (theirs[i, 2] - ours[j, 2])[bright]  # theirs is a smaller aperture: a constant of the frame
    assert 0 < np.median(off) < 0.6 and 1.4826 * np.median(np.abs(off - np.median(off))) < 0.1
