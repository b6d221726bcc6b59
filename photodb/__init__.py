"""photodb: raw frames of many nights and telescopes to calibrated light curves and variable stars.

The public door is `photodb.open()`, which returns an `Archive`.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("photodb")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
