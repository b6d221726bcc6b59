"""Every table of the archive, with a comment and a unit on every column.

The migrations are frozen text of their own; a test holds the two together. Bulk tables (`detection`,
`astrometric_match`, `forced`, `light_curve_point`) are partitioned, carry no NULL (NaN and -1 stand for "none") and no
foreign key, which would cost a look-up a row; `photodb verify` checks what the keys would have.
Tables of sources and their measurements carry the HEALPix cell of order 5 (`cell`) and lead their keys with it,
so that they can be spread over machines by sky position.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, REAL
from sqlalchemy.schema import Sequence

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

CELL_ORDER = 5
"""HEALPix order of the `cell` that leads the keys of sources and their measurements."""

SERIAL_BITS = 38
"""A `source_id` is `cell << SERIAL_BITS | serial`: below 2**53, so exact in every language's double."""

FRAMES_PER_PARTITION = 10_000
"""Frames in one partition of the bulk tables: 50 million rows at 5,000 detections a frame."""


def _col(name: str, kind: Any, unit: str, comment: str, *rest: Any, **options: Any) -> Column:
    """Build a column whose comment starts with its unit in brackets ('-' for a pure number or text)."""
    return Column(name, kind, *rest, comment=f"[{unit}] {comment}", **options)


def _key(name: str, comment: str) -> Column:
    return _col(name, BigInteger, "-", comment, primary_key=True, autoincrement=True)


def _run() -> Column:
    return _col("run_id", BigInteger, "-", "run that wrote the row", ForeignKey("run.run_id"), index=True)


def _real(name: str, unit: str, comment: str, **options: Any) -> Column:
    return _col(name, REAL, unit, comment, **options)


def _double(name: str, unit: str, comment: str, **options: Any) -> Column:
    return _col(name, DOUBLE_PRECISION, unit, comment, **options)


def _text(name: str, comment: str, *rest: Any, **options: Any) -> Column:
    return _col(name, Text, "-", comment, *rest, **options)


def _ids(name: str, comment: str) -> Column:
    return _col(name, ARRAY(BigInteger), "-", comment, nullable=False, server_default="{}")


def _now(name: str, comment: str) -> Column:
    return _col(name, DateTime(timezone=True), "time", comment, nullable=False, server_default=func.now())


run = Table(
    "run",
    metadata,
    _key("run_id", "key"),
    _text("command", "name of the command, for example 'ingest'", nullable=False),
    _col("arguments", JSONB, "-", "arguments as given", nullable=False, server_default="{}"),
    _col("settings", JSONB, "-", "every setting in force", nullable=False, server_default="{}"),
    _text("code_version", "version of photodb", nullable=False),
    _text("host", "machine that ran it"),
    _col("pid", Integer, "-", "process that ran it"),
    _now("started_at", "start"),
    _col("finished_at", DateTime(timezone=True), "time", "end; NULL while it runs or if it was killed"),
    _text("outcome", "running, done, partial, failed, interrupted or undone", nullable=False),
    _col("report", JSONB, "-", "counts, timings by stage and messages", nullable=False, server_default="{}"),
    CheckConstraint(
        "outcome in ('running','done','partial','failed','interrupted','undone')", name="outcome"
    ),
    comment="One command that wrote: any row names where it came from.",
)

telescope = Table(
    "telescope",
    metadata,
    _key("telescope_id", "key"),
    _text("name", "name, unique", nullable=False, unique=True),
    _double("latitude", "deg", "geodetic latitude of the site, north positive"),
    _double("longitude", "deg", "longitude of the site, east positive"),
    _double("elevation", "m", "height of the site above sea level"),
    _double("aperture_area", "m2", "collecting area, for the first guess of zero points"),
    _double("valid_from", "d", "MJD UTC from which the description holds"),
    _double("valid_to", "d", "MJD UTC until which the description holds"),
    _col(
        "assumed",
        JSONB,
        "-",
        "values taken from a header or by default, with how",
        nullable=False,
        server_default="{}",
    ),
    _run(),
    CheckConstraint("latitude between -90 and 90", name="latitude"),
    CheckConstraint("longitude between -180 and 360", name="longitude"),
    comment="A telescope and its site.",
)

camera = Table(
    "camera",
    metadata,
    _key("camera_id", "key"),
    _col(
        "telescope_id",
        BigInteger,
        "-",
        "telescope it sits on",
        ForeignKey("telescope.telescope_id"),
        nullable=False,
    ),
    _text("name", "name, unique", nullable=False, unique=True),
    _col("description", JSONB, "-", "the whole description as in its TOML file", nullable=False),
    _real("pixel_scale", "arcsec/px", "pixel scale on the sky"),
    _real("gain", "e-/ADU", "gain"),
    _real("read_noise", "e-", "read noise of a pixel"),
    _real("saturation", "ADU", "raw counts at which a pixel is saturated"),
    _real("linear_limit", "ADU", "raw counts up to which the response is linear"),
    _col(
        "psf_grid",
        SmallInteger,
        "-",
        "subimages along each axis for the PSF",
        nullable=False,
        server_default="1",
    ),
    _double("valid_from", "d", "MJD UTC from which the description holds"),
    _double("valid_to", "d", "MJD UTC until which the description holds"),
    _col(
        "assumed",
        JSONB,
        "-",
        "values estimated from header or pixels, with how",
        nullable=False,
        server_default="{}",
    ),
    _run(),
    CheckConstraint("gain > 0", name="gain"),
    CheckConstraint("pixel_scale > 0", name="pixel_scale"),
    comment="A detector on a telescope: how its headers read and how its pixels behave.",
)

band = Table(
    "band",
    metadata,
    _key("band_id", "key"),
    _text("name", "name as users write it, unique", nullable=False, unique=True),
    _text(
        "system", "magnitude system once tied: AB, Vega or unknown", nullable=False, server_default="unknown"
    ),
    _real("wavelength", "nm", "effective wavelength"),
    CheckConstraint("system in ('AB','Vega','unknown')", name="system"),
    comment="A photometric band.",
)

reference_catalogue = Table(
    "reference_catalogue",
    metadata,
    _key("reference_catalogue_id", "key"),
    _text("name", "name, unique", nullable=False, unique=True),
    _text("path", "file it was loaded from"),
    _text("data_hash", "SHA-256 of the file"),
    _real("epoch", "yr", "Julian epoch of the positions", nullable=False, server_default="2000"),
    _col(
        "priority", Integer, "-", "catalogues are tried from the highest", nullable=False, server_default="0"
    ),
    _col(
        "bands",
        ARRAY(Text),
        "-",
        "names of the magnitudes, in the order of reference_star.mag",
        nullable=False,
    ),
    _real("position_error", "arcsec", "typical error of a position"),
    _col(
        "correction",
        JSONB,
        "-",
        "systematic correction of the positions",
        nullable=False,
        server_default="{}",
    ),
    _col("n_stars", Integer, "-", "stars loaded", nullable=False),
    _run(),
    _col(
        "systems",
        ARRAY(Text),
        "-",
        "magnitude system of each of bands: AB, Vega or unknown; empty if not told",
        nullable=False,
        server_default="{}",
    ),
    _real("fastest", "mas/yr", "largest proper motion among its stars", nullable=False, server_default="0"),
    comment="An outside catalogue of positions and magnitudes.",
)

reference_star = Table(
    "reference_star",
    metadata,
    _key("reference_star_id", "key"),
    _col(
        "reference_catalogue_id",
        BigInteger,
        "-",
        "catalogue",
        ForeignKey("reference_catalogue.reference_catalogue_id", ondelete="CASCADE"),
        nullable=False,
    ),
    _text("name", "identifier in the catalogue", nullable=False),
    _col("healpix", BigInteger, "-", "HEALPix cell of order 29, nested", nullable=False),
    _double("ra", "deg", "right ascension (ICRS) at the catalogue's epoch", nullable=False),
    _double("dec", "deg", "declination (ICRS) at the catalogue's epoch", nullable=False),
    _real(
        "pm_ra",
        "mas/yr",
        "proper motion in right ascension times cos(dec); 0 if unknown",
        nullable=False,
        server_default="0",
    ),
    _real(
        "pm_dec", "mas/yr", "proper motion in declination; 0 if unknown", nullable=False, server_default="0"
    ),
    _col(
        "mag",
        ARRAY(REAL),
        "mag",
        "magnitudes in the order of reference_catalogue.bands; NaN if none",
        nullable=False,
    ),
    _col("mag_err", ARRAY(REAL), "mag", "their errors; NaN if none", nullable=False),
    Index("reference_star_healpix_idx", "healpix"),
    Index(
        "reference_star_fast_idx",
        "healpix",
        postgresql_where=text("pm_ra * pm_ra + pm_dec * pm_dec >= 10000"),
    ),
    Index("reference_star_name_idx", "name"),
    comment="One star of a reference catalogue.",
)

known_catalogue = Table(
    "known_catalogue",
    metadata,
    _key("known_catalogue_id", "key"),
    _text(
        "name",
        "name, unique; simbad and vsx hold what was asked for over the network",
        nullable=False,
        unique=True,
    ),
    _text("kind", "what its objects are, for example variables", nullable=False, server_default="variables"),
    _text("path", "file it was loaded from, or address that was asked"),
    _text("data_hash", "SHA-256 of the file; NULL for answers of the network"),
    _real("epoch", "yr", "Julian epoch of the positions", nullable=False, server_default="2000"),
    _run(),
    comment="An outside catalogue of objects with names: variables, targets.",
)

known_object = Table(
    "known_object",
    metadata,
    _key("known_object_id", "key"),
    _col(
        "known_catalogue_id",
        BigInteger,
        "-",
        "catalogue",
        ForeignKey("known_catalogue.known_catalogue_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _text("name", "name as the catalogue writes it", nullable=False),
    _col("healpix", BigInteger, "-", "HEALPix cell of order 29, nested", nullable=False, index=True),
    _double("ra", "deg", "right ascension (ICRS) at the catalogue's epoch", nullable=False),
    _double("dec", "deg", "declination (ICRS) at the catalogue's epoch", nullable=False),
    _real("pm_ra", "mas/yr", "proper motion in right ascension times cos(dec); 0 if unknown", nullable=False),
    _real("pm_dec", "mas/yr", "proper motion in declination; 0 if unknown", nullable=False),
    _real("position_error", "arcsec", "error of the position; NaN if unknown", nullable=False),
    _text("type", "type of the object as the catalogue writes it; empty if none", nullable=False),
    _double("period", "d", "period; NaN if none", nullable=False),
    _double(
        "epoch", "d", "time of maximum or minimum, JD as the catalogue writes it; NaN if none", nullable=False
    ),
    _real("mag_max", "mag", "magnitude at maximum; NaN if none", nullable=False),
    _real("mag_min", "mag", "magnitude at minimum; NaN if none", nullable=False),
    _text("mag_band", "band of these magnitudes; empty if not told", nullable=False),
    _run(),
    comment="One object of a known catalogue.",
)

known_name = Table(
    "known_name",
    metadata,
    _text("normal", "name in the form of photodb.core.names, by which it is found", nullable=False),
    _col(
        "known_object_id",
        BigInteger,
        "-",
        "object",
        ForeignKey("known_object.known_object_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _text("name", "name as it is written", nullable=False),
    PrimaryKeyConstraint("normal", "known_object_id"),
    comment="One of the names of a known object.",
)

field = Table(
    "field",
    metadata,
    _key("field_id", "key"),
    _text("name", "name", nullable=False),
    _double("ra", "deg", "centre, right ascension (ICRS)"),
    _double("dec", "deg", "centre, declination (ICRS)"),
    _double("radius", "deg", "radius of the frame that founded it"),
    _col(
        "approximate",
        Boolean,
        "-",
        "whether its place on the sky is only approximate",
        nullable=False,
        server_default="false",
    ),
    _run(),
    comment="An area of sky observed again and again; frames of one field share a reference frame a camera.",
)

master = Table(
    "master",
    metadata,
    _key("master_id", "key"),
    _col("camera_id", BigInteger, "-", "camera", ForeignKey("camera.camera_id"), nullable=False),
    _col("band_id", BigInteger, "-", "band of a flat; NULL otherwise", ForeignKey("band.band_id")),
    _text("kind", "bias, dark, flat or mask", nullable=False),
    _double("valid_from", "d", "MJD UTC from which it holds"),
    _double("valid_to", "d", "MJD UTC until which it holds"),
    _text("identity", "SHA-256 of what it is made of: kind, camera, band, sections, frames", unique=True),
    _text("data_hash", "SHA-256 of pixels and mask; NULL if rejected"),
    _col("n_frames", Integer, "-", "frames combined", nullable=False),
    _real("exptime", "s", "exposure of a dark"),
    _real("median", "ADU", "median of the pixels; of a flat 1"),
    _real("scatter", "ADU", "scatter of the pixels; of a flat in units of its median"),
    _text("status", "accepted or rejected", nullable=False, server_default="accepted"),
    _text("reason", "why it was rejected, or a remark"),
    _run(),
    _double("mjd", "d", "mean time of its frames, MJD UTC"),
    _col("nx", Integer, "px", "width"),
    _col("ny", Integer, "px", "height"),
    _real("noise", "ADU", "noise of one of its pixels; of a flat in units of its median"),
    _real("clipped", "-", "share of the frames' values left out as outliers"),
    _col("n_bad", Integer, "-", "pixels masked"),
    _text("fit", "sections and offset that the camera's description told; frames under others do not fit"),
    _col(
        "with_bias",
        Boolean,
        "-",
        "a dark from which no bias was taken",
        nullable=False,
        server_default="false",
    ),
    _col("bias_id", BigInteger, "-", "bias taken off its frames", ForeignKey("master.master_id"), index=True),
    _col("dark_id", BigInteger, "-", "dark taken off its frames", ForeignKey("master.master_id"), index=True),
    _col(
        "left_out",
        JSONB,
        "-",
        "why frames of its group took no part, by frame_id",
        nullable=False,
        server_default="{}",
    ),
    CheckConstraint("kind in ('bias','dark','flat','mask')", name="kind"),
    CheckConstraint("status in ('accepted','rejected')", name="status"),
    comment="A bias, dark, flat or bad-pixel mask made from frames.",
)

master_piece = Table(
    "master_piece",
    metadata,
    _col(
        "master_id",
        BigInteger,
        "-",
        "master",
        ForeignKey("master.master_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col("piece", Integer, "-", "which piece, from 0", primary_key=True, autoincrement=False),
    _col("content", LargeBinary, "-", "bytes of the master's FITS file", nullable=False),
    comment="The pixels of a master: a FITS file (extensions MASTER and BPM) cut into pieces.",
)

frame = Table(
    "frame",
    metadata,
    _key("frame_id", "key"),
    _text("path", "file it was read from", nullable=False),
    _col("hdu", SmallInteger, "-", "extension of the image", nullable=False, server_default="0"),
    _text(
        "data_hash",
        "SHA-256 of pixels and time (of the file where it cannot be read); one frame, one hash",
        nullable=False,
        unique=True,
    ),
    _text("file_hash", "SHA-256 of the file", nullable=False, server_default=""),
    _text("kind", "science, bias, dark, flat or unknown", nullable=False, server_default="science"),
    _text("status", "accepted or rejected", nullable=False),
    _text(
        "reason", "why it was rejected, or a remark; empty if all is well", nullable=False, server_default=""
    ),
    _text("reason_code", "short machine-readable reason", nullable=False, server_default=""),
    _col("camera_id", BigInteger, "-", "camera", ForeignKey("camera.camera_id")),
    _col("band_id", BigInteger, "-", "band", ForeignKey("band.band_id")),
    _col("field_id", BigInteger, "-", "field", ForeignKey("field.field_id")),
    _text("object", "target named by the header", nullable=False, server_default=""),
    _double("mjd", "d", "middle of the exposure, MJD UTC"),
    _double("mjd_start", "d", "start of the exposure, MJD UTC"),
    _double("exptime", "s", "length of the exposure"),
    _double("mjd_tdb", "d", "middle of the exposure, MJD TDB"),
    _double(
        "earth_x", "lt-s", "barycentric position of the observatory at the middle, ICRS x, light-seconds"
    ),
    _double("earth_y", "lt-s", "the same, y"),
    _double("earth_z", "lt-s", "the same, z"),
    _col("night", Integer, "d", "MJD of the local noon that began the night"),
    _real("airmass", "-", "airmass of the centre"),
    _real("sun_altitude", "deg", "altitude of the sun"),
    _col("nx", Integer, "px", "width of the data section"),
    _col("ny", Integer, "px", "height of the data section"),
    _double("ra", "deg", "right ascension of the centre (ICRS)"),
    _double("dec", "deg", "declination of the centre (ICRS)"),
    _double("radius", "deg", "distance from centre to the farthest corner"),
    _col(
        "healpix",
        BigInteger,
        "-",
        "HEALPix cell of the centre, order 29, nested; -1 if unknown",
        nullable=False,
        server_default="-1",
    ),
    _col("footprint", ARRAY(DOUBLE_PRECISION), "deg", "ra, dec of the four corners, eight numbers"),
    _col("wcs", JSONB, "-", "tangent-plane solution: crpix, crval, cd, and higher terms"),
    _text(
        "astrometry", "catalogue, frames, header, approximate or none", nullable=False, server_default="none"
    ),
    _real("astrom_rms", "arcsec", "rms residual of the astrometric fit"),
    _col("astrom_n", Integer, "-", "stars of the astrometric fit"),
    _col(
        "reference_catalogue_id",
        BigInteger,
        "-",
        "catalogue of the astrometric fit",
        ForeignKey("reference_catalogue.reference_catalogue_id"),
    ),
    _real("pixel_scale", "arcsec/px", "measured pixel scale"),
    _real("rotation", "deg", "position angle of the y axis, east of north"),
    _col(
        "reference_frame_id",
        BigInteger,
        "-",
        "frame against which shift and rotation are measured",
        ForeignKey("frame.frame_id"),
    ),
    _real(
        "shift_x", "px", "where the centre of the reference frame falls here, minus this frame's centre, x"
    ),
    _real("shift_y", "px", "the same, y"),
    _real("shift_rotation", "deg", "rotation against the reference frame"),
    _real("shift_scale", "-", "scale against the reference frame; negative if mirrored"),
    _real("shift_rms", "px", "rms residual of the registration"),
    _col("shift_n", Integer, "-", "stars of the registration"),
    _real("background", "ADU", "median of the background"),
    _real("background_rms", "ADU", "noise of the background, a pixel"),
    _real("data_min", "ADU", "low end of the dynamic range (0.1 percentile)"),
    _real("data_max", "ADU", "high end of the dynamic range"),
    _real("dynamic_range", "ADU", "data_max - data_min"),
    _real("nonuniformity", "ADU", "spread of the medians over nine areas of the frame"),
    _real("fwhm", "px", "median full width at half maximum of stars"),
    _real("ellipticity", "-", "1 - b/a, median of stars"),
    _real("limiting_mag", "mag", "instrumental magnitude of a star at 5 sigma"),
    _col("n_detections", Integer, "-", "detections stored", nullable=False, server_default="0"),
    _col("n_saturated", Integer, "-", "saturated stars set aside", nullable=False, server_default="0"),
    _real("gain", "e-/ADU", "gain used"),
    _real("read_noise", "e-", "read noise used"),
    _col("aperture_radii", ARRAY(REAL), "px", "radii of detection.flux_aperture"),
    _col("aperture_best", SmallInteger, "-", "which of the radii is detection.flux; 0 is the first"),
    _col("psf", JSONB, "-", "PSF model, its order, chi2 and stars"),
    _col("assumed", JSONB, "-", "values taken by default, with how", nullable=False, server_default="{}"),
    _now("ingested_at", "when the row was written"),
    _run(),
    _text(
        "source_format",
        "pixels, or the format or column map of the star list that it was read from",
        nullable=False,
        server_default="pixels",
    ),
    _text(
        "channel",
        "R, G or B of a colour camera, each a frame of its own; empty for others",
        nullable=False,
        server_default="",
    ),
    _col("n_forced", Integer, "-", "forced measurements stored; NULL until the frame was measured so"),
    _real("header_airmass", "-", "airmass as the header tells it; NULL if it does not"),
    _col(
        "doubts",
        Integer,
        "-",
        "bits of photodb.core.doubts: what looks wrong with its time or pointing; 0 if nothing",
        nullable=False,
        server_default="0",
    ),
    _col(
        "aperture_corrections",
        JSONB,
        "mag",
        "what brings each kind of photometry to the scale of the main aperture, with its error and stars",
    ),
    _col(
        "shift_map",
        ARRAY(DOUBLE_PRECISION),
        "px",
        "map from the reference frame: a, b, c, d, e, f of x = a X + b Y + e, y = c X + d Y + f",
    ),
    _col(
        "via_frame_id",
        BigInteger,
        "-",
        "frame whose stars it was matched with; NULL if those of the reference frame",
        ForeignKey("frame.frame_id"),
    ),
    _double("header_ra", "deg", "right ascension that the header tells; NULL if it does not"),
    _double("header_dec", "deg", "declination that the header tells; NULL if it does not"),
    CheckConstraint("status in ('accepted','rejected')", name="status"),
    CheckConstraint("kind in ('science','bias','dark','flat','unknown')", name="kind"),
    CheckConstraint("astrometry in ('catalogue','frames','header','approximate','none')", name="astrometry"),
    CheckConstraint("status = 'accepted' or reason <> ''", name="reason"),
    CheckConstraint(
        "kind <> 'science' or status = 'rejected' "
        "or (mjd is not null and camera_id is not null and band_id is not null)",
        name="complete",
    ),
    CheckConstraint("exptime >= 0", name="exptime"),
    Index("frame_mjd_idx", "mjd"),
    Index("frame_healpix_idx", "healpix"),
    Index("frame_radius_idx", "radius"),
    Index("frame_field_id_idx", "field_id"),
    comment="One image of one detector: accepted, or rejected with its reason.",
)

field_reference = Table(
    "field_reference",
    metadata,
    _col(
        "field_id",
        BigInteger,
        "-",
        "field",
        ForeignKey("field.field_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col("camera_id", BigInteger, "-", "camera", ForeignKey("camera.camera_id"), primary_key=True),
    _col("frame_id", BigInteger, "-", "reference frame", ForeignKey("frame.frame_id"), nullable=False),
    comment="The reference frame of a field for a camera.",
)

frame_place = Table(
    "frame_place",
    metadata,
    _key("frame_place_id", "key"),
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _run(),
    _now("placed_at", "when the new place took over"),
    _col("former", JSONB, "-", "columns of the frame that its place made, as they were", nullable=False),
    _col("field", JSONB, "-", "place of its field, as it was; NULL without a field"),
    _col(
        "source_id",
        ARRAY(BigInteger),
        "-",
        "source of each of its detections, brightest first, as it was; -1 if none",
        nullable=False,
    ),
    _col("flags", ARRAY(Integer), "-", "flags of its detections, as they were", nullable=False),
    _col("matches", JSONB, "-", "its rows of astrometric_match, as they were", nullable=False),
    _col(
        "renewed",
        Boolean,
        "-",
        "whether the means of the sources that it left were made anew",
        nullable=False,
        server_default="false",
    ),
    comment="The place that a frame had before a run placed it anew, so that this can be undone.",
)

master_frame = Table(
    "master_frame",
    metadata,
    _col(
        "master_id",
        BigInteger,
        "-",
        "master",
        ForeignKey("master.master_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col(
        "frame_id", BigInteger, "-", "frame combined into it", ForeignKey("frame.frame_id"), primary_key=True
    ),
    comment="Which frames made a master.",
)

frame_master = Table(
    "frame_master",
    metadata,
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col(
        "master_id", BigInteger, "-", "master applied to it", ForeignKey("master.master_id"), primary_key=True
    ),
    comment="Which masters were applied to a frame.",
)

frame_judgement = Table(
    "frame_judgement",
    metadata,
    _key("frame_judgement_id", "key"),
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _text("status", "status given", nullable=False),
    _text("reason", "reason given", nullable=False),
    _text("reason_code", "short reason given", nullable=False, server_default=""),
    _now("judged_at", "when"),
    _run(),
    _text("remark", "reason (a remark) that the frame had before", nullable=False, server_default=""),
    _col(
        "withdrawn_run_id",
        BigInteger,
        "-",
        "run that took this rejection back; NULL while it stands",
        ForeignKey("run.run_id"),
        index=True,
    ),
    CheckConstraint("status in ('accepted','rejected')", name="status"),
    comment="Every judgement of a frame after ingest; a frame is rejected while one of its rejections stands.",
)

frame_quality = Table(
    "frame_quality",
    metadata,
    _key("frame_quality_id", "key; the newest of a frame counts"),
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _col("box", ARRAY(Integer), "px", "x0, y0, x1, y1 of the part of the dynamic range; NULL for the frame"),
    _col(
        "masks",
        ARRAY(Integer),
        "px",
        "x0, y0, x1, y1 of each part left out, one after the other",
        nullable=False,
        server_default="{}",
    ),
    _real("data_min", "ADU", "low end of the dynamic range (0.1 percentile)", nullable=False),
    _real("data_max", "ADU", "high end of the dynamic range", nullable=False),
    _real("dynamic_range", "ADU", "data_max - data_min", nullable=False),
    _real(
        "nonuniformity", "ADU", "spread of the medians over nine areas, masked parts left out", nullable=False
    ),
    _now("measured_at", "when"),
    _run(),
    comment="Dynamic range and uniformity of a frame measured again after ingest, over other parts of it.",
)

source_serial = Sequence("source_serial", metadata=metadata, data_type=BigInteger)

source = Table(
    "source",
    metadata,
    _col("cell", Integer, "-", "HEALPix cell of order 5 in which it was first seen", nullable=False),
    _col("source_id", BigInteger, "-", "key: cell << 38 | serial", nullable=False),
    _col(
        "healpix",
        BigInteger,
        "-",
        "HEALPix cell of order 29, nested, within 1 arcsec of the mean position",
        nullable=False,
    ),
    _double("ra", "deg", "mean right ascension (ICRS) at mjd_mean", nullable=False),
    _double("dec", "deg", "mean declination (ICRS) at mjd_mean", nullable=False),
    _real(
        "ra_scatter",
        "arcsec",
        "rms of the right ascensions times cos(dec)",
        nullable=False,
        server_default="0",
    ),
    _real("dec_scatter", "arcsec", "rms of the declinations", nullable=False, server_default="0"),
    _col("n_detections", Integer, "-", "detections associated", nullable=False),
    _double("first_mjd", "d", "first detection, MJD UTC", nullable=False),
    _double("last_mjd", "d", "last detection, MJD UTC", nullable=False),
    _col(
        "field_id",
        BigInteger,
        "-",
        "field whose frames founded it; -1 if none",
        nullable=False,
        server_default="-1",
    ),
    _col(
        "approximate",
        Boolean,
        "-",
        "whether its position is only approximate",
        nullable=False,
        server_default="false",
    ),
    _col("flags", Integer, "-", "bits: 4 blend (photodb.core.flags)", nullable=False, server_default="0"),
    _col(
        "merged_into",
        BigInteger,
        "-",
        "source that took it over; -1 if none",
        nullable=False,
        server_default="-1",
    ),
    _run(),
    _real(
        "position_err", "arcsec", "error of the mean position, an axis", nullable=False, server_default="NaN"
    ),
    _double("weight", "arcsec-2", "sum of the weights of the positions", nullable=False, server_default="1"),
    _double("mjd_mean", "d", "weighted mean of the times, MJD UTC", nullable=False, server_default="0"),
    _double(
        "t_moment", "d2/arcsec2", "weighted sum of squares of the times", nullable=False, server_default="0"
    ),
    _double(
        "ra_t_moment", "d/arcsec", "the same of time and right ascension", nullable=False, server_default="0"
    ),
    _double(
        "dec_t_moment", "d/arcsec", "the same of time and declination", nullable=False, server_default="0"
    ),
    _real(
        "pm_ra", "mas/yr", "proper motion times cos(dec); 0 if not known", nullable=False, server_default="0"
    ),
    _real("pm_dec", "mas/yr", "the same in declination", nullable=False, server_default="0"),
    _real(
        "pm_err",
        "mas/yr",
        "error of the fitted one, an axis, known or not; NaN if not to be told, -1 of a catalogue's",
        nullable=False,
        server_default="NaN",
    ),
    _real(
        "reach",
        "arcsec",
        "how far from it the sharpest frame that saw it could tell no other star",
        nullable=False,
        server_default="2",
    ),
    _real(
        "mag",
        "mag",
        "mean instrumental magnitude on the sharpest frames: tells neighbours apart; NaN if none",
        nullable=False,
        server_default="NaN",
    ),
    PrimaryKeyConstraint("cell", "source_id"),
    CheckConstraint("ra >= 0 and ra < 360", name="ra"),
    CheckConstraint("dec between -90 and 90", name="dec"),
    CheckConstraint("source_id >> 38 = cell", name="cell"),
    Index("source_healpix_idx", "healpix"),
    Index("source_source_id_idx", "source_id"),
    Index("source_merged_into_idx", "merged_into", postgresql_where=text("merged_into >= 0")),
    postgresql_with={"fillfactor": 50},
    comment="One object on the sky.",
)

source_history = Table(
    "source_history",
    metadata,
    _key("source_history_id", "key"),
    _col("source_id", BigInteger, "-", "source", nullable=False, index=True),
    _col(
        "other_source_id",
        BigInteger,
        "-",
        "the other source: that took it over, or that it was split off",
        nullable=False,
        index=True,
    ),
    _text("kind", "merged, split or moved", nullable=False),
    _text("note", "why", nullable=False, server_default=""),
    _now("happened_at", "when"),
    _run(),
    _ids("detections", "detections that went from one source to the other"),
    _ids("moved_frames", "frames whose forced measurement went with them"),
    _ids("swapped_frames", "frames on which the two sources exchanged their forced measurements"),
    _col("before", JSONB, "-", "the rows of source before", nullable=False, server_default="[]"),
    CheckConstraint("kind in ('merged','split','moved')", name="kind"),
    comment="Merges and splits of sources.",
)

detection = Table(
    "detection",
    metadata,
    _col("cell", Integer, "-", "HEALPix cell of order 5 of its source; -1 if none", nullable=False),
    _col("frame_id", BigInteger, "-", "frame", nullable=False),
    _col(
        "detection_id",
        BigInteger,
        "-",
        "key: frame_id << 20 | number on the frame, brightest 0",
        nullable=False,
    ),
    _col("source_id", BigInteger, "-", "source; -1 if none", nullable=False),
    _real("x", "px", "column, 0 at the centre of the first pixel", nullable=False),
    _real("y", "px", "row, 0 at the centre of the first pixel", nullable=False),
    _double("ra", "deg", "right ascension (ICRS); NaN if unknown", nullable=False),
    _double("dec", "deg", "declination (ICRS); NaN if unknown", nullable=False),
    _real("x_err", "px", "error of x", nullable=False),
    _real("y_err", "px", "error of y", nullable=False),
    _real("flux", "e-", "flux in the frame's best aperture", nullable=False),
    _real("flux_err", "e-", "its error", nullable=False),
    _real("mag", "mag", "-2.5 log10(flux / exptime); NaN if not positive", nullable=False),
    _real("mag_err", "mag", "its error; NaN if the flux is not positive", nullable=False),
    _col("flux_aperture", ARRAY(REAL), "e-", "flux in each aperture of frame.aperture_radii", nullable=False),
    _col("flux_aperture_err", ARRAY(REAL), "e-", "their errors", nullable=False),
    _real("flux_psf", "e-", "flux by PSF fit; NaN if not done", nullable=False),
    _real("flux_psf_err", "e-", "its error", nullable=False),
    _real("psf_chi2", "-", "chi2 per degree of freedom of the PSF fit; NaN if not done", nullable=False),
    _real("sky", "e-/px", "local sky", nullable=False),
    _real("sky_err", "e-/px", "noise of the local sky, a pixel", nullable=False),
    _real("peak", "ADU", "highest raw pixel of the core", nullable=False),
    _real("fwhm", "px", "full width at half maximum", nullable=False),
    _real("ellipticity", "-", "1 - b/a", nullable=False),
    _real("theta", "deg", "position angle of the major axis from the x axis", nullable=False),
    _real("sharpness", "-", "peak over neighbours, against the frame's median", nullable=False),
    _col("class", SmallInteger, "-", "0 unknown, 1 star, 2 extended, 3 cosmic ray", nullable=False),
    _col("flags", Integer, "-", "bits of photodb.core.flags", nullable=False),
    _real(
        "psf_size",
        "-",
        "ln of the size against that of the PSF: 0 for a star; NaN if not fitted",
        nullable=False,
        server_default="NaN",
    ),
    _real("psf_size_err", "-", "its error", nullable=False, server_default="NaN"),
    PrimaryKeyConstraint("frame_id", "cell", "detection_id"),
    Index("detection_source_id_idx", "source_id"),
    postgresql_partition_by="RANGE (frame_id)",
    comment="One source measured on one frame; never updated.",
)

astrometric_match = Table(
    "astrometric_match",
    metadata,
    _col(
        "cell", Integer, "-", "HEALPix cell of order 5 of the detection's source; -1 if none", nullable=False
    ),
    _col("frame_id", BigInteger, "-", "frame", nullable=False),
    _col("detection_id", BigInteger, "-", "detection", nullable=False),
    _col(
        "reference_star_id",
        BigInteger,
        "-",
        "reference star; -1 if matched with a frame or the built-in list",
        nullable=False,
    ),
    _col(
        "reference_detection_id",
        BigInteger,
        "-",
        "detection of the reference frame; -1 if matched with a catalogue",
        nullable=False,
    ),
    _col(
        "gaia_source_id",
        BigInteger,
        "-",
        "Gaia source of the built-in bright list; -1 otherwise",
        nullable=False,
    ),
    _real("dx", "px", "measured minus expected, x", nullable=False),
    _real("dy", "px", "measured minus expected, y", nullable=False),
    _real(
        "dra",
        "arcsec",
        "measured minus expected right ascension times cos(dec); NaN without a sky position",
        nullable=False,
    ),
    _real(
        "ddec", "arcsec", "measured minus expected declination; NaN without a sky position", nullable=False
    ),
    _col("used", Boolean, "-", "whether it took part in the last fit, or was clipped", nullable=False),
    PrimaryKeyConstraint("frame_id", "cell", "detection_id"),
    postgresql_partition_by="RANGE (frame_id)",
    comment="One detection matched with a reference star, or with a star of the field's reference frame, "
    "in a frame's astrometric fit.",
)

forced = Table(
    "forced",
    metadata,
    _col("cell", Integer, "-", "HEALPix cell of order 5 of its source", nullable=False),
    _col("frame_id", BigInteger, "-", "frame", nullable=False),
    _col("source_id", BigInteger, "-", "source", nullable=False),
    _col("detection_id", BigInteger, "-", "the frame's detection of the source; -1 if none", nullable=False),
    _real("x", "px", "column where it was measured, 0 at the centre of the first pixel", nullable=False),
    _real("y", "px", "row where it was measured", nullable=False),
    _real("flux_psf", "e-", "flux by PSF fit, negative ones kept; NaN without a PSF", nullable=False),
    _real("flux_psf_err", "e-", "its error", nullable=False),
    _real("psf_chi2", "-", "chi2 per degree of freedom of the PSF fit; NaN without a PSF", nullable=False),
    _col(
        "flux_aperture",
        ARRAY(REAL),
        "e-",
        "flux in each aperture of frame.aperture_radii, negative ones kept",
        nullable=False,
    ),
    _col("flux_aperture_err", ARRAY(REAL), "e-", "their errors", nullable=False),
    _real("sky", "e-/px", "local sky", nullable=False),
    _real("sky_err", "e-/px", "noise of the local sky, a pixel", nullable=False),
    _col("flags", Integer, "-", "bits of photodb.core.flags", nullable=False),
    _col("run_id", BigInteger, "-", "run that wrote the row", nullable=False),
    PrimaryKeyConstraint("frame_id", "cell", "source_id"),
    Index("forced_source_id_idx", "source_id"),
    Index("forced_run_id_idx", "run_id", postgresql_using="brin"),
    postgresql_partition_by="RANGE (frame_id)",
    comment="One source measured at its known place on one frame that covers it, detected there or not.",
)

solution = Table(
    "solution",
    metadata,
    _key("solution_id", "key and version"),
    _col("settings", JSONB, "-", "selection, order, robust constants, priors", nullable=False),
    _col("poly_order", SmallInteger, "-", "order of the spatial polynomial of a frame", nullable=False),
    _col("n_frames", Integer, "-", "frames with a zero point", nullable=False),
    _col("n_sources", Integer, "-", "sources with a magnitude", nullable=False),
    _col("n_measurements", BigInteger, "-", "measurements that took part in the fit", nullable=False),
    _double("chi2", "-", "chi2 of the fit", nullable=False),
    _double("chi2_dof", "-", "chi2 per degree of freedom", nullable=False),
    _col("components", JSONB, "-", "connected components: band, frames, sources, telescopes", nullable=False),
    _col("error_floor", JSONB, "mag", "fitted error floor by camera", nullable=False),
    _real("bright_scatter", "mag", "median scatter of bright constant stars"),
    _text("state", "draft, published or retired", nullable=False),
    _now("created_at", "when it was made"),
    _col("published_at", DateTime(timezone=True), "time", "when it was published"),
    _run(),
    CheckConstraint("state in ('draft','published','retired')", name="state"),
    CheckConstraint("poly_order between 0 and 3", name="poly_order"),
    comment="One global photometric solution.",
)

archive = Table(
    "archive",
    metadata,
    _col("one", Boolean, "-", "always true: the table has one row", primary_key=True, server_default="true"),
    _text("archive_uuid", "name of the archive", nullable=False),
    _col("cell_order", SmallInteger, "-", "HEALPix order of `cell`, frozen", nullable=False),
    _col(
        "frames_per_partition",
        Integer,
        "-",
        "frames in a partition of the bulk tables, frozen",
        nullable=False,
    ),
    _text("code_version", "version of photodb that made it", nullable=False),
    _now("created_at", "when it was made"),
    _col(
        "published_solution_id",
        BigInteger,
        "-",
        "the published solution; the view `calibrated` shows it",
        ForeignKey("solution.solution_id"),
    ),
    CheckConstraint("one", name="one"),
    comment="The archive itself: one row.",
)

frame_term = Table(
    "frame_term",
    metadata,
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _double(
        "zero_point",
        "mag",
        "calibrated minus instrumental magnitude at the centre of the scaled coordinates; NaN if rejected",
        nullable=False,
    ),
    _double("zero_point_err", "mag", "its posterior error, gauge removed", nullable=False),
    _col(
        "coefficients",
        ARRAY(DOUBLE_PRECISION),
        "mag",
        "coefficients of the Legendre terms after the constant, on coordinates scaled to [-1, 1]",
        nullable=False,
    ),
    _col(
        "covariance",
        ARRAY(DOUBLE_PRECISION),
        "mag2",
        "covariance of zero point and coefficients, row by row",
        nullable=False,
    ),
    _col("component", Integer, "-", "connected component", nullable=False),
    _double("chi2_dof", "-", "chi2 per measurement used", nullable=False),
    _col("n_stars", Integer, "-", "stars used", nullable=False),
    _real("scatter", "mag", "robust scatter of the residuals of bright stars", nullable=False),
    _real("gray_loss", "mag", "light lost against the camera's clearest frames", nullable=False),
    _col("photometric", Boolean, "-", "whether the frame looks photometric", nullable=False),
    _text("status", "used or rejected", nullable=False),
    _text("reason", "why rejected, or a remark", nullable=False, server_default=""),
    CheckConstraint("status in ('used','rejected')", name="status"),
    Index("frame_term_frame_id_idx", "frame_id"),
    comment="One frame in one solution.",
)

source_mag = Table(
    "source_mag",
    metadata,
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        nullable=False,
    ),
    _col("cell", Integer, "-", "HEALPix cell of order 5", nullable=False),
    _col("source_id", BigInteger, "-", "source", nullable=False),
    _col("band_id", BigInteger, "-", "band", ForeignKey("band.band_id"), nullable=False),
    _double("mag", "mag", "mean calibrated magnitude (relative system of its component)", nullable=False),
    _double("mag_err", "mag", "its error", nullable=False),
    _col("n_obs", Integer, "-", "points", nullable=False),
    _col("n_used", Integer, "-", "points used in the fit", nullable=False),
    _double("chi2_dof", "-", "chi2 per degree of freedom", nullable=False),
    _col("component", Integer, "-", "connected component", nullable=False),
    _double("standard_mag", "mag", "magnitude tied to the standard system; NaN if not tied", nullable=False),
    _double("standard_mag_err", "mag", "its error; NaN if not tied", nullable=False),
    _col("tie_id", BigInteger, "-", "tie used; -1 if none", nullable=False),
    _text("reason", "why left out of the fit; empty if it took part", nullable=False, server_default=""),
    PrimaryKeyConstraint("solution_id", "cell", "source_id", "band_id"),
    ForeignKeyConstraint(["cell", "source_id"], ["source.cell", "source.source_id"]),
    Index("source_mag_source_id_idx", "source_id"),
    comment="One source in one band and one solution.",
)

KIND = "-1 PSF, K the aperture K of frame.aperture_radii (0 is the first), -2 the magnitude of its detection"
"""How a kind of photometry is written as a number."""

frame_photometry = Table(
    "frame_photometry",
    metadata,
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col(
        "frame_id",
        BigInteger,
        "-",
        "frame",
        ForeignKey("frame.frame_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col("photometry", SmallInteger, "-", KIND, primary_key=True),
    _col(
        "coefficients",
        ARRAY(DOUBLE_PRECISION),
        "mag",
        "added to magnitudes of this kind to bring them to the scale of the main aperture: Legendre terms as in "
        "frame_term",
        nullable=False,
    ),
    _col("n_stars", Integer, "-", "stars that gave it", nullable=False),
    comment="One kind of photometry on one frame of one solution: its aperture correction over the frame.",
)

source_photometry = Table(
    "source_photometry",
    metadata,
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        nullable=False,
    ),
    _col("cell", Integer, "-", "HEALPix cell of order 5", nullable=False),
    _col("source_id", BigInteger, "-", "source", nullable=False),
    _col("band_id", BigInteger, "-", "band", ForeignKey("band.band_id"), nullable=False),
    _col("camera_id", BigInteger, "-", "camera", ForeignKey("camera.camera_id"), nullable=False),
    _col("photometry", SmallInteger, "-", f"kind that its light curve is made of: {KIND}", nullable=False),
    _col("kinds", ARRAY(SmallInteger), "-", "kinds that were compared", nullable=False),
    _col(
        "scatter",
        ARRAY(REAL),
        "mag",
        "robust scatter of the light curve in each of `kinds`; NaN with too few points",
        nullable=False,
    ),
    _col("n_obs", Integer, "-", "points compared", nullable=False),
    _text(
        "reason",
        "default, neighbours (constant stars of its magnitude) or own (its own scatter)",
        nullable=False,
    ),
    PrimaryKeyConstraint("solution_id", "cell", "source_id", "band_id", "camera_id"),
    ForeignKeyConstraint(["cell", "source_id"], ["source.cell", "source.source_id"]),
    comment="Which kind of photometry makes the light curve of a source, by band and camera, and why.",
)

light_curve_point = Table(
    "light_curve_point",
    metadata,
    _col("solution_id", BigInteger, "-", "solution", nullable=False),
    _col("cell", Integer, "-", "HEALPix cell of order 5", nullable=False),
    _col("source_id", BigInteger, "-", "source", nullable=False),
    _col("band_id", Integer, "-", "band", nullable=False),
    _col("frame_id", BigInteger, "-", "frame", nullable=False),
    _col("detection_id", BigInteger, "-", "detection; -1 if measured without one", nullable=False),
    _double("mjd", "d", "middle of the exposure, MJD UTC", nullable=False),
    _double(
        "bjd_tdb", "d", "middle of the exposure at the barycentre for this source, JD TDB", nullable=False
    ),
    _real("mag", "mag", "calibrated magnitude; NaN if the flux is not positive", nullable=False),
    _real("mag_err", "mag", "total error", nullable=False),
    _real("err_photon", "mag", "part of the photons and read noise", nullable=False),
    _real("err_calibration", "mag", "part of the frame's terms", nullable=False),
    _real("err_floor", "mag", "part of the camera's error floor", nullable=False),
    _col("flags", Integer, "-", "bits of photodb.core.flags", nullable=False),
    _real(
        "mag_limit",
        "mag",
        "calibrated magnitude of a source of three times the flux error there; NaN if unknown",
        nullable=False,
        server_default="NaN",
    ),
    _col("photometry", SmallInteger, "-", f"kind: {KIND}", nullable=False, server_default="-2"),
    PrimaryKeyConstraint("solution_id", "cell", "source_id", "frame_id", "detection_id"),
    postgresql_partition_by="LIST (solution_id)",
    comment="One measurement in one solution; a partition a solution.",
)

tie = Table(
    "tie",
    metadata,
    _key("tie_id", "key"),
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        nullable=False,
    ),
    _col("field_id", BigInteger, "-", "field", ForeignKey("field.field_id")),
    _col("band_id", BigInteger, "-", "band", ForeignKey("band.band_id"), nullable=False),
    _col(
        "camera_id", BigInteger, "-", "camera of a colour term; NULL for all", ForeignKey("camera.camera_id")
    ),
    _col("component", Integer, "-", "connected component", nullable=False),
    _col(
        "reference_catalogue_id",
        BigInteger,
        "-",
        "catalogue",
        ForeignKey("reference_catalogue.reference_catalogue_id"),
        nullable=False,
    ),
    _text("reference_band", "band of the catalogue", nullable=False),
    _text(
        "colour",
        "colour of the colour term, for example 'g-r'; empty if unmeasured",
        nullable=False,
        server_default="",
    ),
    _double("offset", "mag", "standard minus relative magnitude", nullable=False),
    _double("offset_err", "mag", "its error", nullable=False),
    _double("colour_term", "-", "magnitude a magnitude of colour; NaN if unmeasured", nullable=False),
    _double("colour_term_err", "-", "its error", nullable=False),
    _real("scatter", "mag", "intrinsic scatter", nullable=False),
    _col("n_stars", Integer, "-", "stars used", nullable=False),
    _run(),
    comment="The tie of one component to a standard system.",
)

tie_star = Table(
    "tie_star",
    metadata,
    _col("tie_id", BigInteger, "-", "tie", ForeignKey("tie.tie_id", ondelete="CASCADE"), primary_key=True),
    _col("source_id", BigInteger, "-", "source", primary_key=True),
    _col("reference_star_id", BigInteger, "-", "reference star", nullable=False),
    _real("residual", "mag", "residual", nullable=False),
    _col("used", Boolean, "-", "whether it took part in the last fit", nullable=False),
    comment="Which stars made a tie.",
)

INDEX_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("mean_mag", "mag", "unweighted mean"),
    ("median_mag", "mag", "median"),
    ("weighted_mean", "mag", "mean weighted by the errors"),
    ("sigma", "mag", "unweighted standard deviation"),
    ("weighted_sigma", "mag", "weighted standard deviation"),
    ("clipped_sigma", "mag", "standard deviation after clipping"),
    ("mad", "mag", "1.4826 times the median absolute deviation"),
    ("iqr", "mag", "interquartile range"),
    ("chi2_dof", "-", "reduced chi2 against a constant"),
    ("roms", "-", "robust median statistic"),
    ("norm_excess_variance", "-", "normalised excess variance, of fluxes"),
    ("peak_to_peak", "-", "normalised peak-to-peak amplitude, of fluxes"),
    ("lag1", "-", "lag-1 autocorrelation"),
    ("welch_stetson_i", "-", "Welch-Stetson I"),
    ("stetson_j", "-", "Stetson J"),
    ("stetson_k", "-", "Stetson K"),
    ("stetson_l", "-", "Stetson L"),
    ("excursions", "-", "excursions index"),
    ("n3", "-", "N3: runs of three outliers"),
    ("inverse_von_neumann", "-", "1/eta, inverse von Neumann ratio"),
    ("excess_abbe", "-", "excess Abbe value"),
    ("s_b", "-", "S_B"),
    ("skewness", "-", "skewness"),
    ("kurtosis", "-", "excess kurtosis"),
    ("global_noise", "mag", "scatter of the magnitudes"),
    ("local_noise", "mag", "scatter after a boxcar-smoothed copy is subtracted"),
)
"""Name, unit and meaning of each variability index stored in `source_stat`; NaN where not computed."""

source_stat = Table(
    "source_stat",
    metadata,
    _col(
        "solution_id",
        BigInteger,
        "-",
        "solution",
        ForeignKey("solution.solution_id", ondelete="CASCADE"),
        nullable=False,
    ),
    _col("cell", Integer, "-", "HEALPix cell of order 5", nullable=False),
    _col("source_id", BigInteger, "-", "source", nullable=False),
    _col("band_id", BigInteger, "-", "band", ForeignKey("band.band_id"), nullable=False),
    _col(
        "telescope_id", BigInteger, "-", "telescope; 0 for all together", nullable=False, server_default="0"
    ),
    _col("n_obs", Integer, "-", "good points", nullable=False),
    _col("n_bad", Integer, "-", "bad points: saturated, negative, off the frame", nullable=False),
    _real("bad_fraction", "-", "share of bad points among the frames that cover it", nullable=False),
    _col(
        "quality_flag",
        SmallInteger,
        "-",
        "-1 more than 20 % bad points, else 0 (best) to 4 by the strongest jump",
        nullable=False,
    ),
    *[
        _real(name, unit, comment, nullable=False, server_default="NaN")
        for name, unit, comment in INDEX_COLUMNS
    ],
    _col(
        "z",
        JSONB,
        "-",
        "z-score against neighbours in magnitude, by index",
        nullable=False,
        server_default="{}",
    ),
    _real(
        "score",
        "-",
        "rank of the candidate: highest z among the passed criteria; 0 if none",
        nullable=False,
        server_default="0",
    ),
    _col("tags", ARRAY(Text), "-", "every pass and veto", nullable=False, server_default="{}"),
    _col("candidate", Boolean, "-", "passed, and not vetoed", nullable=False, server_default="false"),
    _double("period", "d", "best period; NaN if not searched", nullable=False, server_default="NaN"),
    _real(
        "period_fap",
        "-",
        "false-alarm probability of the period; NaN if not searched",
        nullable=False,
        server_default="NaN",
    ),
    _col(
        "reference_star",
        Boolean,
        "-",
        "among the best reference stars of its field",
        nullable=False,
        server_default="false",
    ),
    _run(),
    _col(
        "class",
        SmallInteger,
        "-",
        "0 unknown, 1 star, 2 extended, 3 cosmic ray: of all its detections",
        nullable=False,
        server_default="0",
    ),
    _real(
        "psf_size",
        "-",
        "mean ln of the size against that of the PSF; NaN if never fitted",
        nullable=False,
        server_default="NaN",
    ),
    _real("psf_size_err", "-", "its error", nullable=False, server_default="NaN"),
    PrimaryKeyConstraint("solution_id", "cell", "source_id", "band_id", "telescope_id"),
    ForeignKeyConstraint(["cell", "source_id"], ["source.cell", "source.source_id"]),
    Index("source_stat_score_idx", "solution_id", "score"),
    comment="One source, band and solution: every variability index and the verdict.",
)

CALIBRATED_VIEW = """
CREATE VIEW calibrated AS
SELECT p.solution_id, p.source_id, p.frame_id, p.mjd, b.name AS band, c.name AS camera, p.mag, p.mag_err, p.flags,
       p.bjd_tdb, t.name AS telescope, p.detection_id, p.err_photon, p.err_calibration, p.err_floor, p.cell,
       p.mag_limit, p.photometry
FROM light_curve_point p
JOIN frame f ON f.frame_id = p.frame_id
JOIN camera c ON c.camera_id = f.camera_id
JOIN telescope t ON t.telescope_id = c.telescope_id
JOIN band b ON b.band_id = p.band_id
WHERE p.solution_id = (SELECT published_solution_id FROM archive)
"""
"""A row a point of the published solution, for SQL users."""

CALIBRATED_COMMENTS = {
    **{name: str(column.comment) for name, column in light_curve_point.c.items() if name != "band_id"},
    "band": "[-] name of the band",
    "camera": "[-] name of the camera",
    "telescope": "[-] name of the telescope",
}
"""Comment of each column of the view."""

CALIBRATED_COMMENT = "COMMENT ON VIEW calibrated IS 'A row a point of the published solution.'"

__all__ = [name for name, value in list(globals().items()) if isinstance(value, Table)]
