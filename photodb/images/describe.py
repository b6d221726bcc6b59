"""Describe a camera that the archive does not know, from a header and some pixels; say what was assumed."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.ephemeris import place_at
from ..errors import FrameError, UnknownCamera
from .cards import first_card, number
from .colour import Colour, colour_of, is_cube
from .findtime import CLOCKS, find_time, with_middle
from .headers import CameraDescription, HeaderMap, with_assumed
from .instants import rule_of
from .lighttime import LIGHT_SCALES
from .times import read_instant

TELESCOPES = ("TELESCOP", "OBSERVAT", "TELESCO", "SITEID")
INSTRUMENTS = ("INSTRUME", "DETECTOR", "CAMERA", "DETNAM", "INSTRUM")
EXPOSURES = ("EXPTIME", "EXPOSURE", "EXP_TIME", "ITIME", "EXPOSED", "EXP")
STACKED = ("TOTALEXP", "LIVETIME")
"""Length of all exposures of a stack."""
FILTERS = ("FILTER", "FILTNAME", "FILTERS", "FILTER1", "FILTNAM", "FILT", "INSFILTE")
KIND_CARDS = ("IMAGETYP", "OBSTYPE", "FRAME", "FLAVOR", "IMGTYPE")
GAINS = ("EGAIN", "GAIN", "CCDGAIN", "E_GAIN")
GAIN_SETTING = ("BAYERPAT", "OFFSET", "EGAIN")
"""Cards of programs whose GAIN is the setting of a CMOS camera (tenths of a decibel, or ISO), not e-/ADU."""
LARGEST_GAIN = 30.0
NOISES = ("RDNOISE", "READNOIS", "READNOISE", "RON", "RONOISE", "ENOISE")
SATURATIONS = ("SATURATE", "SATLEVEL", "SATURATION", "MAXLIN")
SCALES = ("PIXSCALE", "SECPIX", "IM_SCALE", "SCALE", "PIXSCAL1", "SECPIX1", "PIXSCAL")
LATITUDES = ("SITELAT", "LATITUDE", "OBSLAT", "LAT-OBS", "GEOLAT", "OBSGEO-B", "SITE-LAT")
LONGITUDES = ("SITELONG", "LONGITUD", "OBSLONG", "LONG-OBS", "GEOLON", "OBSGEO-L", "SITE-LON", "LONGITUDE")
ELEVATIONS = ("SITEELEV", "ALTITUDE", "OBSALT", "ALT-OBS", "HEIGHT", "OBSGEO-H", "ELEVATIO", "SITEALT")
DIAMETERS_MM = ("APTDIA",)
AREAS_MM2 = ("APTAREA",)
SKELETON = """[telescope]
name = "{telescope}"
latitude = 0.0            # degrees, north positive
longitude = 0.0           # degrees, east positive
elevation = 0.0           # metres
aperture_diameter = 0.2   # metres

[[camera]]
name = "{camera}"
match = {{ {match} }}     # cards that tell this camera from others
pixel_scale = 1.0         # arcsec a pixel
gain = 1.0                # electrons a count
read_noise = 5.0          # electrons
saturation = 60000.0      # counts
# bayer = "RGGB"          # colour cameras: colours of the first 2x2 pixels; "no": none, whatever the header says

[header]                  # which card holds what
time = "{time}"           # or two cards: ["DATE-OBS", "TIME-OBS"]
time_scale = "utc"        # utc, tai, tt, ...; local (then utc_offset = hours, local minus UTC)
exposure = "{exposure}"
filter = "{filter}"
ra = "RA"
dec = "DEC"
"""


def _need(card: str, what: str, names: Sequence[str], missing: list[str]) -> None:
    if not card:
        missing.append(f"{what} (looked for {', '.join(names)})")


def describe(header: Mapping[str, Any]) -> CameraDescription:
    """Describe an unknown camera from its header alone; gain, read noise and saturation may stay open.

    Raises
    ------
    UnknownCamera : telescope or instrument, time, exposure or filter are not told. The text lists the cards found
        and a TOML skeleton to fill in.
    """
    missing: list[str] = []
    telescope, instrument = first_card(header, TELESCOPES), first_card(header, INSTRUMENTS)
    exposure, filter_card = first_card(header, EXPOSURES), first_card(header, FILTERS)
    _need(telescope or instrument, "telescope or instrument", TELESCOPES + INSTRUMENTS, missing)
    _need(exposure, "exposure", EXPOSURES, missing)
    kind = first_card(header, KIND_CARDS) or "IMAGETYP"
    try:
        time, scale, refers = find_time(header)
    except FrameError as error:
        missing.append(f"start of the exposure ({error})")
        time, scale, refers = ("DATE-OBS",), "utc", "start"
    stacked = first_card(header, STACKED) if is_cube(header) else ""
    made = _described(header, telescope, instrument, stacked or exposure, filter_card, kind, time, scale)
    made = with_middle(made, header, refers)
    try:
        colour = colour_of(header, made)
    except FrameError as error:
        missing.append(f"the mosaic of its colours ({error})")
    if missing:
        raise UnknownCamera(_explain(header, missing))
    made = _with_colour(made, colour, header)
    made = with_assumed(made, name=(made.name, f"from {telescope or '-'} and {instrument or '-'}"))
    made = replace(
        made,
        assumed={
            **made.assumed,
            "time": f"{' + '.join(time)} taken as {scale.upper()}, {refers} of the exposure",
        },
    )
    if not filter_card:
        made = replace(made, assumed={**made.assumed, "default_filter": "no filter card; band 'none'"})
    return _with_site(_with_aperture(_with_scale(made, header), header), header)


def _with_colour(d: CameraDescription, colour: Colour, header: Mapping[str, Any]) -> CameraDescription:
    """Say what was taken of the colours; frames of three planes are a camera apart from single exposures."""
    assumed = dict(d.assumed)
    setting = number(header, "GAIN")
    if np.isfinite(setting) and d.header.gain != "GAIN":
        assumed["GAIN"] = f"{setting:g}, taken for a setting of the camera, not e-/ADU"
    if not colour:
        return replace(d, assumed=assumed)
    assumed["bayer"] = f"colours in {colour.told}; bands TR, TG, TB"
    if colour.planes:
        assumed["exposure"] = (
            f"{d.header.exposure}; gain, noise and errors are those of planes already interpolated"
        )
        match = {**d.match, "NAXIS3": "3"}
        return replace(d, name=f"{d.name}-rgb", match=match, assumed=assumed)
    return replace(d, assumed=assumed)


def _gain_card(header: Mapping[str, Any]) -> str:
    """Return the card of the gain in e-/ADU; GAIN of many programs is a setting of the camera instead."""
    if is_cube(header):
        return ""  # sums or means of interpolated planes, perhaps scaled: the pixels have to tell
    for card in GAINS:
        value = number(header, card)
        setting = card == "GAIN" and any(c in header for c in GAIN_SETTING)
        if 0 < value < LARGEST_GAIN and not setting:
            return card
    return ""


def _described(
    header: Mapping[str, Any], telescope: str, instrument: str, exposure: str, filter_card: str, kind: str,
    time: tuple[str, ...], scale: str,
) -> CameraDescription:  # fmt: skip
    """Put the cards found into a description."""
    names = [str(header[c]).strip() for c in (telescope, instrument) if c]
    match = {c: glob.escape(str(header[c]).strip()) for c in (telescope, instrument) if c}
    for card in ("XBINNING", "CCDSUM", "NAXIS1", "NAXIS2"):
        if str(header.get(card, "")).strip():
            match[card] = glob.escape(str(header[card]).strip())
    names = names or ["unknown"]
    return CameraDescription(
        telescope=names[0],
        name="-".join(dict.fromkeys(re.sub(r"\s+", "_", n) for n in names)),
        match=match,
        data_section=first_card(header, ("TRIMSEC",)) if _is_section(header, "TRIMSEC") else "",
        overscan_section="BIASSEC"
        if _is_section(header, "BIASSEC") and _is_section(header, "TRIMSEC")
        else "",
        default_filter="" if filter_card else "none",
        header=HeaderMap(
            time=time,
            time_scale=scale,
            exposure=exposure,
            filter=filter_card or "FILTER",
            kind=kind,
            gain=_gain_card(header),
            read_noise=_positive(header, NOISES),
            saturation=_positive(header, SATURATIONS),
            pixel_scale=_positive(header, SCALES),
            airmass="AIRMASS" if "AIRMASS" in header else "",
            soft_bias="SOFTBIAS" if "SOFTBIAS" in header else "",
            wcs_error="WCSERR" if "WCSERR" in header else "",
        ),
    )


def _is_section(header: Mapping[str, Any], card: str) -> bool:
    found = re.match(r"^\[(\d+):(\d+),(\d+):(\d+)\]$", str(header.get(card, "")).replace(" ", ""))
    if not found:
        return False
    x1, x2, y1, y2 = (int(g) for g in found.groups())
    return 1 <= x1 < x2 <= number(header, "NAXIS1") and 1 <= y1 < y2 <= number(header, "NAXIS2")


def _positive(header: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((n for n in names if number(header, n) > 0), "")


def _explain(header: Mapping[str, Any], missing: list[str]) -> str:
    shown = [c for c in header if c and c not in ("COMMENT", "HISTORY", "SIMPLE", "BITPIX", "EXTEND")]
    telescope, instrument = first_card(header, TELESCOPES), first_card(header, INSTRUMENTS)
    match = (
        ", ".join(f'{c} = "{str(header[c]).strip()}"' for c in (telescope, instrument) if c)
        or 'TELESCOP = "..."'
    )
    skeleton = SKELETON.format(
        telescope=str(header.get(telescope, "my telescope")).strip() if telescope else "my telescope",
        camera=str(header.get(instrument, "my camera")).strip() if instrument else "my camera",
        match=match,
        time=first_card(header, ("DATE-OBS", *CLOCKS)) or "DATE-OBS",
        exposure=first_card(header, EXPOSURES) or "EXPTIME",
        filter=first_card(header, FILTERS) or "FILTER",
    )
    return (
        f"the header does not tell: {'; '.join(missing)}. Cards found: {', '.join(dict.fromkeys(shown)) or 'none'}. "
        f"Fill this in and load it with 'photodb telescope add FILE.toml':\n{skeleton}"
    )


def _with_scale(d: CameraDescription, header: Mapping[str, Any]) -> CameraDescription:
    """Fill in the pixel scale from focal length and pixel size where no card tells it."""
    if d.header.pixel_scale:
        return d
    focal, size = number(header, "FOCALLEN"), number(header, "XPIXSZ")
    if not (focal > 0 and size > 0):
        return d
    return with_assumed(
        d, pixel_scale=(206.264806 * size / focal, f"XPIXSZ {size:g} um over FOCALLEN {focal:g} mm")
    )


def _with_aperture(d: CameraDescription, header: Mapping[str, Any]) -> CameraDescription:
    """Fill in the collecting area, which gives the first guess of the zero points."""
    area, diameter = _positive(header, AREAS_MM2), _positive(header, DIAMETERS_MM)
    if area:
        return with_assumed(d, aperture_area=(number(header, area) / 1e6, f"from {area}, taken as mm2"))
    if diameter:
        value = np.pi / 4 * (number(header, diameter) / 1e3) ** 2
        return with_assumed(d, aperture_area=(float(value), f"from {diameter}, taken as mm"))
    return d


def _degrees(header: Mapping[str, Any], names: Sequence[str]) -> tuple[float, str]:
    for name in names:
        text = str(header.get(name, "")).strip()
        parts = [p for p in re.split(r"[:\s]+", text.lstrip("+-")) if p]
        try:
            size = sum(float(p) / 60**k for k, p in enumerate(parts))
        except ValueError:
            continue
        if parts:
            return (-size if text.startswith("-") else size), name
    return float("nan"), ""


def _with_site(d: CameraDescription, header: Mapping[str, Any]) -> CameraDescription:
    """Fill in the site; where a positive longitude would put the sun up and its mirror not, it counts westward."""
    latitude, lat_card = _degrees(header, LATITUDES)
    longitude, lon_card = _degrees(header, LONGITUDES)
    if not (abs(latitude) <= 90 and abs(longitude) <= 360):
        return replace(
            d,
            assumed={**d.assumed, "site": "unknown: times at the barycentre are right to 21 ms, no airmass"},
        )
    elevation = next((v for v in (number(header, c) for c in ELEVATIONS) if -500 < v < 9000), 0.0)
    how = f"from {lon_card}, east positive"
    mjd = (
        read_instant(list(d.header.time), header, rule_of(d))
        if d.header.time_scale not in LIGHT_SCALES
        else np.nan
    )
    if np.isfinite(mjd) and _sun(mjd, latitude, longitude) > -3 and _sun(mjd, latitude, -longitude) < -6:
        longitude, how = -longitude, f"from {lon_card}, taken as positive westward: else the sun would be up"
    return with_assumed(
        d,
        latitude=(latitude, f"from {lat_card}"),
        longitude=((longitude + 180) % 360 - 180, how),
        elevation=(float(elevation), "from the header" if elevation else "not told, 0 m taken"),
    )


def _sun(mjd: float, latitude: float, longitude: float) -> float:
    return place_at(mjd, latitude, longitude).sun_altitude
