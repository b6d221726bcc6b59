"""Forced photometry and its kinds; masters with their pixels; quality measured again, rejections each by itself.

Revision ID: 0002
Revises: 0001

Frozen text: this file stays as it is when `photodb.storage.tables` changes; a test holds the newest migration and
the tables together. Points of solutions made before have no limit and the kind -2.
"""
# ruff: noqa: E501
# fmt: off

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, REAL

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KIND = "-1 PSF, K the aperture K of frame.aperture_radii (0 is the first), -2 the magnitude of its detection"

CALIBRATED_BEFORE = """
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

CALIBRATED = CALIBRATED_BEFORE.replace("p.cell\n", "p.cell,\n       p.mag_limit, p.photometry\n")

COMMENTS_BEFORE = (
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
COMMENTS = (
    *COMMENTS_BEFORE,
    ("detection_id", "[-] detection; -1 if measured without one"),
    ("mag_limit", "[mag] calibrated magnitude of a source of three times the flux error there; NaN if unknown"),
    ("photometry", f"[-] kind: {KIND}"),
)


MASTER_COMMENTS = (
    # column, before, after
    ("data_hash", "[-] SHA-256 of the pixels", "[-] SHA-256 of pixels and mask; NULL if rejected"),
    ("median", "[ADU] median of the pixels", "[ADU] median of the pixels; of a flat 1"),
    ("scatter", "[ADU] scatter of the pixels", "[ADU] scatter of the pixels; of a flat in units of its median"),
    ("reason", "[-] why it was rejected", "[-] why it was rejected, or a remark"),
)
MASTER_KEYS = ("bias_id", "dark_id")
MASTER_COLUMNS = ("mjd", "nx", "ny", "noise", "clipped", "n_bad", "fit", "with_bias", *MASTER_KEYS, "left_out")


def _make_view(select: str, comments: tuple[tuple[str, str], ...]) -> None:
    op.execute(select)
    op.execute("COMMENT ON VIEW calibrated IS 'A row a point of the published solution.'")
    for column, comment in comments:
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN calibrated.{column} IS '{quoted}'")


JUDGEMENTS = "Every judgement of a frame after ingest; a frame is rejected while one of its rejections stands."
JUDGEMENTS_BEFORE = "Every change of a frame's status after ingest, so that it can be undone."

RESTORED_BEFORE = """
UPDATE frame_judgement j SET withdrawn_run_id = (
  SELECT a.run_id FROM frame_judgement a WHERE a.frame_id = j.frame_id AND a.status = 'accepted'
  AND a.frame_judgement_id > j.frame_judgement_id ORDER BY a.frame_judgement_id LIMIT 1)
WHERE j.status = 'rejected'
"""


def _quality() -> None:
    op.create_table('frame_quality',
        sa.Column('frame_quality_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key; the newest of a frame counts'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('box', ARRAY(sa.Integer()), nullable=True, comment='[px] x0, y0, x1, y1 of the part of the dynamic range; NULL for the frame'),
        sa.Column('masks', ARRAY(sa.Integer()), server_default='{}', nullable=False, comment='[px] x0, y0, x1, y1 of each part left out, one after the other'),
        sa.Column('data_min', REAL(), nullable=False, comment='[ADU] low end of the dynamic range (0.1 percentile)'),
        sa.Column('data_max', REAL(), nullable=False, comment='[ADU] high end of the dynamic range'),
        sa.Column('dynamic_range', REAL(), nullable=False, comment='[ADU] data_max - data_min'),
        sa.Column('nonuniformity', REAL(), nullable=False, comment='[ADU] spread of the medians over nine areas, masked parts left out'),
        sa.Column('measured_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_quality_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('frame_quality_run_id_fkey')),
        sa.PrimaryKeyConstraint('frame_quality_id', name=op.f('frame_quality_pkey')),
        comment='Dynamic range and uniformity of a frame measured again after ingest, over other parts of it.'
    )
    op.create_index('frame_quality_frame_id_idx', 'frame_quality', ['frame_id'], unique=False)
    op.create_index('frame_quality_run_id_idx', 'frame_quality', ['run_id'], unique=False)


def _judgements() -> None:
    op.add_column('frame_judgement', sa.Column('remark', sa.Text(), server_default='', nullable=False, comment='[-] reason (a remark) that the frame had before'))
    op.add_column('frame_judgement', sa.Column('withdrawn_run_id', sa.BigInteger(), nullable=True, comment='[-] run that took this rejection back; NULL while it stands'))
    op.create_foreign_key(op.f('frame_judgement_withdrawn_run_id_fkey'), 'frame_judgement', 'run', ['withdrawn_run_id'], ['run_id'])
    op.create_index('frame_judgement_withdrawn_run_id_idx', 'frame_judgement', ['withdrawn_run_id'], unique=False)
    op.create_table_comment('frame_judgement', JUDGEMENTS, existing_comment=JUDGEMENTS_BEFORE)
    op.execute(RESTORED_BEFORE)


def _changed_sources() -> None:
    """Add to the history of sources what takes a change back."""
    op.add_column('source_history', sa.Column('detections', ARRAY(sa.BigInteger()), server_default='{}', nullable=False, comment='[-] detections that went from one source to the other'))
    op.add_column('source_history', sa.Column('moved_frames', ARRAY(sa.BigInteger()), server_default='{}', nullable=False, comment='[-] frames whose forced measurement went with them'))
    op.add_column('source_history', sa.Column('swapped_frames', ARRAY(sa.BigInteger()), server_default='{}', nullable=False, comment='[-] frames on which the two sources exchanged their forced measurements'))
    op.add_column('source_history', sa.Column('before', JSONB(), server_default='[]', nullable=False, comment='[-] the rows of source before'))
    op.execute("COMMENT ON COLUMN source_history.other_source_id IS '[-] the other source: that took it over, or that it was split off'")
    op.create_index(op.f('source_history_other_source_id_idx'), 'source_history', ['other_source_id'], unique=False)
    op.create_index('source_merged_into_idx', 'source', ['merged_into'], unique=False, postgresql_where=sa.text('merged_into >= 0'))


def _drop_changed_sources() -> None:
    op.drop_index('source_merged_into_idx', table_name='source')
    op.drop_index(op.f('source_history_other_source_id_idx'), table_name='source_history')
    op.execute("COMMENT ON COLUMN source_history.other_source_id IS '[-] the other source'")
    for name in ('before', 'swapped_frames', 'moved_frames', 'detections'):
        op.drop_column('source_history', name)


def _drop_quality_and_judgements() -> None:
    op.create_table_comment('frame_judgement', JUDGEMENTS_BEFORE, existing_comment=JUDGEMENTS)
    op.drop_index('frame_judgement_withdrawn_run_id_idx', table_name='frame_judgement')
    op.drop_column('frame_judgement', 'withdrawn_run_id')
    op.drop_column('frame_judgement', 'remark')
    op.drop_table('frame_quality')


def _places() -> None:
    """Add the former places of frames that were placed anew."""
    op.create_table('frame_place',
        sa.Column('frame_place_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.Column('placed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='[time] when the new place took over'),
        sa.Column('former', JSONB(), nullable=False, comment='[-] columns of the frame that its place made, as they were'),
        sa.Column('field', JSONB(), nullable=True, comment='[-] place of its field, as it was; NULL without a field'),
        sa.Column('source_id', ARRAY(sa.BigInteger()), nullable=False, comment='[-] source of each of its detections, brightest first, as it was; -1 if none'),
        sa.Column('flags', ARRAY(sa.Integer()), nullable=False, comment='[-] flags of its detections, as they were'),
        sa.Column('matches', JSONB(), nullable=False, comment='[-] its rows of astrometric_match, as they were'),
        sa.Column('renewed', sa.Boolean(), server_default='false', nullable=False, comment='[-] whether the means of the sources that it left were made anew'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_place_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('frame_place_run_id_fkey')),
        sa.PrimaryKeyConstraint('frame_place_id', name=op.f('frame_place_pkey')),
        comment='The place that a frame had before a run placed it anew, so that this can be undone.'
    )
    op.create_index('frame_place_frame_id_idx', 'frame_place', ['frame_id'], unique=False)
    op.create_index('frame_place_run_id_idx', 'frame_place', ['run_id'], unique=False)


def upgrade() -> None:
    """Add the tables and columns of forced photometry and of masters."""
    op.execute("DROP VIEW calibrated")
    op.add_column('frame', sa.Column('source_format', sa.Text(), server_default='pixels', nullable=False, comment='[-] pixels, or the format or column map of the star list that it was read from'))
    op.add_column('frame', sa.Column('channel', sa.Text(), server_default='', nullable=False, comment='[-] R, G or B of a colour camera, each a frame of its own; empty for others'))
    op.add_column('frame', sa.Column('n_forced', sa.Integer(), nullable=True, comment='[-] forced measurements stored; NULL until the frame was measured so'))
    op.add_column('frame', sa.Column('header_airmass', REAL(), nullable=True, comment='[-] airmass as the header tells it; NULL if it does not'))
    op.add_column('frame', sa.Column('doubts', sa.Integer(), server_default='0', nullable=False, comment='[-] bits of photodb.core.doubts: what looks wrong with its time or pointing; 0 if nothing'))
    op.add_column('frame', sa.Column('aperture_corrections', JSONB(), nullable=True, comment='[mag] what brings each kind of photometry to the scale of the main aperture, with its error and stars'))
    op.add_column('frame', sa.Column('shift_map', ARRAY(DOUBLE_PRECISION()), nullable=True, comment='[px] map from the reference frame: a, b, c, d, e, f of x = a X + b Y + e, y = c X + d Y + f'))
    op.add_column('frame', sa.Column('via_frame_id', sa.BigInteger(), nullable=True, comment='[-] frame whose stars it was matched with; NULL if those of the reference frame'))
    op.create_foreign_key(op.f('frame_via_frame_id_fkey'), 'frame', 'frame', ['via_frame_id'], ['frame_id'])
    op.add_column('frame', sa.Column('header_ra', DOUBLE_PRECISION(), nullable=True, comment='[deg] right ascension that the header tells; NULL if it does not'))
    op.add_column('frame', sa.Column('header_dec', DOUBLE_PRECISION(), nullable=True, comment='[deg] declination that the header tells; NULL if it does not'))
    op.add_column('detection', sa.Column('psf_size', REAL(), server_default='NaN', nullable=False, comment='[-] ln of the size against that of the PSF: 0 for a star; NaN if not fitted'))
    op.add_column('detection', sa.Column('psf_size_err', REAL(), server_default='NaN', nullable=False, comment='[-] its error'))
    op.add_column('source_stat', sa.Column('class', sa.SmallInteger(), server_default='0', nullable=False, comment='[-] 0 unknown, 1 star, 2 extended, 3 cosmic ray: of all its detections'))
    op.add_column('source_stat', sa.Column('psf_size', REAL(), server_default='NaN', nullable=False, comment='[-] mean ln of the size against that of the PSF; NaN if never fitted'))
    op.add_column('source_stat', sa.Column('psf_size_err', REAL(), server_default='NaN', nullable=False, comment='[-] its error'))
    op.create_index('frame_radius_idx', 'frame', ['radius'], unique=False)
    op.create_table('forced',
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5 of its source'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('detection_id', sa.BigInteger(), nullable=False, comment="[-] the frame's detection of the source; -1 if none"),
        sa.Column('x', REAL(), nullable=False, comment='[px] column where it was measured, 0 at the centre of the first pixel'),
        sa.Column('y', REAL(), nullable=False, comment='[px] row where it was measured'),
        sa.Column('flux_psf', REAL(), nullable=False, comment='[e-] flux by PSF fit, negative ones kept; NaN without a PSF'),
        sa.Column('flux_psf_err', REAL(), nullable=False, comment='[e-] its error'),
        sa.Column('psf_chi2', REAL(), nullable=False, comment='[-] chi2 per degree of freedom of the PSF fit; NaN without a PSF'),
        sa.Column('flux_aperture', ARRAY(REAL()), nullable=False, comment='[e-] flux in each aperture of frame.aperture_radii, negative ones kept'),
        sa.Column('flux_aperture_err', ARRAY(REAL()), nullable=False, comment='[e-] their errors'),
        sa.Column('sky', REAL(), nullable=False, comment='[e-/px] local sky'),
        sa.Column('sky_err', REAL(), nullable=False, comment='[e-/px] noise of the local sky, a pixel'),
        sa.Column('flags', sa.Integer(), nullable=False, comment='[-] bits of photodb.core.flags'),
        sa.Column('run_id', sa.BigInteger(), nullable=False, comment='[-] run that wrote the row'),
        sa.PrimaryKeyConstraint('frame_id', 'cell', 'source_id', name=op.f('forced_pkey')),
        comment='One source measured at its known place on one frame that covers it, detected there or not.',
        postgresql_partition_by='RANGE (frame_id)'
    )
    op.create_index('forced_source_id_idx', 'forced', ['source_id'], unique=False)
    op.create_index('forced_run_id_idx', 'forced', ['run_id'], unique=False, postgresql_using='brin')
    op.create_table('frame_photometry',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('frame_id', sa.BigInteger(), nullable=False, comment='[-] frame'),
        sa.Column('photometry', sa.SmallInteger(), nullable=False, comment=f'[-] {KIND}'),
        sa.Column('coefficients', ARRAY(DOUBLE_PRECISION()), nullable=False, comment='[mag] added to magnitudes of this kind to bring them to the scale of the main aperture: Legendre terms as in frame_term'),
        sa.Column('n_stars', sa.Integer(), nullable=False, comment='[-] stars that gave it'),
        sa.ForeignKeyConstraint(['frame_id'], ['frame.frame_id'], name=op.f('frame_photometry_frame_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('frame_photometry_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('solution_id', 'frame_id', 'photometry', name=op.f('frame_photometry_pkey')),
        comment='One kind of photometry on one frame of one solution: its aperture correction over the frame.'
    )
    op.create_table('source_photometry',
        sa.Column('solution_id', sa.BigInteger(), nullable=False, comment='[-] solution'),
        sa.Column('cell', sa.Integer(), nullable=False, comment='[-] HEALPix cell of order 5'),
        sa.Column('source_id', sa.BigInteger(), nullable=False, comment='[-] source'),
        sa.Column('band_id', sa.BigInteger(), nullable=False, comment='[-] band'),
        sa.Column('camera_id', sa.BigInteger(), nullable=False, comment='[-] camera'),
        sa.Column('photometry', sa.SmallInteger(), nullable=False, comment=f'[-] kind that its light curve is made of: {KIND}'),
        sa.Column('kinds', ARRAY(sa.SmallInteger()), nullable=False, comment='[-] kinds that were compared'),
        sa.Column('scatter', ARRAY(REAL()), nullable=False, comment='[mag] robust scatter of the light curve in each of `kinds`; NaN with too few points'),
        sa.Column('n_obs', sa.Integer(), nullable=False, comment='[-] points compared'),
        sa.Column('reason', sa.Text(), nullable=False, comment='[-] default, neighbours (constant stars of its magnitude) or own (its own scatter)'),
        sa.ForeignKeyConstraint(['band_id'], ['band.band_id'], name=op.f('source_photometry_band_id_fkey')),
        sa.ForeignKeyConstraint(['camera_id'], ['camera.camera_id'], name=op.f('source_photometry_camera_id_fkey')),
        sa.ForeignKeyConstraint(['cell', 'source_id'], ['source.cell', 'source.source_id'], name=op.f('source_photometry_cell_fkey')),
        sa.ForeignKeyConstraint(['solution_id'], ['solution.solution_id'], name=op.f('source_photometry_solution_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('solution_id', 'cell', 'source_id', 'band_id', 'camera_id', name=op.f('source_photometry_pkey')),
        comment='Which kind of photometry makes the light curve of a source, by band and camera, and why.'
    )
    op.add_column('light_curve_point', sa.Column('mag_limit', REAL(), server_default='NaN', nullable=False, comment='[mag] calibrated magnitude of a source of three times the flux error there; NaN if unknown'))
    op.add_column('light_curve_point', sa.Column('photometry', sa.SmallInteger(), server_default='-2', nullable=False, comment=f'[-] kind: {KIND}'))
    op.execute("COMMENT ON COLUMN light_curve_point.detection_id IS '[-] detection; -1 if measured without one'")
    op.execute("COMMENT ON TABLE light_curve_point IS 'One measurement in one solution; a partition a solution.'")
    _make_view(CALIBRATED, COMMENTS)
    _masters()
    _quality()
    _judgements()
    _changed_sources()
    _known_objects()
    _sources()
    _places()


def downgrade() -> None:
    """Drop all of that; light curves keep the points that have a detection."""
    _drop_changed_sources()
    _drop_known_objects()
    _drop_sources()
    op.drop_table('frame_place')
    _drop_quality_and_judgements()
    op.execute("DROP VIEW calibrated")
    op.execute("DELETE FROM light_curve_point WHERE detection_id < 0")
    op.execute("COMMENT ON COLUMN light_curve_point.detection_id IS '[-] detection'")
    op.execute("COMMENT ON TABLE light_curve_point IS 'One detection in one solution; a partition a solution.'")
    op.drop_column('light_curve_point', 'photometry')
    op.drop_column('light_curve_point', 'mag_limit')
    op.drop_table('source_photometry')
    op.drop_table('frame_photometry')
    op.drop_table('forced')
    op.drop_column('source_stat', 'psf_size_err')
    op.drop_column('source_stat', 'psf_size')
    op.drop_column('source_stat', 'class')
    op.drop_column('detection', 'psf_size_err')
    op.drop_column('detection', 'psf_size')
    op.drop_column('frame', 'header_dec')
    op.drop_column('frame', 'header_ra')
    op.drop_column('frame', 'via_frame_id')
    op.drop_column('frame', 'shift_map')
    op.drop_index('frame_radius_idx', table_name='frame')
    op.drop_column('frame', 'aperture_corrections')
    op.drop_column('frame', 'doubts')
    op.drop_column('frame', 'header_airmass')
    op.drop_column('frame', 'n_forced')
    op.drop_column('frame', 'channel')
    op.drop_column('frame', 'source_format')
    _make_view(CALIBRATED_BEFORE, COMMENTS_BEFORE)
    _drop_masters()


def _masters() -> None:
    """Add the pixels of masters and what is known of them."""
    op.alter_column('master', 'path', new_column_name='identity', comment='[-] SHA-256 of what it is made of: kind, camera, band, sections, frames')
    op.create_unique_constraint(op.f('master_identity_key'), 'master', ['identity'])
    for name, _, comment in MASTER_COMMENTS:
        op.alter_column('master', name, comment=comment)
    op.add_column('master', sa.Column('mjd', DOUBLE_PRECISION(), nullable=True, comment='[d] mean time of its frames, MJD UTC'))
    op.add_column('master', sa.Column('nx', sa.Integer(), nullable=True, comment='[px] width'))
    op.add_column('master', sa.Column('ny', sa.Integer(), nullable=True, comment='[px] height'))
    op.add_column('master', sa.Column('noise', REAL(), nullable=True, comment='[ADU] noise of one of its pixels; of a flat in units of its median'))
    op.add_column('master', sa.Column('clipped', REAL(), nullable=True, comment="[-] share of the frames' values left out as outliers"))
    op.add_column('master', sa.Column('n_bad', sa.Integer(), nullable=True, comment='[-] pixels masked'))
    op.add_column('master', sa.Column('fit', sa.Text(), nullable=True, comment="[-] sections and offset that the camera's description told; frames under others do not fit"))
    op.add_column('master', sa.Column('with_bias', sa.Boolean(), server_default='false', nullable=False, comment='[-] a dark from which no bias was taken'))
    op.add_column('master', sa.Column('bias_id', sa.BigInteger(), nullable=True, comment='[-] bias taken off its frames'))
    op.add_column('master', sa.Column('dark_id', sa.BigInteger(), nullable=True, comment='[-] dark taken off its frames'))
    op.add_column('master', sa.Column('left_out', JSONB(), server_default='{}', nullable=False, comment='[-] why frames of its group took no part, by frame_id'))
    for name in MASTER_KEYS:
        op.create_foreign_key(op.f(f'master_{name}_fkey'), 'master', 'master', [name], ['master_id'])
        op.create_index(op.f(f'master_{name}_idx'), 'master', [name], unique=False)
    op.create_table('master_piece',
        sa.Column('master_id', sa.BigInteger(), nullable=False, comment='[-] master'),
        sa.Column('piece', sa.Integer(), autoincrement=False, nullable=False, comment='[-] which piece, from 0'),
        sa.Column('content', sa.LargeBinary(), nullable=False, comment="[-] bytes of the master's FITS file"),
        sa.ForeignKeyConstraint(['master_id'], ['master.master_id'], name=op.f('master_piece_master_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('master_id', 'piece', name=op.f('master_piece_pkey')),
        comment='The pixels of a master: a FITS file (extensions MASTER and BPM) cut into pieces.'
    )
    op.execute("ALTER TABLE master_piece ALTER COLUMN content SET STORAGE EXTERNAL")  # packed already


def _drop_masters() -> None:
    """Drop the pixels of masters, and the masters with them: without pixels they are nothing."""
    op.drop_table('master_piece')
    op.execute("DELETE FROM frame_master")
    op.execute("DELETE FROM master")
    for name in reversed(MASTER_COLUMNS):
        op.drop_column('master', name)
    for name, comment, _ in MASTER_COMMENTS:
        op.alter_column('master', name, comment=comment)
    op.drop_constraint(op.f('master_identity_key'), 'master', type_='unique')
    op.alter_column('master', 'identity', new_column_name='path', comment="[-] file with the pixels, below the archive's folder")


def _known_objects() -> None:
    """Add known objects and their names; and what reference catalogues tell besides."""
    op.add_column('reference_catalogue', sa.Column('systems', ARRAY(sa.Text()), server_default='{}', nullable=False, comment='[-] magnitude system of each of bands: AB, Vega or unknown; empty if not told'))
    op.add_column('reference_catalogue', sa.Column('fastest', REAL(), server_default='0', nullable=False, comment='[mas/yr] largest proper motion among its stars'))
    op.execute("UPDATE reference_catalogue c SET fastest = coalesce((SELECT max(sqrt(pm_ra::float8 ^ 2 + pm_dec::float8 ^ 2)) FROM reference_star s WHERE s.reference_catalogue_id = c.reference_catalogue_id), 0)")
    op.create_index('reference_star_name_idx', 'reference_star', ['name'], unique=False)
    op.create_table('known_catalogue',
        sa.Column('known_catalogue_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name, unique; simbad and vsx hold what was asked for over the network'),
        sa.Column('kind', sa.Text(), server_default='variables', nullable=False, comment='[-] what its objects are, for example variables'),
        sa.Column('path', sa.Text(), nullable=True, comment='[-] file it was loaded from, or address that was asked'),
        sa.Column('data_hash', sa.Text(), nullable=True, comment='[-] SHA-256 of the file; NULL for answers of the network'),
        sa.Column('epoch', REAL(), server_default='2000', nullable=False, comment='[yr] Julian epoch of the positions'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('known_catalogue_run_id_fkey')),
        sa.PrimaryKeyConstraint('known_catalogue_id', name=op.f('known_catalogue_pkey')),
        sa.UniqueConstraint('name', name=op.f('known_catalogue_name_key')),
        comment='An outside catalogue of objects with names: variables, targets.'
    )
    op.create_index(op.f('known_catalogue_run_id_idx'), 'known_catalogue', ['run_id'], unique=False)
    op.create_table('known_object',
        sa.Column('known_object_id', sa.BigInteger(), autoincrement=True, nullable=False, comment='[-] key'),
        sa.Column('known_catalogue_id', sa.BigInteger(), nullable=False, comment='[-] catalogue'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name as the catalogue writes it'),
        sa.Column('healpix', sa.BigInteger(), nullable=False, comment='[-] HEALPix cell of order 29, nested'),
        sa.Column('ra', DOUBLE_PRECISION(), nullable=False, comment="[deg] right ascension (ICRS) at the catalogue's epoch"),
        sa.Column('dec', DOUBLE_PRECISION(), nullable=False, comment="[deg] declination (ICRS) at the catalogue's epoch"),
        sa.Column('pm_ra', REAL(), nullable=False, comment='[mas/yr] proper motion in right ascension times cos(dec); 0 if unknown'),
        sa.Column('pm_dec', REAL(), nullable=False, comment='[mas/yr] proper motion in declination; 0 if unknown'),
        sa.Column('position_error', REAL(), nullable=False, comment='[arcsec] error of the position; NaN if unknown'),
        sa.Column('type', sa.Text(), nullable=False, comment='[-] type of the object as the catalogue writes it; empty if none'),
        sa.Column('period', DOUBLE_PRECISION(), nullable=False, comment='[d] period; NaN if none'),
        sa.Column('epoch', DOUBLE_PRECISION(), nullable=False, comment='[d] time of maximum or minimum, JD as the catalogue writes it; NaN if none'),
        sa.Column('mag_max', REAL(), nullable=False, comment='[mag] magnitude at maximum; NaN if none'),
        sa.Column('mag_min', REAL(), nullable=False, comment='[mag] magnitude at minimum; NaN if none'),
        sa.Column('mag_band', sa.Text(), nullable=False, comment='[-] band of these magnitudes; empty if not told'),
        sa.Column('run_id', sa.BigInteger(), nullable=True, comment='[-] run that wrote the row'),
        sa.ForeignKeyConstraint(['known_catalogue_id'], ['known_catalogue.known_catalogue_id'], name=op.f('known_object_known_catalogue_id_fkey'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['run_id'], ['run.run_id'], name=op.f('known_object_run_id_fkey')),
        sa.PrimaryKeyConstraint('known_object_id', name=op.f('known_object_pkey')),
        comment='One object of a known catalogue.'
    )
    for column in ('known_catalogue_id', 'healpix', 'run_id'):
        op.create_index(op.f(f'known_object_{column}_idx'), 'known_object', [column], unique=False)
    op.create_table('known_name',
        sa.Column('normal', sa.Text(), nullable=False, comment='[-] name in the form of photodb.core.names, by which it is found'),
        sa.Column('known_object_id', sa.BigInteger(), nullable=False, comment='[-] object'),
        sa.Column('name', sa.Text(), nullable=False, comment='[-] name as it is written'),
        sa.ForeignKeyConstraint(['known_object_id'], ['known_object.known_object_id'], name=op.f('known_name_known_object_id_fkey'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('normal', 'known_object_id', name=op.f('known_name_pkey')),
        comment='One of the names of a known object.'
    )
    op.create_index(op.f('known_name_known_object_id_idx'), 'known_name', ['known_object_id'], unique=False)


def _drop_known_objects() -> None:
    for name in ('known_name', 'known_object', 'known_catalogue'):
        op.drop_table(name)
    op.drop_index('reference_star_name_idx', 'reference_star')
    op.drop_column('reference_catalogue', 'fastest')
    op.drop_column('reference_catalogue', 'systems')


SOURCE_COMMENTS = (
    # column, before, after
    ("healpix", "[-] HEALPix cell of order 29, nested, of the mean position", "[-] HEALPix cell of order 29, nested, within 1 arcsec of the mean position"),
    ("ra", "[deg] mean right ascension (ICRS)", "[deg] mean right ascension (ICRS) at mjd_mean"),
    ("dec", "[deg] mean declination (ICRS)", "[deg] mean declination (ICRS) at mjd_mean"),
)
SOURCE_COLUMNS = (
    # column, type, default, comment
    ("position_err", REAL, "NaN", "[arcsec] error of the mean position, an axis"),
    ("weight", DOUBLE_PRECISION, "1", "[arcsec-2] sum of the weights of the positions"),
    ("mjd_mean", DOUBLE_PRECISION, "0", "[d] weighted mean of the times, MJD UTC"),
    ("t_moment", DOUBLE_PRECISION, "0", "[d2/arcsec2] weighted sum of squares of the times"),
    ("ra_t_moment", DOUBLE_PRECISION, "0", "[d/arcsec] the same of time and right ascension"),
    ("dec_t_moment", DOUBLE_PRECISION, "0", "[d/arcsec] the same of time and declination"),
    ("pm_ra", REAL, "0", "[mas/yr] proper motion times cos(dec); 0 if not known"),
    ("pm_dec", REAL, "0", "[mas/yr] the same in declination"),
    ("pm_err", REAL, "NaN", "[mas/yr] error of the fitted one, an axis, known or not; NaN if not to be told, -1 of a catalogue's"),
    ("reach", REAL, "2", "[arcsec] how far from it the sharpest frame that saw it could tell no other star"),
    ("mag", REAL, "NaN", "[mag] mean instrumental magnitude on the sharpest frames: tells neighbours apart; NaN if none"),
)
WEIGHTS_FROM_SCATTER = """
UPDATE source SET weight = n_detections / greatest((ra_scatter ^ 2 + dec_scatter ^ 2) / 2, 0.04),
    mjd_mean = (first_mjd + last_mjd) / 2,
    position_err = sqrt(greatest((ra_scatter ^ 2 + dec_scatter ^ 2) / 2, 0.04) / n_detections)
WHERE n_detections > 0
"""


def _sources() -> None:
    """Add errors, weights and proper motions of mean positions; those of earlier sources are told from their scatter."""
    for name, _, comment in SOURCE_COMMENTS:
        op.alter_column('source', name, comment=comment)
    for name, kind, default, comment in SOURCE_COLUMNS:
        op.add_column('source', sa.Column(name, kind(), server_default=default, nullable=False, comment=comment))
    op.execute(WEIGHTS_FROM_SCATTER)
    op.execute("ALTER TABLE source SET (fillfactor = 50)")
    fast = sa.text("pm_ra * pm_ra + pm_dec * pm_dec >= 10000")
    op.create_index('reference_star_fast_idx', 'reference_star', ['healpix'], unique=False, postgresql_where=fast)


def _drop_sources() -> None:
    op.drop_index('reference_star_fast_idx', 'reference_star')
    op.execute("ALTER TABLE source RESET (fillfactor)")
    for name, *_ in reversed(SOURCE_COLUMNS):
        op.drop_column('source', name)
    for name, comment, _ in SOURCE_COMMENTS:
        op.alter_column('source', name, comment=comment)
