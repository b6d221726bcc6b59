"""Headers as different cameras write them; each suffices to describe its camera.

"modern": time as one UTC card, pointing in degrees, a world coordinate system that is a little off, gain,
read-out noise and saturation. "spartan": date and time in two cards, pointing in sexagesimal text that is
half an arcminute off, pixel size and focal length, no world coordinates, nothing about the detector.
"""

from __future__ import annotations

import numpy as np
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.time import Time

from .nights import Exposure
from .sky import CENTRE
from .telescopes import Telescope, make_wcs

PIXEL_MICRON = 9.0
"""Size of a pixel of the spartan camera."""


def make_header(telescope: Telescope, exposure: Exposure, rng: np.random.Generator) -> fits.Header:
    """Return the header of a frame, without the cards that describe the array."""
    header = fits.Header()
    header["OBJECT"] = ("Cygnus field", "target")
    header["IMAGETYP"] = ("Light Frame", "kind of exposure")
    header["TELESCOP"] = (telescope.name, "telescope")
    header["INSTRUME"] = (telescope.camera, "camera")
    header["OBSERVAT"] = (telescope.observatory, "observatory")
    header["SITELAT"] = (telescope.latitude, "[deg] latitude, north positive")
    header["SITELONG"] = (telescope.longitude, "[deg] longitude, east positive")
    header["SITEELEV"] = (telescope.elevation, "[m] height above the sea")
    header["APTDIA"] = (1000 * telescope.aperture, "[mm] aperture")
    header["FILTER"] = (exposure.band, "filter")
    header["EXPTIME"] = (exposure.exptime, "[s] length of the exposure")
    {"modern": _modern, "spartan": _spartan}[telescope.header](header, telescope, exposure, rng)
    return header


def _modern(header: fits.Header, telescope: Telescope, exposure: Exposure, rng: np.random.Generator) -> None:
    header["DATE-OBS"] = (Time(exposure.mjd_start, format="mjd").isot, "UTC, start of the exposure")
    header["TIMESYS"] = ("UTC", "time scale")
    header["AIRMASS"] = (round(exposure.airmass, 4), "airmass at the middle")
    header["GAIN"] = (telescope.gain, "[e-/ADU] gain")
    header["RDNOISE"] = (telescope.read_noise, "[e-] read-out noise")
    header["SATURATE"] = (telescope.full_well - 535, "[ADU] saturation")
    header["PIXSCALE"] = (telescope.scale, "[arcsec/px] pixel scale")
    ra, dec = _pointing(telescope, exposure)
    header["RA"] = (ra, "[deg] centre of the frame")
    header["DEC"] = (dec, "[deg] centre of the frame")
    header["RADESYS"] = ("ICRS", "frame of the coordinates")
    off = rng.normal(0, 4 / 3600, 2)
    wcs = make_wcs(
        telescope,
        CENTRE[0] + off[0] / np.cos(np.radians(CENTRE[1])),
        CENTRE[1] + off[1],
        exposure.rotation + rng.normal(0, 0.05),
        exposure.shift,
    )
    for axis in (1, 2):
        header[f"CTYPE{axis}"] = wcs.wcs.ctype[axis - 1]
        header[f"CUNIT{axis}"] = "deg"
        header[f"CRVAL{axis}"] = wcs.wcs.crval[axis - 1]
        header[f"CRPIX{axis}"] = wcs.wcs.crpix[axis - 1]
        for other in (1, 2):
            header[f"CD{axis}_{other}"] = wcs.wcs.cd[axis - 1, other - 1]


def _spartan(header: fits.Header, telescope: Telescope, exposure: Exposure, rng: np.random.Generator) -> None:
    date, time = Time(exposure.mjd_start, format="mjd").isot.split("T")
    header["DATE-OBS"] = (date, "UTC date at the start of the exposure")
    header["TIME-OBS"] = (time, "UTC time at the start of the exposure")
    ra, dec = _pointing(telescope, exposure)
    ra += rng.normal(0, 20 / 3600) / np.cos(np.radians(dec))
    dec += rng.normal(0, 20 / 3600)
    header["RA"] = (Angle(ra, "deg").to_string("hourangle", sep=":", pad=True, precision=1), "of the mount")
    header["DEC"] = (
        Angle(dec, "deg").to_string("deg", sep=":", pad=True, precision=0, alwayssign=True),
        "of the mount",
    )
    header["EQUINOX"] = (2000.0, "of RA and DEC")
    header["XPIXSZ"] = (PIXEL_MICRON, "[um] size of a pixel")
    header["YPIXSZ"] = (PIXEL_MICRON, "[um] size of a pixel")
    header["FOCALLEN"] = (round(206.264806 * PIXEL_MICRON / telescope.scale, 1), "[mm] focal length")
    header["PIXSCALE"] = (telescope.scale, "[arcsec/px] pixel scale")


def _pointing(telescope: Telescope, exposure: Exposure) -> tuple[float, float]:
    """Return the true place of the middle of the frame."""
    wcs = make_wcs(telescope, *CENTRE, exposure.rotation, exposure.shift)
    ra, dec = wcs.wcs_pix2world((telescope.nx - 1) / 2, (telescope.ny - 1) / 2, 0)
    return float(ra), float(dec)
