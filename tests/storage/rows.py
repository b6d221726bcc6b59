"""Rows of bulk tables for tests, with the types of the tables themselves."""

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, REAL

from photodb.storage import tables

CODES = {
    REAL: "f4",
    DOUBLE_PRECISION: "f8",
    BigInteger: "i8",
    Integer: "i4",
    SmallInteger: "i2",
    Boolean: "?",
}
NUMBER_BITS = 20


def dtype_of(table, lengths=None):
    """Build the structured dtype of a table of numbers; `lengths` are those of its array columns."""
    fields = []
    for column in table.columns:
        if isinstance(column.type, ARRAY):
            fields.append((column.name, CODES[type(column.type.item_type)], ((lengths or {})[column.name],)))
        else:
            fields.append((column.name, CODES[type(column.type)]))
    return np.dtype(fields)


DETECTION = dtype_of(tables.detection, {"flux_aperture": 3, "flux_aperture_err": 3})


def detection_rows(frame_id, n=3, sources=None, seed=0):
    """Make `n` detections of a frame, each of its source in turn ('sources': pairs of cell and source_id)."""
    rng = np.random.default_rng([seed, frame_id])
    rows = np.zeros(n, DETECTION)
    for name in rows.dtype.names:
        if rows.dtype[name].base.kind == "f":
            rows[name] = rng.uniform(1, 2, rows[name].shape)
    rows["frame_id"] = frame_id
    rows["detection_id"] = (frame_id << NUMBER_BITS) + np.arange(n)
    rows["cell"], rows["source_id"] = (-1, -1) if sources is None else np.array(sources).T
    rows["class"] = 1
    return rows
