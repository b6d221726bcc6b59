"""The point-spread function of a frame: a Moffat profile whose shape varies over it, and a table of residuals.

Size and ellipticity are polynomials of the place on the frame (up to quadratic), and so is each node of the table,
which holds what the profile leaves of the stars (as in DAOPHOT, Stetson 1987, doi:10.1086/131977). The model `gaussian`
is that of DoPHOT (Schechter, Mateo & Saha 1993, doi:10.1086/133316): an elliptical Gaussian, the same all over the
(sub)image, and no table. A camera may cut its frames into subimages, each with a function of its own (`psf_grid`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.terms import scale_pixels
from .psfkernels import TERMS, make_stamps

MODELS = ("moffat", "gaussian")
NODES = 27
"""Nodes of the table along each axis."""
NODES_A_FWHM = 6.0

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Cell:
    """The function of one subimage."""

    x0: float  # px, first column and row, and the size
    y0: float
    nx: int
    ny: int
    shapes: Array  # (3, TERMS) coefficients of ln(size in px), e1, e2
    table: Array  # (terms, NODES, NODES) in units of the central value
    order: int  # of the shape's polynomial
    n_stars: int
    chi2: float  # a degree of freedom, median of the stars
    note: str = ""


@dataclass(frozen=True)
class PsfModel:
    """The point-spread function over one frame."""

    model: str
    twice_beta: int  # twice the exponent of the Moffat function; 0 for the Gaussian
    step: float  # px, between the nodes of the table
    fwhm: float  # px, at the centre of the frame
    grid: int
    cells: tuple[Cell, ...]  # row by row from the lower left

    @property
    def n_stars(self) -> int:
        """Stars that made it."""
        return sum(c.n_stars for c in self.cells)

    @property
    def order(self) -> int:
        """The lowest order of the cells."""
        return min(c.order for c in self.cells)

    @property
    def chi2(self) -> float:
        """Median over the cells."""
        return float(np.median([c.chi2 for c in self.cells]))

    def locate(self, x: Array, y: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Return the cell of each place and the coordinates in it, scaled to [-1, 1]."""
        first, last = self.cells[0], self.cells[-1]
        width, height = last.x0 + last.nx - first.x0, last.y0 + last.ny - first.y0
        column = np.clip((x + 0.5) * self.grid / width, 0, self.grid - 1).astype(np.int64)
        row = np.clip((y + 0.5) * self.grid / height, 0, self.grid - 1).astype(np.int64)
        cell = row * self.grid + column
        x0, y0, nx, ny = (
            np.array([getattr(c, n) for c in self.cells], float) for n in ("x0", "y0", "nx", "ny")
        )
        return cell, scale_pixels(x - x0[cell], nx[cell]), scale_pixels(y - y0[cell], ny[cell])

    def stamps(self, x: Array, y: Array, radius: Array, nx: int, ny: int) -> Stamps:
        """Return the function at each place (n,), of unit integral, out to `radius` (n,) px."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        cell, u, v = self.locate(x, y)
        boxes, offsets, values = make_stamps(
            x, y, np.asarray(radius, float), cell, u, v, self._shapes(), self._tables(), self._sums(), self.step,
            self.twice_beta, nx, ny,
        )  # fmt: skip
        return Stamps(boxes, offsets, values)

    def _shapes(self) -> Array:
        return np.stack([c.shapes for c in self.cells])

    def _tables(self) -> Array:
        n = max(c.table.shape[0] for c in self.cells)
        padded = np.zeros((len(self.cells), n, NODES, NODES))
        for k, c in enumerate(self.cells):
            padded[k, : c.table.shape[0]] = c.table
        return padded

    def _sums(self) -> Array:
        return self._tables().sum(axis=(2, 3)) * self.step**2

    def shape_at(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return FWHM (px) and ellipticity 1 - b/a of the profile at places (n,)."""
        from ..core.terms import design

        cell, u, v = self.locate(np.asarray(x, float), np.asarray(y, float))
        terms = design(u, v, 2)
        form = np.einsum("nkt,nt->nk", self._shapes()[cell], terms)
        e = np.minimum(np.hypot(form[:, 1], form[:, 2]), 0.9)
        return fwhm_of_size(self.twice_beta) * np.exp(form[:, 0]), 1 - np.sqrt((1 - e) / (1 + e))

    def noise_area(self) -> float:
        """Return the pixels (px2) whose noise a faint star's flux has: 1 / sum P^2, in the middle of the frame."""
        last = self.cells[-1]
        x, y = np.floor([(last.x0 + last.nx) / 2]), np.floor([(last.y0 + last.ny) / 2])
        values = self.stamps(x, y, np.array([6 * self.fwhm]), 2 * int(x[0]) + 2, 2 * int(y[0]) + 2).values
        return float(1.0 / np.sum(values.astype(float) ** 2))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the archive; the tables are 16-bit numbers in base64 (about 10 kB)."""
        cells = []
        for c in self.cells:
            scale = float(np.abs(c.table).max()) / 32767 if c.table.size else 0.0
            packed = np.rint(c.table / scale).astype("<i2") if scale > 0 else np.zeros(c.table.shape, "<i2")
            cells.append({
                "x0": c.x0, "y0": c.y0, "nx": c.nx, "ny": c.ny, "shapes": np.round(c.shapes, 7).tolist(),
                "table_terms": c.table.shape[0], "table_scale": scale,
                "table": base64.b64encode(packed.tobytes()).decode("ascii"),
                "order": c.order, "n_stars": c.n_stars, "chi2": round(c.chi2, 4), "note": c.note,
            })  # fmt: skip
        return {
            "model": self.model, "beta": self.twice_beta / 2, "order": self.order, "chi2": round(self.chi2, 4),
            "n_stars": self.n_stars, "fwhm": round(self.fwhm, 4), "grid": self.grid, "step": self.step, "cells": cells,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PsfModel:
        """Return the function that `to_dict` described."""
        cells = []
        for c in values["cells"]:
            packed = np.frombuffer(base64.b64decode(c["table"]), "<i2").reshape(
                c["table_terms"], NODES, NODES
            )
            cells.append(Cell(
                c["x0"], c["y0"], c["nx"], c["ny"], np.array(c["shapes"]), packed * float(c["table_scale"]),
                c["order"], c["n_stars"], c["chi2"], c["note"],
            ))  # fmt: skip
        return cls(
            values["model"],
            round(2 * values["beta"]),
            values["step"],
            values["fwhm"],
            values["grid"],
            tuple(cells),
        )

    def with_cell(self, number: int, cell: Cell) -> PsfModel:
        """Return the model with one subimage's function replaced."""
        return replace(self, cells=(*self.cells[:number], cell, *self.cells[number + 1 :]))


@dataclass(frozen=True)
class Stamps:
    """The function of each of n stars over its own pixels."""

    boxes: NDArray[np.int64]  # (n, 4) first column, end, first row, end
    offsets: NDArray[np.int64]  # (n + 1,) into values
    values: NDArray[np.float32]  # row by row, unit integral


def fwhm_of_size(twice_beta: int) -> float:
    """Return the FWHM of a profile of size 1."""
    return 2 * np.sqrt(2 * np.log(2)) if twice_beta == 0 else 2 * np.sqrt(2 ** (2 / twice_beta) - 1)


def empty_table(n_terms: int = 1) -> Array:
    """Return a table that adds nothing."""
    return np.zeros((n_terms, NODES, NODES))


def constant_shape(ln_size: float, e1: float = 0.0, e2: float = 0.0) -> Array:
    """Return the coefficients of a shape that does not vary."""
    shapes = np.zeros((3, TERMS))
    shapes[:, 0] = ln_size, e1, e2
    return shapes
