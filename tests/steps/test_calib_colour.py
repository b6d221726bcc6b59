"""Masters of a colour camera: made and applied to the whole mosaic, channels measured after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from photodb.images.headers import CameraDescription
from photodb.images.pipeline import read_reduced
from photodb.steps.ingest import IngestSettings, ingest
from photodb.steps.instruments import add_telescope
from photodb.steps.shelf import MasterShelf
from photodb.storage import instruments
from tests.helpers.raw_frames import TOML, Detector, write_raw
from tests.images.sky_frames import star_image

SKY = 900.0  # e- a pixel of green
COLOUR = {"R": 0.5, "G": 1.0, "B": 0.7}
"""Light behind each filter of the mosaic RGGB."""


@pytest.fixture
def taken(database, tmp_path):
    """Bias, flats and two science frames of a colour camera, ingested at once."""
    (tmp_path / "camera.toml").write_text(TOML.format(more='bayer = "RGGB"'))
    add_telescope(database, tmp_path / "camera.toml")
    detector, rng = Detector(shape=(240, 300), n_hot=0), np.random.default_rng(31)
    ny, nx = detector.shape
    cell = np.array([[COLOUR["R"], COLOUR["G"]], [COLOUR["G"], COLOUR["B"]]])
    mosaic = np.tile(cell, (ny // 2, nx // 2))
    stars = star_image(rng, n=40, shape=detector.shape, fwhm=6.0, sky=0.0, gain=1.0, read_noise=0.0)[0]
    light = mosaic * (SKY + 4 * stars)
    raw = tmp_path / "raw"
    raw.mkdir()
    for k in range(3):
        write_raw(raw / f"z{k}.fits", detector.expose(rng), "Bias", 0.0, None, f"2024-03-01T18:0{k}:00",
                  **detector.cards)  # fmt: skip
        write_raw(raw / f"f{k}.fits", detector.expose(rng, mosaic * (50000.0 - 9000 * k), 0.0), "Flat", 2.0, None,
                  f"2024-03-01T18:3{k}:00", **detector.cards)  # fmt: skip
    write_raw(raw / "a.fits", detector.expose(rng, light, 0.0), "Light", 60.0, None, **detector.cards)
    report = ingest(database, [raw], IngestSettings(jobs=0))
    return report, replace(detector), light, raw


def test_channels_are_flat_and_keep_their_gain(database, taken):
    report, detector, light, raw = taken
    assert (report.n_accepted, report.n_calibration, report.n_masters) == (3, 6, 2), report.rejected
    with database.begin() as conn:
        rows = conn.execute(text("SELECT frame_id, channel, reason FROM frame WHERE kind = 'science'")).all()
        (camera,) = instruments.list_cameras(conn)
        used = conn.execute(text("SELECT count(*) FROM frame_master")).scalar()
    assert used == 6 and not any("no flat" in row.reason or "no bias" in row.reason for row in rows)
    d = CameraDescription.from_dict(camera.description, camera.name)
    with MasterShelf(database) as shelf:
        corrections = shelf.of_frames([row.frame_id for row in rows])
        for row in rows:
            _, exposure, made = read_reduced(
                raw / "a.fits", d, corrections[row.frame_id], channel=row.channel
            )
            parts = {"R": [(0, 0)], "B": [(1, 1)], "G": [(0, 1), (1, 0)]}[row.channel]
            truth = sum(light[y::2, x::2] for y, x in parts)
            # each colour of the flat has the median 1; the vignetting's median over a channel is that of the chip
            noise = np.sqrt(truth + len(parts) * detector.read_noise**2)
            quiet = ~made.bad & (truth < 1.2 * np.median(truth))
            off = (made.data * exposure.gain - truth) / noise
            assert abs(np.median(off[quiet])) < 0.15
            assert 0.9 < np.std(off[quiet]) < 1.25  # the corners have less light and more noise
            corner = quiet.copy()
            corner[25:], corner[:, 25:] = False, False
            assert abs(off[corner].mean()) < 0.2
