"""Fluxes of real frames beside what others measured on them."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import cKDTree

from photodb.core.robust import mad_sigma
from photodb.core.sky import project
from photodb.images.headers import packaged
from photodb.images.pipeline import FrameResult, PixelSettings, measure_file, scan

pytestmark = pytest.mark.real

ZERO_POINTS = {
    "4192": {"u": 23.216, "g": 24.301, "r": 23.940, "i": 23.698, "z": 21.775},
    "6377": {"u": 23.077, "g": 24.271, "r": 23.893, "i": 23.689, "z": 21.729},
}
"""AB magnitude of one count a second in an aperture of 12 px."""


def measured(path, **changes):
    """Measure a file as ingest does, with changes of its camera's description."""
    scanned = scan(path, "", packaged(), None)
    scanned = replace(scanned, description=replace(scanned.description, **changes))
    result = measure_file(scanned, PixelSettings())
    assert isinstance(result, FrameResult), result
    return result


@pytest.mark.parametrize("run", ZERO_POINTS)
@pytest.mark.parametrize("band", "ugriz")
def test_sdss_zero_points(run, band, data_dir):
    path = next(data_dir(f"sdss_s82/{run}").glob(f"fpC-*-{band}4-*.fit.gz"))
    stars = Table.read(data_dir("sdss_s82") / "stars.fits")
    stars = stars[(stars["starnotgal"] == 1) & (stars[f"{band}_err"] < 0.05)]
    result = measured(path, aperture=12.0)
    d, wcs = result.measured.detections, result.header_wcs
    good = np.flatnonzero((d.flags & ~4 == 0) & (d.kind == 1) & (d.flux[:, 2] > 20 * d.flux_err[:, 2]))
    ra, dec = wcs.to_sky(d.x[good], d.y[good])
    centre = float(np.median(ra)), float(np.median(dec))
    here = 3600 * np.column_stack(project(ra, dec, *centre))
    near = np.abs((np.asarray(stars["ra"]) - centre[0] + 180) % 360 - 180) < 0.5
    stars = stars[near & (np.abs(stars["dec"] - centre[1]) < 0.5)]
    there = 3600 * np.column_stack(
        project(np.asarray(stars["ra"], float), np.asarray(stars["dec"], float), *centre)
    )
    distance, which = cKDTree(there).query(here)
    matched = distance < 1.5
    assert matched.sum() >= (8 if band == "u" else 20)
    counts = d.flux[good[matched], 2] / result.gain / result.exposure.exptime
    zero = np.asarray(stars[band], float)[which[matched]] + 2.5 * np.log10(counts)
    assert np.median(zero) == pytest.approx(ZERO_POINTS[run][band], abs=0.1 if band == "u" else 0.06)
    assert mad_sigma(zero) < 0.08
    assert np.median(distance[matched]) < 0.3


@pytest.mark.parametrize("number", range(1156, 1165))
def test_lco_fluxes_agree_with_their_own(number, data_dir):
    path = next(data_dir("lco_kb82").glob(f"*-{number}-e91.fits.fz"))
    with fits.open(path) as hdus:
        theirs = Table(hdus["CAT"].data)
    d = measured(path, aperture=2.63).measured.detections  # 3 arcsec, as their sixth aperture
    x, y = np.asarray(theirs["XWIN"], float) - 1, np.asarray(theirs["YWIN"], float) - 1
    distance, which = cKDTree(np.column_stack([d.x, d.y])).query(np.column_stack([x, y]))
    use = (
        (distance < 1) & (d.flags[which] & ~4 == 0) & (d.kind[which] == 1) & (np.asarray(theirs["FLAG"]) == 0)
    )
    flux = np.asarray(theirs["FLUXAPER6"], float)
    use &= (flux > 0) & (d.flux[which, 2] > 20 * d.flux_err[which, 2])
    ours, flux = d.flux[which[use], 2], flux[use]
    assert use.sum() >= 30
    difference = -2.5 * np.log10(ours / flux)
    assert np.polyfit(np.log10(flux), np.log10(ours), 1)[0] == pytest.approx(1, abs=0.01)
    assert abs(np.median(difference)) < 0.03
    assert mad_sigma(difference) < 0.025
