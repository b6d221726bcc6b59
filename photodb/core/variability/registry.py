"""The registry of variability indices: name, unit, fewest points, reference, function.

The order is that of the columns of the archive's table `source_stat`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from photodb.core.variability import correlation, scatter

SOKOLOVSKY = "doi:10.1093/mnras/stw2262"


@dataclass(frozen=True)
class Index:
    """One variability index of a light curve."""

    name: str
    unit: str  # '-' for a pure number
    n_min: int  # points below which it is NaN
    reference: str
    function: Callable  # (t, m, e) -> float; compiled


INDICES: tuple[Index, ...] = (
    Index("mean_mag", "mag", 1, "", scatter.mean_mag),
    Index("median_mag", "mag", 1, "", scatter.median_mag),
    Index("weighted_mean", "mag", 1, "", scatter.weighted_mean),
    Index("sigma", "mag", 2, SOKOLOVSKY, scatter.sigma),
    Index("weighted_sigma", "mag", 2, SOKOLOVSKY, scatter.weighted_sigma),
    Index("clipped_sigma", "mag", 3, SOKOLOVSKY, scatter.clipped_sigma),
    Index("mad", "mag", 3, SOKOLOVSKY, scatter.mad),
    Index("iqr", "mag", 3, SOKOLOVSKY, scatter.iqr),
    Index("chi2_dof", "-", 2, SOKOLOVSKY, scatter.chi2_dof),
    Index("roms", "-", 2, "doi:10.1086/376509", scatter.roms),
    Index("norm_excess_variance", "-", 2, "doi:10.1086/303600", scatter.norm_excess_variance),
    Index("peak_to_peak", "-", 2, SOKOLOVSKY, scatter.peak_to_peak),
    Index("lag1", "-", 3, SOKOLOVSKY, correlation.lag1),
    Index("welch_stetson_i", "-", 4, "doi:10.1086/116556", correlation.welch_stetson_i),
    Index("stetson_j", "-", 2, "doi:10.1086/133808", correlation.stetson_j),
    Index("stetson_k", "-", 2, "doi:10.1086/133808", correlation.stetson_k),
    Index("stetson_l", "-", 2, "doi:10.1086/133808", correlation.stetson_l),
    Index("excursions", "-", 4, "doi:10.1088/0067-0049/211/1/3", correlation.excursions),
    Index("n3", "-", 3, SOKOLOVSKY, correlation.n3),
    Index("inverse_von_neumann", "-", 3, SOKOLOVSKY, correlation.inverse_von_neumann),
    Index("excess_abbe", "-", 8, "doi:10.1051/0004-6361/201322648", correlation.excess_abbe),
    Index("s_b", "-", 3, "doi:10.1051/0004-6361/201220824", correlation.s_b),
    Index("skewness", "-", 3, "", scatter.skewness),
    Index("kurtosis", "-", 4, "", scatter.kurtosis),
    Index("global_noise", "mag", 2, "", correlation.global_noise),
    Index("local_noise", "mag", 3, "", correlation.local_noise),
)

NAMES: tuple[str, ...] = tuple(index.name for index in INDICES)
