"""Skies and frames with known truth."""

from .nights import Weather
from .survey import Plan, plan, simulate, write_survey
from .truth import Truth, read_truth

__all__ = ["Plan", "Truth", "Weather", "plan", "read_truth", "simulate", "write_survey"]
