"""Variability indices, quality flags, reference stars and candidates; Sokolovsky et al. 2017, MNRAS 464, 274."""

from photodb.core.variability.compute import compute_indices, quality_flags
from photodb.core.variability.registry import INDICES, Index

__all__ = ["INDICES", "Index", "compute_indices", "quality_flags"]
