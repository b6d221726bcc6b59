"""The whole data model.

Revision ID: 0001
Revises:

Frozen text: this file stays as it is when `photodb.storage.tables` changes; a test holds the newest migration and
the tables together. The partitions of the bulk tables are made as frames and solutions come.
"""
# ruff: noqa: E501
# fmt: off

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, REAL
from sqlalchemy.schema import CreateSequence, DropSequence

import photodb

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SOURCE_SERIAL = sa.Sequence("source_serial", data_type=sa.BigInteger)

CALIBRATED = """
CREATE VIEW calibrated AS
SELECT p.solution_id, p.source_id, p.frame_id, p.mjd, b.name AS band, c.name AS camera, p.mag, p.mag_err, p.flags,
       p.bjd_tdb, t.name AS telescope, p.detection_id, p.err_photon, p.err_calibration, p.err_floor, p.cell
FROM light_curve_point p
JOIN frame f ON f.frame_id = p.frame_id
JOIN camera c ON c.camera_id = f.camera_id
JOIN telescope t ON t.telescope_id = c.telescope_id
JOIN band b ON b.band_id = p.band_id
WHERE p.solution_id = (SELECT published_solution_id FROM archive)
"""

CALIBRATED_COMMENTS = (
    ("solution_id", "[-] solution"),
    ("source_id", "[-] source"),
    ("frame_id", "[-] frame"),
    ("mjd", "[d] middle of the exposure, MJD UTC"),
    ("band", "[-] name of the band"),
    ("camera", "[-] name of the camera"),
    ("mag", "[mag] calibrated magnitude; NaN if the flux is not positive"),
    ("mag_err", "[mag] total error"),
    ("flags", "[-] bits of photodb.core.flags"),
    ("bjd_tdb", "[d] middle of the exposure at the barycentre for this source, JD TDB"),
    ("telescope", "[-] name of the telescope"),
    ("detection_id", "[-] detection"),
    ("err_photon", "[mag] part of the photons and read noise"),
    ("err_calibration", "[mag] part of the frame's terms"),
    ("err_floor", "[mag] part of the camera's error floor"),
    ("cell", "[-] HEALPix cell of order 5"),
)

ARCHIVE_ROW = """
INSERT INTO archive (one, archive_uuid, cell_order, frames_per_partition, code_version)
VALUES (true, gen_random_uuid()::text, 5, 10000, :version)
"""

TABLES_LAST_FIRST = (
    "tie_star", "master_frame", "frame_term", "frame_master", "frame_judgement", "field_reference", "tie",
    "master", "frame", "source_stat", "source_mag", "reference_star", "camera", "archive", "telescope",
    "source_history", "source", "solution", "reference_catalogue", "field", "run", "light_curve_point",
    "detection", "band", "astrometric_match",
)


def upgrade() -> None:
    """Make every table, the sequence of sources, the view and the row of the archive itself."""
    op.create_table('astrometric_match',
        sa.Column('cell', sa.Integer(), nullable=False, comment="[-] HEALPix cell of order 5 of the detection's source; -1 if none"),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('detection_id', sa.BigInteger(), nullable=False, comment='[-] detection'),
        sa.Column('reference_star_id', sa.BigInteger(), nullable=False, comment='[-] reference star; -1 if matched with a frame or the built-in list'),
        sa.Column('reference_detection_id', sa.BigInteger(), nullable=False, comment='[-] detection of the reference frame; -1 if matched with a catalogue'),
        sa.Column('gaia_source_id', sa.BigInteger(), nullable=False, comment='[-] Gaia source of the built-in bright list; -1 otherwise'),
        sa.Column('dx', REAL(), nullable=False, comment='[px] measured minus expected, x'),
        sa.Column('dy', REAL(), nullable=False, comment='[px] measured minus expected, y'),
        sa.Column('dra', REAL(), nullable=False, comment='[arcsec] measured minus expected right ascension times cos(dec); NaN without a sky position'),
        sa.Column('ddec', REAL(), nullable=False, comment='[arcsec] measured minus expected declination; NaN without a sky position'),
        sa.Column('used', sa.Boolean(), nullable=False, comment='[-] whether it took part in the last fit, or was clipped'),
        sa.PrimaryKeyConstraint('frame_id', 'cell', 'detection_id', name=op.f('astrometric_match_pkey')),
        comment="One detection matched with a reference star, or with a star of the field's reference frame, in a frame's astrometric fit.",
        postgresql_partition_by='RANGE (frame_id)'
    )
    op.create_table('band',
        sa.Column('band_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name as users write it, unique'),
        sa.Column('system', sa.Text(), server_default='unknown', nullable=False, comment='[-] magnitude system once tied: AB, Vega or unknown'),
        sa.Column('wavelength', REAL(), nullable=True, comment='[nm] effective wavelength'),
        sa.CheckConstraint("system in ('AB','Vega','unknown')", name=op.f('band_system_check')),
        sa.PrimaryKeyConstraint('band_id', name=op.f('band_pkey')),
        sa.UniqueConstraint('name', name=op.f('band_name_key')),
        comment='A photometric band.'
    )
    op.create_table('detection',
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5 of its source; -1 if none'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('detection_id', sa.BigInteger(), nullable=False, comment='[-] key: frame_id << 20 | number on the frame, brightest 0'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source; -1 if none'),
        sa.Column('x', REAL(), nullable=False, comment='[px] column, 0 at the centre of the first pixel'),
        sa.Column('y', REAL(), nullable=False, comment='[px] row, 0 at the centre of the first pixel'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=False, comment='[deg] right ascension (ICRS); NaN if unknown'),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=False, comment='[deg] declination (ICRS); NaN if unknown'),
        sa.Column('x_err', REAL(), nullable=False, comment='[px] error of x'),
        sa.Column('y_err', REAL(), nullable=False, comment='[px] error of y'),
        sa.Column('flux', REAL(), nullable=False, comment="[e-] flux in the frame's best aperture"),
        sa.Column('flux_err', REAL(), nullable=False, comment='[e-] its error'),
        sa.Column('mag', REAL(), nullable=False, comment='[mag] -2.5 log10(flux / exptime); NaN if not positive'),
        sa.Column('mag_err', REAL(), nullable=False, comment='[mag] its error; NaN if the flux is not positive'),
        sa.Column('flux_aperture', ARRAY(REAL()), nullable=False, comment='[e-] flux in each aperture of frame.aperture_radii'),
        sa.Column('flux_aperture_err', ARRAY(REAL()), nullable=False, comment='[e-] their errors'),
        sa.Column('flux_psf', REAL(), nullable=False, comment='[e-] flux by PSF fit; NaN if not done'),
        sa.Column('flux_psf_err', REAL(), nullable=False, comment='[e-] its error'),
        sa.Column('psf_chi2', REAL(), nullable=False, comment='[-] chi2 per degree of freedom of the PSF fit; NaN if not done'),
        sa.Column('sky', REAL(), nullable=False, comment='[e-/px] local sky'),
        sa.Column('sky_err', REAL(), nullable=False, comment='[e-/px] noise of the local sky, a pixel'),
        sa.Column('peak', REAL(), nullable=False, comment='[ADU] highest raw pixel of the core'),
        sa.Column('fwhm', REAL(), nullable=False, comment='[px] full width at half maximum'),
        sa.Column('ellipticity', REAL(), nullable=False, comment='[-] 1 - b/a'),
        sa.Column('theta', REAL(), nullable=False, comment='[deg] position angle of the major axis from the x axis'),
        sa.Column('sharpness', REAL(), nullable=False, comment="[-] peak over neighbours, against the frame's median"),
        sa.Column('class', sa.SmallInteger(), nullable=False, comment='[-] 0 unknown, 1 star, 2 extended, 3 cosmic ray'),
        sa.Column('flags', sa.Integer(), nullable=False, comment='[-] bits of photodb.core.flags'),
        sa.PrimaryKeyConstraint('frame_id', 'cell', 'detection_id', name=op.f('detection_pkey')),
        comment='One source measured on one frame; never updated.',
        postgresql_partition_by='RANGE (frame_id)'
    )
    op.create_index('detection_source_id_idx', 'detection', ['source_id'], unique=False)
    op.create_table('light_curve_point',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('band_id', sa.Integer(), nullable=False, comment='[-] band'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('detection_id', sa.BigInteger(), nullable=False, comment='[-] detection'),
        sa.Column('mjd', DOUBLE_PRECISION(), nullable=False, comment='[d] middle of the exposure, MJD UTC'),
        sa.Column('bjd_tdb', DOUBLE_PRECISION(), nullable=False, comment='[d] middle of the exposure at the barycentre for this source, JD TDB'),
        sa.Column('mag', REAL(), nullable=False, comment='[mag] calibrated magnitude; NaN if the flux is not positive'),
        sa.Column('mag_err', REAL(), nullable=False, comment='[mag] total error'),
        sa.Column('err_photon', REAL(), nullable=False, comment='[mag] part of the photons and read noise'),
        sa.Column('err_calibration', REAL(), nullable=False, comment="[mag] part of the frame's terms"),
        sa.Column('err_floor', REAL(), nullable=False, comment="[mag] part of the camera's error floor"),
        sa.Column('flags', sa.Integer(), nullable=False, comment='[-] bits of photodb.core.flags'),
        sa.PrimaryKeyConstraint('solution_id', 'cell', 'source_id', 'frame_id', 'detection_id', name=op.f('light_curve_point_pkey')),
        comment='One detection in one solution; a partition a solution.',
        postgresql_partition_by='LIST (solution_id)'
    )
    op.create_table('run',
        sa.Column('run_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('command', sa.Text(), nullable=False, comment="[-] name of the command, for example 'ingest'"),
        sa.Column('arguments', JSONB(), server_default='{}', nullable=False, comment='[-] arguments as given'),
        sa.Column('settings', JSONB(), server_default='{}', nullable=False, comment='[-] every setting in force'),
        sa.Column('code_version', sa.Text(), nullable=False, comment='[-] version of photodb'),
        sa.Column('host', sa.Text(), nullable=True, comment='[-] machine that ran it'),
        sa.Column('pid', sa.Integer(), nullable=True, comment='[-] process that ran it'),
        sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] start'),
        sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True, comment='[time] end; NULL while it runs or if it was killed'),
        sa.Column('outcome', sa.Text(), nullable=False, comment='[-] running, done, partial, failed, interrupted or undone'),
        sa.Column('report', JSONB(), server_default='{}', nullable=False, comment='[-] counts, timings by stage and messages'),
        sa.CheckConstraint("outcome in ('running','done','partial','failed','interrupted','undone')", name=op.f('run_outcome_check')),
        sa.PrimaryKeyConstraint('run_id', name=op.f('run_pkey')),
        comment='One command that wrote: any row names where it came from.'
    )
    op.create_table('field',
        sa.Column('field_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=True, comment='[deg] centre, right ascension (ICRS)'),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=True, comment='[deg] centre, declination (ICRS)'),
        sa.Column('radius', DOUBLE_PRECISION(), nullable=True, comment='[deg] radius of the frame that founded it'),
        sa.Column('approximate', sa.Boolean(), server_default='false', nullable=False, comment='[-] whether its place on the sky is only approximate'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('field_run_id_fkey')),
        sa.PrimaryKeyConstraint('field_id', name=op.f('field_pkey')),
        comment='An area of sky observed again and again; frames of one field share a reference frame a camera.'
    )
    op.create_index(op.f('field_run_id_idx'), 'field', ['run_id'], unique=False)
    op.create_table('reference_catalogue',
        sa.Column('reference_catalogue_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name, unique'),
        sa.Column('path', sa.Text(), nullable=True, comment='[-] file it was loaded from'),
        sa.Column('data_hash', sa.Text(), nullable=True, comment='[-] SHA-256 of the file'),
        sa.Column('epoch', REAL(), server_default='2000', nullable=False, comment='[yr] Julian epoch of the positions'),
        sa.Column('priority', sa.Integer(), server_default='0', nullable=False, comment='[-] catalogues are tried from the highest'),
        sa.Column('bands', ARRAY(sa.Text()), nullable=False, comment='[-] names of the magnitudes, in the order of reference_star.mag'),
        sa.Column('position_error', REAL(), nullable=True, comment='[arcsec] typical error of a position'),
        sa.Column('correction', JSONB(), server_default='{}', nullable=False, comment='[-] systematic correction of the positions'),
        sa.Column('n_stars', sa.Integer(), nullable=False, comment='[-] stars loaded'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('reference_catalogue_run_id_fkey')),
        sa.PrimaryKeyConstraint('reference_catalogue_id', name=op.f('reference_catalogue_pkey')),
        sa.UniqueConstraint('name', name=op.f('reference_catalogue_name_key')),
        comment='An outside catalogue of positions and magnitudes.'
    )
    op.create_index(op.f('reference_catalogue_run_id_idx'), 'reference_catalogue', ['run_id'], unique=False)
    op.create_table('solution',
        sa.Column('solution_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key and version'),
        sa.Column('settings', JSONB(), nullable=False, comment='[-] selection, order, robust constants, priors'),
        sa.Column('poly_order', sa.SmallInteger(), nullable=False, comment='[-] order of the spatial polynomial of a frame'),
        sa.Column('n_frames', sa.Integer(), nullable=False, comment='[-] frames with a zero point'),
        sa.Column('n_sources', sa.Integer(), nullable=False, comment='[-] sources with a magnitude'),
        sa.Column('n_measurements', sa.BigInteger(), nullable=False, comment='[-] measurements that took part in the fit'),
        sa.Column('chi2', DOUBLE_PRECISION(), nullable=False, comment='[-] chi2 of the fit'),
        sa.Column('chi2_dof', DOUBLE_PRECISION(), nullable=False, comment='[-] chi2 per degree of freedom'),
        sa.Column('components', JSONB(), nullable=False, comment='[-] connected components: band, frames, sources, telescopes'),
        sa.Column('error_floor', JSONB(), nullable=False, comment='[mag] fitted error floor by camera'),
        sa.Column('bright_scatter', REAL(), nullable=True, comment='[mag] median scatter of bright constant stars'),
        sa.Column('state', sa.Text(), nullable=False, comment='[-] draft, published or retired'),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when it was made'),
        sa.Column('published_at', sa.DateTime(timezone=True), nullable=True, comment='[time] when it was published'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint("state in ('draft','published','retired')", name=op.f('solution_state_check')),
        sa.CheckConstraint('poly_order between 0 and 3', name=op.f('solution_poly_order_check')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('solution_run_id_fkey')),
        sa.PrimaryKeyConstraint('solution_id', name=op.f('solution_pkey')),
        comment='One global photometric solution.'
    )
    op.create_index(op.f('solution_run_id_idx'), 'solution', ['run_id'], unique=False)
    op.create_table('source',
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5 in which it was first seen'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] key: cell << 38 | serial'),
        sa.Column('healpix', sa.BigInteger(), nullable=False, comment='[-] HEALPix cell of order 29, nested, of the mean position'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=False, comment='[deg] mean right ascension (ICRS)'),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=False, comment='[deg] mean declination (ICRS)'),
        sa.Column('ra_scatter', REAL(), server_default='0', nullable=False, comment='[arcsec] rms of the right ascensions times cos(dec)'),
        sa.Column('dec_scatter', REAL(), server_default='0', nullable=False, comment='[arcsec] rms of the declinations'),
        sa.Column('n_detections', sa.Integer(), nullable=False, comment='[-] detections associated'),
        sa.Column('first_mjd', DOUBLE_PRECISION(), nullable=False, comment='[d] first detection, MJD UTC'),
        sa.Column('last_mjd', DOUBLE_PRECISION(), nullable=False, comment='[d] last detection, MJD UTC'),
        sa.Column('field_id', sa.BigInteger(), server_default='-1', nullable=False, comment='[-] field whose frames founded it; -1 if none'),
        sa.Column('approximate', sa.Boolean(), server_default='false', nullable=False, comment='[-] whether its position is only approximate'),
        sa.Column('flags', sa.Integer(), server_default='0', nullable=False, comment='[-] bits: 4 blend (photodb.core.flags)'),
        sa.Column('merged_into', sa.BigInteger(), server_default='-1', nullable=False, comment='[-] source that took it over; -1 if none'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint('dec between -90 and 90', name=op.f('source_dec_check')),
        sa.CheckConstraint('ra >= 0 and ra < 360', name=op.f('source_ra_check')),
        sa.CheckConstraint('source_id >> 38 = cell', name=op.f('source_cell_check')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('source_run_id_fkey')),
        sa.PrimaryKeyConstraint('cell', 'source_id', name=op.f('source_pkey')),
        comment='One object on the sky.'
    )
    op.create_index('source_healpix_idx', 'source', ['healpix'], unique=False)
    op.create_index(op.f('source_run_id_idx'), 'source', ['run_id'], unique=False)
    op.create_index('source_source_id_idx', 'source', ['source_id'], unique=False)
    op.create_table('source_history',
        sa.Column('source_history_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('other_source_id', sa.BigInteger(), nullable=False, comment='[-] the other source'),
        sa.Column('kind', sa.Text(), nullable=False, comment='[-] merged, split or moved'),
        sa.Column('note', sa.Text(), server_default='', nullable=False, comment='[-] why'),
        sa.Column('happened_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint("kind in ('merged','split','moved')", name=op.f('source_history_kind_check')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('source_history_run_id_fkey')),
        sa.PrimaryKeyConstraint('source_history_id', name=op.f('source_history_pkey')),
        comment='Merges and splits of sources.'
    )
    op.create_index(op.f('source_history_run_id_idx'), 'source_history', ['run_id'], unique=False)
    op.create_index(op.f('source_history_source_id_idx'), 'source_history', ['source_id'], unique=False)
    op.create_table('telescope',
        sa.Column('telescope_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name, unique'),
        sa.Column('latitude', DOUBLE_PRECISION(), nullable=True, comment='[deg] geodetic latitude of the site, north positive'),
        sa.Column('longitude', DOUBLE_PRECISION(), nullable=True, comment='[deg] longitude of the site, east positive'),
        sa.Column('elevation', DOUBLE_PRECISION(), nullable=True, comment='[m] height of the site above sea level'),
        sa.Column('aperture_area', DOUBLE_PRECISION(), nullable=True, comment='[m2] collecting area, for the first guess of zero points'),
        sa.Column('valid_from', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC from which the description holds'),
        sa.Column('valid_to', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC until which the description holds'),
        sa.Column('assumed', JSONB(), server_default='{}', nullable=False, comment='[-] values taken from a header or by default, with how'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint('latitude between -90 and 90', name=op.f('telescope_latitude_check')),
        sa.CheckConstraint('longitude between -180 and 360', name=op.f('telescope_longitude_check')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('telescope_run_id_fkey')),
        sa.PrimaryKeyConstraint('telescope_id', name=op.f('telescope_pkey')),
        sa.UniqueConstraint('name', name=op.f('telescope_name_key')),
        comment='A telescope and its site.'
    )
    op.create_index(op.f('telescope_run_id_idx'), 'telescope', ['run_id'], unique=False)
    op.create_table('archive',
        sa.Column('one', sa.Boolean(), server_default='true', nullable=False, comment='[-] always true: the table has one row'),
        sa.Column('archive_uuid', sa.Text(), nullable=False, comment='[-] name of the archive'),
        sa.Column('cell_order', sa.SmallInteger(), nullable=False, comment='[-] HEALPix order of `cell`, frozen'),
        sa.Column('frames_per_partition', sa.Integer(), nullable=False, comment='[-] frames in a partition of the bulk tables, frozen'),
        sa.Column('code_version', sa.Text(), nullable=False, comment='[-] version of photodb that made it'),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when it was made'),
        sa.Column('published_solution_id', sa.BigInteger(), nullable=True, comment='[-] the published solution; the view `calibrated` shows it'),
        sa.CheckConstraint('one', name=op.f('archive_one_check')),
        sa.ForeignKeyConstraint(['published_solution_id'], ['solution.solution_id'], name=op.f('archive_published_solution_id_fkey')),
        sa.PrimaryKeyConstraint('one', name=op.f('archive_pkey')),
        comment='The archive itself: one row.'
    )
    op.create_table('camera',
        sa.Column('camera_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('telescope_id', sa.BigInteger(), nullable=False, comment='[-] telescope it sits on'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name, unique'),
        sa.Column('description', JSONB(), nullable=False, comment='[-] the whole description as in its TOML file'),
        sa.Column('pixel_scale', REAL(), nullable=True, comment='[arcsec/px] pixel scale on the sky'),
        sa.Column('gain', REAL(), nullable=True, comment='[e-/ADU] gain'),
        sa.Column('read_noise', REAL(), nullable=True, comment='[e-] read noise of a pixel'),
        sa.Column('saturation', REAL(), nullable=True, comment='[ADU] raw counts at which a pixel is saturated'),
        sa.Column('linear_limit', REAL(), nullable=True, comment='[ADU] raw counts up to which the response is linear'),
        sa.Column('psf_grid', sa.SmallInteger(), server_default='1', nullable=False, comment='[-] subimages along each axis for the PSF'),
        sa.Column('valid_from', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC from which the description holds'),
        sa.Column('valid_to', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC until which the description holds'),
        sa.Column('assumed', JSONB(), server_default='{}', nullable=False, comment='[-] values estimated from header or pixels, with how'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint('gain > 0', name=op.f('camera_gain_check')),
        sa.CheckConstraint('pixel_scale > 0', name=op.f('camera_pixel_scale_check')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('camera_run_id_fkey')),
        sa.ForeignKeyConstraint(['telescope_id'], ['telescope.telescope_id'], name=op.f('camera_telescope_id_fkey')),
        sa.PrimaryKeyConstraint('camera_id', name=op.f('camera_pkey')),
        sa.UniqueConstraint('name', name=op.f('camera_name_key')),
        comment='A detector on a telescope: how its headers read and how its pixels behave.'
    )
    op.create_index(op.f('camera_run_id_idx'), 'camera', ['run_id'], unique=False)
    op.create_table('reference_star',
        sa.Column('reference_star_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('reference_catalogue_id', sa.BigInteger(), nullable=False, comment='[-] catalogue'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] identifier in the catalogue'),
        sa.Column('healpix', sa.BigInteger(), nullable=False, comment='[-] HEALPix cell of order 29, nested'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=False, comment="[deg] right ascension (ICRS) at the catalogue's epoch"),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=False, comment="[deg] declination (ICRS) at the catalogue's epoch"),
        sa.Column('pm_ra', REAL(), server_default='0', nullable=False, comment='[mas/yr] proper motion in right ascension times cos(dec); 0 if unknown'),
        sa.Column('pm_dec', REAL(), server_default='0', nullable=False, comment='[mas/yr] proper motion in declination; 0 if unknown'),
        sa.Column('mag', ARRAY(REAL()), nullable=False, comment='[mag] magnitudes in the order of reference_catalogue.bands; NaN if none'),
        sa.Column('mag_err', ARRAY(REAL()), nullable=False, comment='[mag] their errors; NaN if none'),
        sa.ForeignKeyConstraint(['reference_catalogue_id'], ['reference_catalogue.reference_catalogue_id'], name=op.f('reference_star_reference_catalogue_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('reference_star_id', name=op.f('reference_star_pkey')),
        comment='One star of a reference catalogue.'
    )
    op.create_index('reference_star_healpix_idx', 'reference_star', ['healpix'], unique=False)
    op.create_table('source_mag',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('band_id', sa.BigInteger(), nullable=False, comment='[-] band'),
        sa.Column('mag', DOUBLE_PRECISION(), nullable=False, comment='[mag] mean calibrated magnitude (relative system of its component)'),
        sa.Column('mag_err', DOUBLE_PRECISION(), nullable=False, comment='[mag] its error'),
        sa.Column('n_obs', sa.Integer(), nullable=False, comment='[-] points'),
        sa.Column('n_used', sa.Integer(), nullable=False, comment='[-] points used in the fit'),
        sa.Column('chi2_dof', DOUBLE_PRECISION(), nullable=False, comment='[-] chi2 per degree of freedom'),
        sa.Column('component', sa.Integer(), nullable=False, comment='[-] connected component'),
        sa.Column('standard_mag', DOUBLE_PRECISION(), nullable=False, comment='[mag] magnitude tied to the standard system; NaN if not tied'),
        sa.Column('standard_mag_err', DOUBLE_PRECISION(), nullable=False, comment='[mag] its error; NaN if not tied'),
        sa.Column('tie_id', sa.BigInteger(), nullable=False, comment='[-] tie used; -1 if none'),
        sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='[-] why left out of the fit; empty if it took part'),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('source_mag_band_id_fkey')),
        sa.ForeignKeyConstraint(['cell', 'source_id'], ['source.cell', 'source.source_id'], name=op.f('source_mag_cell_fkey')),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('source_mag_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('solution_id', 'cell', 'source_id', 'band_id', name=op.f('source_mag_pkey')),
        comment='One source in one band and one solution.'
    )
    op.create_index('source_mag_source_id_idx', 'source_mag', ['source_id'], unique=False)
    op.create_table('source_stat',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('band_id', sa.BigInteger(), nullable=False, comment='[-] band'),
        sa.Column('telescope_id', sa.BigInteger(), server_default='0', nullable=False, comment='[-] telescope; 0 for all together'),
        sa.Column('n_obs', sa.Integer(), nullable=False, comment='[-] good points'),
        sa.Column('n_bad', sa.Integer(), nullable=False, comment='[-] bad points: saturated, negative, off the frame'),
        sa.Column('bad_fraction', REAL(), nullable=False, comment='[-] share of bad points among the frames that cover it'),
        sa.Column('quality_flag', sa.SmallInteger(), nullable=False, comment='[-] -1 more than 20 % bad points, else 0 (best) to 4 by the strongest jump'),
        sa.Column('mean_mag', REAL(), server_default='NaN', nullable=False, comment='[mag] unweighted mean'),
        sa.Column('median_mag', REAL(), server_default='NaN', nullable=False, comment='[mag] median'),
        sa.Column('weighted_mean', REAL(), server_default='NaN', nullable=False, comment='[mag] mean weighted by the errors'),
        sa.Column('sigma', REAL(), server_default='NaN', nullable=False, comment='[mag] unweighted standard deviation'),
        sa.Column('weighted_sigma', REAL(), server_default='NaN', nullable=False, comment='[mag] weighted standard deviation'),
        sa.Column('clipped_sigma', REAL(), server_default='NaN', nullable=False, comment='[mag] standard deviation after clipping'),
        sa.Column('mad', REAL(), server_default='NaN', nullable=False, comment='[mag] 1.4826 times the median absolute deviation'),
        sa.Column('iqr', REAL(), server_default='NaN', nullable=False, comment='[mag] interquartile range'),
        sa.Column('chi2_dof', REAL(), server_default='NaN', nullable=False, comment='[-] reduced chi2 against a constant'),
        sa.Column('roms', REAL(), server_default='NaN', nullable=False, comment='[-] robust median statistic'),
        sa.Column('norm_excess_variance', REAL(), server_default='NaN', nullable=False, comment='[-] normalised excess variance, of fluxes'),
        sa.Column('peak_to_peak', REAL(), server_default='NaN', nullable=False, comment='[-] normalised peak-to-peak amplitude, of fluxes'),
        sa.Column('lag1', REAL(), server_default='NaN', nullable=False, comment='[-] lag-1 autocorrelation'),
        sa.Column('welch_stetson_i', REAL(), server_default='NaN', nullable=False, comment='[-] Welch-Stetson I'),
        sa.Column('stetson_j', REAL(), server_default='NaN', nullable=False, comment='[-] Stetson J'),
        sa.Column('stetson_k', REAL(), server_default='NaN', nullable=False, comment='[-] Stetson K'),
        sa.Column('stetson_l', REAL(), server_default='NaN', nullable=False, comment='[-] Stetson L'),
        sa.Column('excursions', REAL(), server_default='NaN', nullable=False, comment='[-] excursions index'),
        sa.Column('n3', REAL(), server_default='NaN', nullable=False, comment='[-] N3: runs of three outliers'),
        sa.Column('inverse_von_neumann', REAL(), server_default='NaN', nullable=False, comment='[-] 1/eta, inverse von Neumann ratio'),
        sa.Column('excess_abbe', REAL(), server_default='NaN', nullable=False, comment='[-] excess Abbe value'),
        sa.Column('s_b', REAL(), server_default='NaN', nullable=False, comment='[-] S_B'),
        sa.Column('skewness', REAL(), server_default='NaN', nullable=False, comment='[-] skewness'),
        sa.Column('kurtosis', REAL(), server_default='NaN', nullable=False, comment='[-] excess kurtosis'),
        sa.Column('global_noise', REAL(), server_default='NaN', nullable=False, comment='[mag] scatter of the magnitudes'),
        sa.Column('local_noise', REAL(), server_default='NaN', nullable=False, comment='[mag] scatter after a boxcar-smoothed copy is subtracted'),
        sa.Column('z', JSONB(), server_default='{}', nullable=False, comment='[-] z-score against neighbours in magnitude, by index'),
        sa.Column('score', REAL(), server_default='0', nullable=False, comment='[-] rank of the candidate: highest z among the passed criteria; 0 if none'),
        sa.Column('tags', ARRAY(sa.Text()), server_default='{}', nullable=False, comment='[-] every pass and veto'),
        sa.Column('candidate', sa.Boolean(), server_default='false', nullable=False, comment='[-] passed, and not vetoed'),
        sa.Column('period', DOUBLE_PRECISION(), server_default='NaN', nullable=False, comment='[d] best period; NaN if not searched'),
        sa.Column('period_fap', REAL(), server_default='NaN', nullable=False, comment='[-] false-alarm probability of the period; NaN if not searched'),
        sa.Column('reference_star', sa.Boolean(), server_default='false', nullable=False, comment='[-] among the best reference stars of its field'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('source_stat_band_id_fkey')),
        sa.ForeignKeyConstraint(['cell', 'source_id'], ['source.cell', 'source.source_id'], name=op.f('source_stat_cell_fkey')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('source_stat_run_id_fkey')),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('source_stat_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('solution_id', 'cell', 'source_id', 'band_id', 'telescope_id', name=op.f('source_stat_pkey')),
        comment='One source, band and solution: every variability index and the verdict.'
    )
    op.create_index(op.f('source_stat_run_id_idx'), 'source_stat', ['run_id'], unique=False)
    op.create_index('source_stat_score_idx', 'source_stat', ['solution_id', 'score'], unique=False)
    op.create_table('frame',
        sa.Column('frame_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('path', sa.Text(), nullable=False, comment='[-] file it was read from'),
        sa.Column('hdu', sa.SmallInteger(), server_default='0', nullable=False, comment='[-] extension of the image'),
        sa.Column('data_hash', sa.Text(), nullable=False, comment='[-] SHA-256 of pixels and time (of the file where it cannot be read); one frame, one hash'),
        sa.Column('file_hash', sa.Text(), server_default='', nullable=False, comment='[-] SHA-256 of the file'),
        sa.Column('kind', sa.Text(), server_default='science', nullable=False, comment='[-] science, bias, dark, flat or unknown'),
        sa.Column('status', sa.Text(), nullable=False, comment='[-] accepted or rejected'),
        sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='[-] why it was rejected, or a remark; empty if all is well'),
        sa.Column('reason_code', sa.Text(), server_default='', nullable=False, comment='[-] short machine-readable reason'),
        sa.Column('camera_id', sa.BigInteger(), nullable=True, comment='[-] camera'),
        sa.Column('band_id', sa.BigInteger(), nullable=True, comment='[-] band'),
        sa.Column('field_id', sa.BigInteger(), nullable=True, comment='[-] field'),
        sa.Column('object', sa.Text(), server_default='', nullable=False, comment='[-] target named by the header'),
        sa.Column('mjd', DOUBLE_PRECISION(), nullable=True, comment='[d] middle of the exposure, MJD UTC'),
        sa.Column('mjd_start', DOUBLE_PRECISION(), nullable=True, comment='[d] start of the exposure, MJD UTC'),
        sa.Column('exptime', DOUBLE_PRECISION(), nullable=True, comment='[s] length of the exposure'),
        sa.Column('mjd_tdb', DOUBLE_PRECISION(), nullable=True, comment='[d] middle of the exposure, MJD TDB'),
        sa.Column('earth_x', DOUBLE_PRECISION(), nullable=True, comment='[lt-s] barycentric position of the observatory at the middle, ICRS x, light-seconds'),
        sa.Column('earth_y', DOUBLE_PRECISION(), nullable=True, comment='[lt-s] the same, y'),
        sa.Column('earth_z', DOUBLE_PRECISION(), nullable=True, comment='[lt-s] the same, z'),
        sa.Column('night', sa.Integer(), nullable=True, comment='[d] MJD of the local noon that began the night'),
        sa.Column('airmass', REAL(), nullable=True, comment='[-] airmass of the centre'),
        sa.Column('sun_altitude', REAL(), nullable=True, comment='[deg] altitude of the sun'),
        sa.Column('nx', sa.Integer(), nullable=True, comment='[px] width of the data section'),
        sa.Column('ny', sa.Integer(), nullable=True, comment='[px] height of the data section'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=True, comment='[deg] right ascension of the centre (ICRS)'),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=True, comment='[deg] declination of the centre (ICRS)'),
        sa.Column('radius', DOUBLE_PRECISION(), nullable=True, comment='[deg] distance from centre to the farthest corner'),
        sa.Column('healpix', sa.BigInteger(), server_default='-1', nullable=False, comment='[-] HEALPix cell of the centre, order 29, nested; -1 if unknown'),
        sa.Column('footprint', ARRAY(DOUBLE_PRECISION()), nullable=True, comment='[deg] ra, dec of the four corners, eight numbers'),
        sa.Column('wcs', JSONB(), nullable=True, comment='[-] tangent-plane solution: crpix, crval, cd, and higher terms'),
        sa.Column('astrometry', sa.Text(), server_default='none', nullable=False, comment='[-] catalogue, frames, header, approximate or none'),
        sa.Column('astrom_rms', REAL(), nullable=True, comment='[arcsec] rms residual of the astrometric fit'),
        sa.Column('astrom_n', sa.Integer(), nullable=True, comment='[-] stars of the astrometric fit'),
        sa.Column('reference_catalogue_id', sa.BigInteger(), nullable=True, comment='[-] catalogue of the astrometric fit'),
        sa.Column('pixel_scale', REAL(), nullable=True, comment='[arcsec/px] measured pixel scale'),
        sa.Column('rotation', REAL(), nullable=True, comment='[deg] position angle of the y axis, east of north'),
        sa.Column('reference_frame_id', sa.BigInteger(), nullable=True, comment='[-] frame against which shift and rotation are measured'),
        sa.Column('shift_x', REAL(), nullable=True, comment="[px] where the centre of the reference frame falls here, minus this frame's centre, x"),
        sa.Column('shift_y', REAL(), nullable=True, comment='[px] the same, y'),
        sa.Column('shift_rotation', REAL(), nullable=True, comment='[deg] rotation against the reference frame'),
        sa.Column('shift_scale', REAL(), nullable=True, comment='[-] scale against the reference frame; negative if mirrored'),
        sa.Column('shift_rms', REAL(), nullable=True, comment='[px] rms residual of the registration'),
        sa.Column('shift_n', sa.Integer(), nullable=True, comment='[-] stars of the registration'),
        sa.Column('background', REAL(), nullable=True, comment='[ADU] median of the background'),
        sa.Column('background_rms', REAL(), nullable=True, comment='[ADU] noise of the background, a pixel'),
        sa.Column('data_min', REAL(), nullable=True, comment='[ADU] low end of the dynamic range (0.1 percentile)'),
        sa.Column('data_max', REAL(), nullable=True, comment='[ADU] high end of the dynamic range'),
        sa.Column('dynamic_range', REAL(), nullable=True, comment='[ADU] data_max - data_min'),
        sa.Column('nonuniformity', REAL(), nullable=True, comment='[ADU] spread of the medians over nine areas of the frame'),
        sa.Column('fwhm', REAL(), nullable=True, comment='[px] median full width at half maximum of stars'),
        sa.Column('ellipticity', REAL(), nullable=True, comment='[-] 1 - b/a, median of stars'),
        sa.Column('limiting_mag', REAL(), nullable=True, comment='[mag] instrumental magnitude of a star at 5 sigma'),
        sa.Column('n_detections', sa.Integer(), server_default='0', nullable=False, comment='[-] detections stored'),
        sa.Column('n_saturated', sa.Integer(), server_default='0', nullable=False, comment='[-] saturated stars set aside'),
        sa.Column('gain', REAL(), nullable=True, comment='[e-/ADU] gain used'),
        sa.Column('read_noise', REAL(), nullable=True, comment='[e-] read noise used'),
        sa.Column('aperture_radii', ARRAY(REAL()), nullable=True, comment='[px] radii of detection.flux_aperture'),
        sa.Column('aperture_best', sa.SmallInteger(), nullable=True, comment='[-] which of the radii is detection.flux; 0 is the first'),
        sa.Column('psf', JSONB(), nullable=True, comment='[-] PSF model, its order, chi2 and stars'),
        sa.Column('assumed', JSONB(), server_default='{}', nullable=False, comment='[-] values taken by default, with how'),
        sa.Column('ingested_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when the row was written'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint("astrometry in ('catalogue','frames','header','approximate','none')", name=op.f('frame_astrometry_check')),
        sa.CheckConstraint("kind <> 'science' or status = 'rejected' or (mjd is not null and camera_id is not null and band_id is not null)", name=op.f('frame_complete_check')),
        sa.CheckConstraint("kind in ('science','bias','dark','flat','unknown')", name=op.f('frame_kind_check')),
        sa.CheckConstraint("status = 'accepted' or reason <> ''", name=op.f('frame_reason_check')),
        sa.CheckConstraint("status in ('accepted','rejected')", name=op.f('frame_status_check')),
        sa.CheckConstraint('exptime >= 0', name=op.f('frame_exptime_check')),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('frame_band_id_fkey')),
        sa.ForeignKeyConstraint(['camera_id'], ['camera.camera_id'], name=op.f('frame_camera_id_fkey')),
        sa.ForeignKeyConstraint(['field_id'], ['field.field_id'], name=op.f('frame_field_id_fkey')),
        sa.ForeignKeyConstraint(['reference_catalogue_id'], ['reference_catalogue.reference_catalogue_id'], name=op.f('frame_reference_catalogue_id_fkey')),
        sa.ForeignKeyConstraint(['reference_frame_id'], ['frame.frame_id'], name=op.f('frame_reference_frame_id_fkey')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('frame_run_id_fkey')),
        sa.PrimaryKeyConstraint('frame_id', name=op.f('frame_pkey')),
        sa.UniqueConstraint('data_hash', name=op.f('frame_data_hash_key')),
        comment='One image of one detector: accepted, or rejected with its reason.'
    )
    op.create_index('frame_field_id_idx', 'frame', ['field_id'], unique=False)
    op.create_index('frame_healpix_idx', 'frame', ['healpix'], unique=False)
    op.create_index('frame_mjd_idx', 'frame', ['mjd'], unique=False)
    op.create_index(op.f('frame_run_id_idx'), 'frame', ['run_id'], unique=False)
    op.create_table('master',
        sa.Column('master_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('camera_id', sa.BigInteger(), nullable=False, comment='[-] camera'),
        sa.Column('band_id', sa.BigInteger(), nullable=True, comment='[-] band of a flat; NULL otherwise'),
        sa.Column('kind', sa.Text(), nullable=False, comment='[-] bias, dark, flat or mask'),
        sa.Column('valid_from', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC from which it holds'),
        sa.Column('valid_to', DOUBLE_PRECISION(), nullable=True, comment='[d] MJD UTC until which it holds'),
        sa.Column('path', sa.Text(), nullable=True, comment="[-] file with the pixels, below the archive's folder"),
        sa.Column('data_hash', sa.Text(), nullable=True, comment='[-] SHA-256 of the pixels'),
        sa.Column('n_frames', sa.Integer(), nullable=False, comment='[-] frames combined'),
        sa.Column('exptime', REAL(), nullable=True, comment='[s] exposure of a dark'),
        sa.Column('median', REAL(), nullable=True, comment='[ADU] median of the pixels'),
        sa.Column('scatter', REAL(), nullable=True, comment='[ADU] scatter of the pixels'),
        sa.Column('status', sa.Text(), server_default='accepted', nullable=False, comment='[-] accepted or rejected'),
        sa.Column('reason', sa.Text(), nullable=True, comment='[-] why it was rejected'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint("kind in ('bias','dark','flat','mask')", name=op.f('master_kind_check')),
        sa.CheckConstraint("status in ('accepted','rejected')", name=op.f('master_status_check')),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('master_band_id_fkey')),
        sa.ForeignKeyConstraint(['camera_id'], ['camera.camera_id'], name=op.f('master_camera_id_fkey')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('master_run_id_fkey')),
        sa.PrimaryKeyConstraint('master_id', name=op.f('master_pkey')),
        comment='A bias, dark, flat or bad-pixel mask made from frames.'
    )
    op.create_index(op.f('master_run_id_idx'), 'master', ['run_id'], unique=False)
    op.create_table('tie',
        sa.Column('tie_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('field_id', sa.BigInteger(), nullable=True, comment='[-] field'),
        sa.Column('band_id', sa.BigInteger(), nullable=False, comment='[-] band'),
        sa.Column('camera_id', sa.BigInteger(), nullable=True, comment='[-] camera of a colour term; NULL for all'),
        sa.Column('component', sa.Integer(), nullable=False, comment='[-] connected component'),
        sa.Column('reference_catalogue_id', sa.BigInteger(), nullable=False, comment='[-] catalogue'),
        sa.Column('reference_band', sa.Text(), nullable=False, comment='[-] band of the catalogue'),
        sa.Column('colour', sa.Text(), server_default='', nullable=False, comment="[-] colour of the colour term, for example 'g-r'; empty if unmeasured"),
        sa.Column('offset', DOUBLE_PRECISION(), nullable=False, comment='[mag] standard minus relative magnitude'),
        sa.Column('offset_err', DOUBLE_PRECISION(), nullable=False, comment='[mag] its error'),
        sa.Column('colour_term', DOUBLE_PRECISION(), nullable=False, comment='[-] magnitude a magnitude of colour; NaN if unmeasured'),
        sa.Column('colour_term_err', DOUBLE_PRECISION(), nullable=False, comment='[-] its error'),
        sa.Column('scatter', REAL(), nullable=False, comment='[mag] intrinsic scatter'),
        sa.Column('n_stars', sa.Integer(), nullable=False, comment='[-] stars used'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('tie_band_id_fkey')),
        sa.ForeignKeyConstraint(['camera_id'], ['camera.camera_id'], name=op.f('tie_camera_id_fkey')),
        sa.ForeignKeyConstraint(['field_id'], ['field.field_id'], name=op.f('tie_field_id_fkey')),
        sa.ForeignKeyConstraint(['reference_catalogue_id'], ['reference_catalogue.reference_catalogue_id'], name=op.f('tie_reference_catalogue_id_fkey')),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('tie_run_id_fkey')),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('tie_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('tie_id', name=op.f('tie_pkey')),
        comment='The tie of one component to a standard system.'
    )
    op.create_index(op.f('tie_run_id_idx'), 'tie', ['run_id'], unique=False)
    op.create_table('field_reference',
        sa.Column('field_id', sa.BigInteger(), nullable=False, comment='[-] field'),
        sa.Column('camera_id', sa.BigInteger(), nullable=False, comment='[-] camera'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] reference frame'),
        sa.ForeignKeyConstraint(['camera_id'], ['camera.camera_id'], name=op.f('field_reference_camera_id_fkey')),
        sa.ForeignKeyConstraint(['field_id'], ['field.field_id'], name=op.f('field_reference_field_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('field_reference_frame_id_fkey')),
        sa.PrimaryKeyConstraint('field_id', 'camera_id', name=op.f('field_reference_pkey')),
        comment='The reference frame of a field for a camera.'
    )
    op.create_table('frame_judgement',
        sa.Column('frame_judgement_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('status', sa.Text(), nullable=False, comment='[-] status given'),
        sa.Column('reason', sa.Text(), nullable=False, comment='[-] reason given'),
        sa.Column('reason_code', sa.Text(), server_default='', nullable=False, comment='[-] short reason given'),
        sa.Column('judged_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.CheckConstraint("status in ('accepted','rejected')", name=op.f('frame_judgement_status_check')),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_judgement_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('frame_judgement_run_id_fkey')),
        sa.PrimaryKeyConstraint('frame_judgement_id', name=op.f('frame_judgement_pkey')),
        comment="Every change of a frame's status after ingest, so that it can be undone."
    )
    op.create_index(op.f('frame_judgement_frame_id_idx'), 'frame_judgement', ['frame_id'], unique=False)
    op.create_index(op.f('frame_judgement_run_id_idx'), 'frame_judgement', ['run_id'], unique=False)
    op.create_table('frame_master',
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('master_id', sa.BigInteger(), nullable=False, comment='[-] master applied to it'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_master_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['master_id'], ['master.master_id'], name=op.f('frame_master_master_id_fkey')),
        sa.PrimaryKeyConstraint('frame_id', 'master_id', name=op.f('frame_master_pkey')),
        comment='Which masters were applied to a frame.'
    )
    op.create_table('frame_term',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('zero_point', DOUBLE_PRECISION(), nullable=False, comment='[mag] calibrated minus instrumental magnitude at the centre of the scaled coordinates; NaN if rejected'),
        sa.Column('zero_point_err', DOUBLE_PRECISION(), nullable=False, comment='[mag] its posterior error, gauge removed'),
        sa.Column('coefficients', ARRAY(DOUBLE_PRECISION()), nullable=False, comment='[mag] coefficients of the Legendre terms after the constant, on coordinates scaled to [-1, 1]'),
        sa.Column('covariance', ARRAY(DOUBLE_PRECISION()), nullable=False, comment='[mag2] covariance of zero point and coefficients, row by row'),
        sa.Column('component', sa.Integer(), nullable=False, comment='[-] connected component'),
        sa.Column('chi2_dof', DOUBLE_PRECISION(), nullable=False, comment='[-] chi2 per measurement used'),
        sa.Column('n_stars', sa.Integer(), nullable=False, comment='[-] stars used'),
        sa.Column('scatter', REAL(), nullable=False, comment='[mag] robust scatter of the residuals of bright stars'),
        sa.Column('gray_loss', REAL(), nullable=False, comment="[mag] light lost against the camera's clearest frames"),
        sa.Column('photometric', sa.Boolean(), nullable=False, comment='[-] whether the frame looks photometric'),
        sa.Column('status', sa.Text(), nullable=False, comment='[-] used or rejected'),
        sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='[-] why rejected, or a remark'),
        sa.CheckConstraint("status in ('used','rejected')", name=op.f('frame_term_status_check')),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_term_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('frame_term_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('solution_id', 'frame_id', name=op.f('frame_term_pkey')),
        comment='One frame in one solution.'
    )
    op.create_index('frame_term_frame_id_idx', 'frame_term', ['frame_id'], unique=False)
    op.create_table('master_frame',
        sa.Column('master_id', sa.BigInteger(), nullable=False, comment='[-] master'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame combined into it'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('master_frame_frame_id_fkey')),
        sa.ForeignKeyConstraint(['master_id'], ['master.master_id'], name=op.f('master_frame_master_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('master_id', 'frame_id', name=op.f('master_frame_pkey')),
        comment='Which frames made a master.'
    )
    op.create_table('tie_star',
        sa.Column('tie_id', sa.BigInteger(), nullable=False, comment='[-] tie'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('reference_star_id', sa.BigInteger(), nullable=False, comment='[-] reference star'),
        sa.Column('residual', REAL(), nullable=False, comment='[mag] residual'),
        sa.Column('used', sa.Boolean(), nullable=False, comment='[-] whether it took part in the last fit'),
        sa.ForeignKeyConstraint(['tie_id'], ['tie.tie_id'], name=op.f('tie_star_tie_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('tie_id', 'source_id', name=op.f('tie_star_pkey')),
        comment='Which stars made a tie.'
    )
    op.execute(CreateSequence(SOURCE_SERIAL))
    op.execute(CALIBRATED)
    op.execute("COMMENT ON VIEW calibrated IS 'A row a point of the published solution.'")
    for column, comment in CALIBRATED_COMMENTS:
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN calibrated.{column} IS '{quoted}'")
    op.execute(sa.text(ARCHIVE_ROW).bindparams(version=photodb.__version__))


def downgrade() -> None:
    """Drop everything."""
    op.execute("DROP VIEW calibrated")
    for table in TABLES_LAST_FIRST:
        op.drop_table(table)
    op.execute(DropSequence(SOURCE_SERIAL))
