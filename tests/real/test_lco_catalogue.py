"""Las Cumbres frames against the catalogues that their own pipeline put beside them."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from photodb.images import pipeline
from photodb.images.headers import packaged

pytestmark = pytest.mark.real


def measured(path, psf):
    scanned = pipeline.scan(path, "", packaged(), None)
    scanned = scanned[0] if isinstance(scanned, list) else scanned
    return pipeline.measure_file(scanned, pipeline.PixelSettings(max_stars=10000, psf=psf))


def compared(folder, psf):
    """Return, a frame in gp, rp and zs: distance to the nearest detection, both fluxes, flags, the file's name."""
    rows = []
    for path in sorted(folder.glob("*.fz")):
        result = measured(path, psf)
        if result.exposure.band == "up":
            continue
        found, theirs = result.measured.detections, fits.getdata(path, "CAT")
        tree = cKDTree(np.column_stack([found.x, found.y]))
        # both places are windowed; theirs count from 1
        distance, row = tree.query(np.column_stack([theirs["XWIN"] - 1, theirs["YWIN"] - 1]))
        rows.append(
            (distance, found.flux[row, 4], np.asarray(theirs["FLUX"], float), found.flags[row], path.name)
        )
    return rows


def test_their_rows_are_found_again(data_dir):
    frames = compared(data_dir("lco_kb82"), "none")
    assert len(frames) == 9
    distance = np.concatenate([f[0] for f in frames])
    assert len(distance) > 700
    assert (distance < 1).mean() > 0.99
    assert np.median(distance) < 0.15


def test_a_second_pass_parts_some_of_their_rows_and_loses_none(data_dir):
    distance = np.concatenate([f[0] for f in compared(data_dir("lco_kb82"), "moffat")])
    assert (distance < 1).mean() > 0.98 and (distance < 2).mean() > 0.99


def test_fluxes_are_theirs_times_one_factor(data_dir):
    """Their fluxes are in electrons in an aperture of the object's own size; ours in a fixed one."""
    for distance, ours, theirs, flags, name in compared(data_dir("lco_kb82"), "none"):
        use = (distance < 1) & (flags == 0) & (theirs > 5000)
        ratio = np.log(ours[use] / theirs[use])
        scatter = 1.4826 * np.median(np.abs(ratio - np.median(ratio)))
        slope = np.polyfit(np.log(theirs[use]), np.log(ours[use]), 1)[0]
        assert use.sum() >= 20, name
        assert scatter < 0.05 and abs(slope - 1) < 0.02, (name, scatter, slope)
