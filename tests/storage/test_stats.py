"""The rows of statistics."""

import numpy as np
import pytest
from sqlalchemy import text

from photodb.errors import StorageError
from photodb.storage import stats
from tests.helpers.small_archive import fill


def test_two_at_once_wait_for_each_other(database):
    solution_id = fill(database, n_frames=4, n_stars=6).solution_id
    nothing = np.zeros(0, stats.STAT_DTYPE)
    with database.begin() as first:
        stats.replace(first, solution_id, nothing)
        with pytest.raises(StorageError, match="lock timeout"), database.begin() as second:
            second.execute(text("SET LOCAL lock_timeout = '50ms'"))
            stats.replace(second, solution_id, nothing)
    with database.begin() as later:
        later.execute(text("SET LOCAL lock_timeout = '50ms'"))
        stats.replace(later, solution_id, nothing)
