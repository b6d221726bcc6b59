"""The order of photometric bands by wavelength, as far as their names tell."""

from __future__ import annotations

from collections.abc import Iterable

BLUE_TO_RED = "UuBbgGVvrRiIzZyYJHK"


def band_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names of bands, blue to red, and by name where that is not known."""
    return sorted({str(name) for name in names}, key=lambda n: (BLUE_TO_RED.find(n[:1]) % 99, n))
