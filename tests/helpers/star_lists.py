"""Star lists of a simulated survey in every format that photodb reads, each written as its program writes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from photodb.core import sky
from photodb.simulate.measurements import Survey

RA, DEC, HALF_WIDTH = 200.0, 35.0, 0.2  # deg; HALF_WIDTH is that of a frame
SIDE = 801  # px
EXPTIME = 60.0
TELESCOPES = ("big", "small")
GAIN = 1.5
MJD = 60000.0


@dataclass(frozen=True)
class Frame:
    """One frame of a survey; arrays with a row a star, brightest first."""

    number: int
    star: np.ndarray
    x: np.ndarray  # px, from 0
    y: np.ndarray
    ra: np.ndarray  # deg
    dec: np.ndarray
    mag: np.ndarray  # instrumental, of electrons a second
    mag_err: np.ndarray
    mjd: float
    band: str
    telescope: str
    airmass: float

    @property
    def flux(self) -> np.ndarray:
        """Electrons of the whole exposure."""
        return EXPTIME * 10 ** (-0.4 * self.mag)

    @property
    def flux_err(self) -> np.ndarray:
        """Its error, electrons."""
        return self.flux * self.mag_err * np.log(10) / 2.5


def frames_of(survey: Survey, band: str = "V") -> list[Frame]:
    """Return the frames of a survey with pixels and positions."""
    m, made = survey.measurements, []
    ra, dec = sky.deproject(survey.star_xy[:, 0] * HALF_WIDTH, survey.star_xy[:, 1] * HALF_WIDTH, RA, DEC)
    for i in range(len(survey.frames)):
        mine = np.flatnonzero(m.frame == i)
        mine = mine[np.argsort(m.mag[mine], kind="stable")]
        s = m.star[mine]
        made.append(
            Frame(i, s, (m.x[mine] + 1) / 2 * (SIDE - 1), (m.y[mine] + 1) / 2 * (SIDE - 1), ra[s], dec[s], m.mag[mine],
                  m.mag_err[mine], MJD + float(survey.time[i]), band, TELESCOPES[int(survey.frames.camera[i])], 1.2)
        )  # fmt: skip
    return made


def own_table(f: Frame, *, place: str = "both", brightness: str = "flux") -> Table:
    """Return a frame in photodb's own layout, words of the frame as columns."""
    t = Table()
    if place in ("both", "xy"):
        t["x"], t["y"] = f.x.round(4), f.y.round(4)
    if place in ("both", "radec"):
        t["ra"], t["dec"] = f.ra.round(7), f.dec.round(7)
    if brightness == "flux":
        t["flux"], t["flux_err"] = f.flux, f.flux_err
    else:
        t["mag"], t["mag_err"] = f.mag.round(5), f.mag_err.round(5)
    for name, value in words(f).items():
        t[name] = value
    return t


def words(f: Frame) -> dict[str, float | str | int]:
    """Return the words of a frame as photodb's layout has them."""
    return {
        "mjd": f.mjd, "exptime": EXPTIME, "band": f.band, "telescope": f.telescope, "camera": f"{f.telescope}-ccd",
        "airmass": f.airmass, "nx": SIDE, "ny": SIDE,
    }  # fmt: skip


def csv(f: Frame, path: Path) -> None:
    own_table(f).write(path.with_suffix(".csv"), format="ascii.csv")


def csv_mag(f: Frame, path: Path) -> None:
    own_table(f, brightness="mag").write(path.with_suffix(".csv"), format="ascii.csv")


def csv_sky_only(f: Frame, path: Path) -> None:
    own_table(f, place="radec").write(path.with_suffix(".csv"), format="ascii.csv")


def csv_pixels_only(f: Frame, path: Path) -> None:
    own_table(f, place="xy").write(path.with_suffix(".csv"), format="ascii.csv")


def ecsv(f: Frame, path: Path) -> None:
    t = own_table(f)
    for name, value in words(f).items():
        t.remove_column(name)
        t.meta[name] = value
    for name, unit in {
        "x": "pix",
        "ra": "deg",
        "dec": "deg",
        "flux": "electron",
        "flux_err": "electron",
    }.items():
        t[name].unit = unit
    t.write(path.with_suffix(".ecsv"), format="ascii.ecsv")


def fits_table(f: Frame, path: Path) -> None:
    t = own_table(f)
    t.write(path.with_suffix(".fits"))


def sextractor_table(f: Frame) -> Table:
    """Return the columns of SExtractor: counts, pixels from 1."""
    t = Table({"NUMBER": np.arange(1, len(f.x) + 1), "X_IMAGE": f.x + 1, "Y_IMAGE": f.y + 1})
    t["ALPHA_J2000"], t["DELTA_J2000"] = f.ra, f.dec
    flux, err = f.flux / GAIN, f.flux_err / GAIN
    t["FLUX_APER"] = np.column_stack([flux, 1.1 * flux])
    t["FLUXERR_APER"] = np.column_stack([err, 1.2 * err])
    t["FLUX_AUTO"], t["FLUXERR_AUTO"] = 1.05 * flux, err
    t["FWHM_IMAGE"] = 3.0
    t["FLAGS"] = 0
    return t


def sextractor(f: Frame, path: Path) -> None:
    t, lines, k = sextractor_table(f), [], 1
    for name in t.colnames:
        unit = {"A": "deg", "D": "deg", "X": "pixel", "Y": "pixel", "N": "", "F": "count"}[name[0]]
        unit = {"FWHM_IMAGE": "pixel", "FLAGS": ""}.get(name, unit)
        lines.append(f"# {k:3d} {name:22s} Some words about the column  [{unit}]")
        k += 1 if t[name].ndim == 1 else t[name].shape[1]
    flat = np.column_stack([np.asarray(t[n], float).reshape(len(t), -1) for n in t.colnames])
    rows = [" ".join(f"{v:.9g}" for v in row) for row in flat]
    told = [f"# {name} = {value}" for name, value in (words(f) | {"gain": GAIN}).items()]
    path.with_suffix(".cat").write_text("\n".join(lines + told + rows) + "\n")


def image_header(f: Frame) -> fits.Header:
    """Return the header of the image that a list was made of."""
    header = fits.Header()
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, SIDE, SIDE
    header["TELESCOP"], header["INSTRUME"], header["FILTER"] = f.telescope, "ccd", f.band
    header["MJD-OBS"], header["EXPTIME"] = f.mjd - EXPTIME / 2 / 86400, EXPTIME
    header["GAIN"], header["AIRMASS"] = GAIN, f.airmass
    return header


def ldac(f: Frame, path: Path) -> None:
    text = image_header(f).tostring(padding=False)
    column = fits.Column("Field Header Card", f"{len(text)}A", array=np.array([text]))
    head = fits.BinTableHDU.from_columns([column], name="LDAC_IMHEAD")
    body = fits.BinTableHDU(sextractor_table(f), name="LDAC_OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), head, body]).writeto(path.with_suffix(".ldac"))


def daophot_mag(f: Frame) -> np.ndarray:
    """Return magnitudes of counts of the whole exposure, 25 for one count."""
    return 25 - 2.5 * np.log10(f.flux / GAIN)


def als(f: Frame, path: Path) -> None:
    lines = [
        " NL    NX    NY  LOWBAD HIGHBAD  THRESH     AP1  PH/ADU  RNOISE    FRAD",
        f"  1 {SIDE:5d} {SIDE:5d}    -5.0 60000.0   10.00    4.00 {GAIN:7.2f}    5.00    5.00",
        "",
    ]
    rows = zip(f.x + 1, f.y + 1, daophot_mag(f), f.mag_err)
    lines += [
        f"{k:7d} {x:8.3f} {y:8.3f} {m:8.4f} {e:8.4f} {12.5:8.3f} {4.0:8.0f} {1.0:8.3f} {0.0:8.3f}"
        for k, (x, y, m, e) in enumerate(rows, 1)
    ]
    lines.append(
        f"{len(f.x) + 1:7d} {100:8.3f} {100:8.3f}  99.9999   9.9999   12.500        4    1.000    0.000"
    )
    path.with_suffix(".als").write_text("\n".join(lines) + "\n")


def ap(f: Frame, path: Path) -> None:
    lines = [
        " NL    NX    NY  LOWBAD HIGHBAD  THRESH     AP1  PH/ADU  RNOISE",
        f"  2 {SIDE:5d} {SIDE:5d}    -5.0 60000.0   10.00    4.00 {GAIN:7.2f}    5.00",
        "",
    ]
    for k, (x, y, m, e) in enumerate(zip(f.x + 1, f.y + 1, daophot_mag(f), f.mag_err), 1):
        lines += [
            "",
            f"{k:7d} {x:8.3f} {y:8.3f} {m:8.4f} {m - 0.1:8.4f}",
            f"  12.500  1.00  0.10 {e:8.4f} {e:8.4f}",
        ]
    path.with_suffix(".ap").write_text("\n".join(lines) + "\n")


def iraf(f: Frame, path: Path) -> None:
    groups = (
        ("IMAGE:23s XINIT:10.3f YINIT:10.3f ID:6d COORDS:23s LID:6d", "imagename pixels pixels ## filename ##"),
        ("XCENTER:14.3f YCENTER:11.3f XSHIFT:8.3f YSHIFT:8.3f XERR:8.3f YERR:15.3f CIER:5d CERROR:9s",
         "pixels pixels pixels pixels pixels pixels ## cerrors"),
        ("MSKY:18.7g STDEV:15.7g SSKEW:15.7g NSKY:7d NSREJ:9d SIER:5d SERROR:9s",
         "counts counts counts npix npix ## serrors"),
        ("ITIME:18.7g XAIRMASS:15.7g IFILTER:23s OTIME:23s", "timeunit number name timeunit"),
        ("RAPERT:12.2f SUM:14.7g AREA:11.7g FLUX:14.7g MAG:8.4f MERR:7.4f PIER:5d PERROR:9s",
         "scale counts pixels counts mag mag ## perrors"),
    )  # fmt: skip
    lines = [
        "#K IRAF       = NOAO/IRAFV2.16          version    %-23s",
        "#K ZMAG       = 25.  zeropoint  %-23.7g",
    ]
    lines.append(f"#K EPADU      = {GAIN}                     epadu      %-23.7g")
    for cells, units in groups:
        names, formats = zip(*(cell.split(":") for cell in cells.split()))
        lines += [
            "#N " + " ".join(names) + " \\",
            f"#U {units} \\",
            "#F " + " ".join(f"%-{w}" for w in formats),
            "#",
        ]
    widths = [[int(re.match(r"\d+", c.split(":")[1])[0]) for c in cells.split()] for cells, _ in groups]

    def line(group: int, *cells: object) -> str:
        return "".join(str(cell)[:w].ljust(w) for cell, w in zip(cells, widths[group]))

    start = f"{f.mjd - EXPTIME / 2 / 86400 + 2400000.5:.6f}"
    for k, (x, y, m, e) in enumerate(zip(f.x + 1, f.y + 1, daophot_mag(f), f.mag_err), 1):
        rate = m + 2.5 * np.log10(EXPTIME)
        lines += [
            line(
                0,
                "a_name_that_fills_its_width[1]",
                f"{x:.3f}",
                f"{y:.3f}",
                k,
                "coords_of_a_long_name.coo.1",
                k,
            )
            + "\\",
            line(1, f"   {x:.3f}", f"{y:.3f}", 0.0, 0.0, 0.01, "INDEF", 0, "NoError") + "\\",
            line(2, "   12.5", 1.0, 0.1, 100, 2, 0, "NoError") + "\\",
            line(3, f"   {EXPTIME}", f.airmass, f.band, start) + "\\",
            line(4, "   4.00", 1000.0, 50.0, 900.0, f"{rate:.4f}", f"{e:.4f}", 0, "NoError") + "*\\",
            line(4, "   8.00", 1000.0, 50.0, 900.0, f"{rate - 0.1:.4f}", f"{e:.4f}", 0, "BadPixels") + "* ",
        ]
    path.with_suffix(".mag").write_text("\n".join(lines) + "\n")


def foreign(f: Frame, path: Path) -> None:
    """A table of some program's own: counts a second, hours, pixels from 1, a Julian date at the barycentre."""
    t = Table({"Xpos": f.x + 1, "Ypos": f.y + 1, "RAJ": f.ra / 15, "DEJ": f.dec})
    t["rate"], t["srate"] = f.flux / GAIN / EXPTIME, f.flux_err / GAIN / EXPTIME
    t["q"] = 0
    path = path.with_name(f"{f.telescope}_{f.band}_{EXPTIME:.0f}s_{path.name}").with_suffix(".tsv")
    text = "\n".join(t.pformat(max_lines=-1, max_width=-1, show_unit=False)[2:])
    rows = "\n".join(";".join(line.split()) for line in text.splitlines())
    path.write_text(
        f"# JD_START: {f.mjd - EXPTIME / 2 / 86400 + 2400000.5:.7f}\n{';'.join(t.colnames)}\n{rows}\n"
    )


FOREIGN_MAP = r"""
[list]
match = "*.tsv"
filename = '^(?P<telescope>[a-z]+)_(?P<band>\w+?)_(?P<exptime>[\d.]+)s_'

[columns]
x = "Xpos"
y = "Ypos"
ra = "RAJ"
dec = "DEJ"
flux = "rate"
flux_err = "srate"
flags = "q"

[units]
flux = "adu/s"
angle = "hour"
first_pixel = 1

[frame]
time = { header = "JD_START" }
gain = 1.5
nx = 801
ny = 801
"""

DAOPHOT_MAP = r"""
[list]
match = ["*.als", "*.ap"]
filename = '^(?P<telescope>[a-z]+)_(?P<band>\w+?)_(?P<mjd>[\d.]+)\.'

[frame]
exptime = 60
"""

IRAF_MAP = r"""
[list]
match = "*.mag"
filename = '^(?P<telescope>[a-z]+)_(?P<band>\w+?)_'

[frame]
nx = 801
ny = 801
"""

WRITERS: dict[str, tuple[Callable[[Frame, Path], None], str]] = {
    "csv": (csv, ""),
    "csv_mag": (csv_mag, ""),
    "csv_sky_only": (csv_sky_only, ""),
    "csv_pixels_only": (csv_pixels_only, ""),
    "ecsv": (ecsv, ""),
    "fits": (fits_table, ""),
    "sextractor": (sextractor, ""),
    "ldac": (ldac, ""),
    "als": (als, DAOPHOT_MAP),
    "ap": (ap, DAOPHOT_MAP),
    "iraf": (iraf, IRAF_MAP),
    "foreign": (foreign, FOREIGN_MAP),
}


def write_lists(frames: list[Frame], folder: Path, kind: str) -> list[str]:
    """Write every frame in one format; return the column maps to give to ingest."""
    write, text = WRITERS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    for f in frames:
        write(f, folder / (f"{f.telescope}_{f.band}_{f.mjd:.6f}.x" if text else f"frame{f.number:03d}.x"))
    if not text:
        return []
    path = folder.parent / f"{kind}.toml"
    path.write_text(text)
    return [str(path)]
