"""The Python door: `photodb.open()` gives an `Archive` that answers with astropy tables."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from astropy.table import QTable, Table

from photodb.errors import UsageError
from photodb.steps import ask
from photodb.steps.coverage import frames_covering
from photodb.steps.places import find_place
from photodb.steps.variables import variables
from photodb.storage.coverage import Which
from photodb.storage.engine import Database, open_database


class Archive:
    """An open archive; use it as a context manager, or call `close`.

    Examples
    --------
    >>> import photodb
    >>> with photodb.open("nights") as archive:                       # doctest: +SKIP
    ...     curve = archive.lightcurve(31.0427, 46.6878)
    ...     print(curve["bjd_tdb", "mag", "mag_err"])
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def location(self) -> str:
        """Folder or URL of the archive, without passwords."""
        return self._database.location

    def lightcurve(
        self,
        ra: float | str,
        dec: float | None = None,
        radius_arcsec: float | None = None,
        band: str | None = None,
    ) -> QTable:
        """Return the calibrated light curve of the source nearest to a position.

        Parameters
        ----------
        ra, dec : float
            Degrees, ICRS; or the name of a known object alone.
        radius_arcsec : float, optional
            How far the source may be; by default what the astrometry of the frames there allows.
        band : str, optional
            Name of a band; all by default.

        Returns
        -------
        QTable
            A row a point, by time, with units: ``mjd`` and ``bjd_tdb`` (d), ``mag``, ``mag_err`` and its
            parts (mag), ``flags`` (bits of `photodb.core.flags.Flag`), ``good`` (no flag makes the magnitude
            doubtful), band, telescope, camera, frame and more. ``meta`` tells the source, its position, and
            what to know of it (``notes``).

        Raises
        ------
        photodb.errors.NothingMatched
            No source or no calibrated point there; the text tells what there is.

        Examples
        --------
        >>> curve = archive.lightcurve(31.0427, 46.6878)              # doctest: +SKIP
        >>> clean = curve[curve["good"]]                              # doctest: +SKIP
        >>> curve = archive.lightcurve("AF Vel")                      # doctest: +SKIP
        """
        ra, dec = self._place(ra, dec)
        radius = None if radius_arcsec is None else _number("radius_arcsec", radius_arcsec)
        answer = ask.light_curve(self._database, ra, dec, radius, band)
        table = as_table(answer.points)
        table.meta.update(
            source_id=int(answer.source["source_id"]),
            ra=float(answer.source["ra"]),
            dec=float(answer.source["dec"]),
            separation_arcsec=float(answer.source["separation_arcsec"]),
            notes=list(answer.notes),
        )
        return table

    def cone(self, ra: float | str, dec: float | None = None, radius_deg: float = 0.1) -> QTable:
        """Return the sources of a cone, nearest first, with mean magnitudes; empty where there is nothing.

        Its centre is a position in degrees, or the name of a known object alone.

        Examples
        --------
        >>> near = archive.cone(31.0427, 46.6878, 0.05)               # doctest: +SKIP
        >>> near["source_id", "separation_arcsec"]                    # doctest: +SKIP
        """
        ra, dec = self._place(ra, dec)
        return as_table(ask.cone(self._database, ra, dec, _number("radius_deg", radius_deg)))

    def _place(self, ra: float | str, dec: float | None) -> tuple[float, float]:
        """Return a position in degrees, given as such or by a name."""
        if dec is None:
            if not isinstance(ra, str):
                raise UsageError(
                    f"ra {ra!r} without dec: give both in degrees, or the name of a known object"
                )
            found = find_place(self._database, ra)
            return found.ra, found.dec
        return _number("ra", ra), _number("dec", dec)

    def coverage(
        self,
        ra: float,
        dec: float,
        radius_arcsec: float | None = None,
        band: str | None = None,
        camera: str | None = None,
        night: int | None = None,
        near_misses: bool = False,
    ) -> QTable:
        """Return the frames that cover a position, by time, and what is known there on each; empty without any.

        The column ``coverage`` is one of measured, forced, limit, masked, edge, rejected, and, with `near_misses`,
        outside; ``limit_5sigma`` is the calibrated magnitude of a star at five sigma there. ``meta`` has the
        number of frames that cover it and of those that have no place on the sky.

        Examples
        --------
        >>> known = archive.coverage(31.0427, 46.6878)                # doctest: +SKIP
        >>> known[known["coverage"] == "limit"]["mjd", "limit_5sigma"]     # doctest: +SKIP
        """
        ra, dec = _number("ra", ra), _number("dec", dec)
        radius = None if radius_arcsec is None else _number("radius_arcsec", radius_arcsec)
        which = Which(camera, band, None if night is None else int(_number("night", night)))
        answer = frames_covering(self._database, ra, dec, radius, which, near_misses)
        table = as_table(answer.columns)
        table.meta.update(n_frames=len(answer), n_without_place=answer.n_without_place)
        return table

    def variables(
        self, min_epochs: int = 0, band: str | None = None, min_score: float = 0.0, limit: int | None = None
    ) -> QTable:
        """Return the candidates of variable stars, best first; empty where there are none.

        Parameters
        ----------
        min_epochs : int, optional
            Least number of good points.
        band : str, optional
            Only this band.
        min_score : float, optional
            Least score: the highest z-score against stars of the same magnitude among the criteria passed.
        limit : int, optional
            At most so many.

        Raises
        ------
        photodb.errors.NothingMatched
            No solution, or no statistics yet.
        photodb.errors.UsageError
            A number that is none, or a negative limit.

        Examples
        --------
        >>> archive.variables(min_epochs=30)["source_id", "ra", "dec", "score", "reason"]    # doctest: +SKIP
        """
        if limit is not None and not 0 <= _number("limit", limit) < 2**63:
            raise UsageError(f"limit {limit}: must be 0 or more, or None for all")
        if not np.isfinite(_number("min_epochs", min_epochs)) or np.isnan(_number("min_score", min_score)):
            raise UsageError(f"min_epochs {min_epochs}, min_score {min_score}: must be numbers")
        most = None if limit is None else int(limit)
        found = variables(self._database, int(min_epochs), band, float(min_score), limit=most)
        return as_table({name: found[name] for name in found.dtype.names or ()})

    def query(self, sql: str, max_rows: int = 1_000_000) -> Table:
        """Ask in SQL, read only, and return the rows as a table.

        Examples
        --------
        >>> archive.query("SELECT band, count(*) FROM calibrated GROUP BY band")    # doctest: +SKIP
        """
        names, rows, _ = ask.question(self._database, sql, max_rows)
        return Table(rows=rows, names=names) if rows else Table(names=names, dtype=[object] * len(names))

    def close(self) -> None:
        """Close the connections; the last one out stops the archive's own server."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def _number(name: str, value: Any) -> float:
    """Return a number as a float; UsageError for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} {value!r}: must be a number") from error


def open_archive(location: str | None = None) -> Archive:
    """Open an archive: a folder made by ``photodb init``, or a PostgreSQL URL.

    Without `location`: ``PHOTODB_ARCHIVE``, else ``./photodb.toml``.

    Raises
    ------
    photodb.errors.ConfigurationError, photodb.errors.StorageError, photodb.errors.SchemaError
    """
    return Archive(open_database(location))


def as_table(columns: dict[str, Any]) -> QTable:
    """Return columns as a table with the units of `photodb.steps.ask.unit_of`."""
    table = Table(columns)
    for name in table.colnames:
        table[name].unit = ask.unit_of(name)
    return QTable(table)
