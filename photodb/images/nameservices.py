"""Ask Simbad (through the name resolver of CDS) or VSX over the network where an object is. Only on request."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UsageError
from .objectlists import MAG, OBJECT

SIMBAD = "https://cds.unistra.fr/cgi-bin/nph-sesame/-oxI/S?{name}"
VSX = "https://vsx.aavso.org/index.php?view=api.object&format=json&ident={name}"
ADDRESSES = {"simbad": SIMBAD, "vsx": VSX}
TIME_LIMIT_S = 10.0
MOST_BYTES = 2_000_000


def address(service: str) -> str:
    """Return the address of a service, {name} for the name: PHOTODB_SIMBAD_URL or PHOTODB_VSX_URL, else its own.

    Raises
    ------
    UsageError : no such service, or the variable holds no address of http.
    """
    if service not in ADDRESSES:
        raise UsageError(f"no service {service!r}; known are {', '.join(ADDRESSES)}")
    variable = f"PHOTODB_{service.upper()}_URL"
    told = os.environ.get(variable) or ADDRESSES[service]
    if not told.startswith(("https://", "http://")) or "{name}" not in told:
        raise UsageError(f"{variable} = {told!r}: an address of http or https with {{name}} in it needed")
    return told


def ask(service: str, name: str, time_limit_s: float = TIME_LIMIT_S) -> NDArray | None:
    """Ask a service for an object: one row of `OBJECT`; None if it knows none of that name.

    Raises
    ------
    NetworkError : it cannot be reached in time, or its answer is not one.
    """
    where = address(service).replace("{name}", urllib.parse.quote(name))
    answer = _fetched(service, where, time_limit_s)
    try:
        return READERS[service](answer)
    except (ElementTree.ParseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetworkError(
            f"{service} ({_host(where)}) answered with what is no object: {str(error)[:120]}"
        ) from error


def _fetched(service: str, where: str, time_limit_s: float) -> bytes:
    request = urllib.request.Request(where, headers={"User-Agent": "photodb"})
    try:
        with urllib.request.urlopen(request, timeout=time_limit_s) as answer:
            found: bytes = answer.read(MOST_BYTES)
            return found
    except (urllib.error.URLError, HTTPException, OSError) as error:
        reason = str(getattr(error, "reason", "") or error)[:120]
        raise NetworkError(
            f"{service} ({_host(where)}) cannot be asked: {reason}. Without the network, load a catalogue: 'photodb "
            "objects load FILE --name N'"
        ) from error


def _host(where: str) -> str:
    return urllib.parse.urlsplit(where).netloc


def read_sesame(answer: bytes) -> NDArray | None:
    """Read the XML of the CDS name resolver; None where it found nothing."""
    for resolver in ElementTree.fromstring(answer).iter("Resolver"):
        ra, dec = _float(resolver.findtext("jradeg")), _float(resolver.findtext("jdedeg"))
        name = " ".join((resolver.findtext("oname") or "").split())
        if not (np.isfinite(ra) and np.isfinite(dec) and name):
            continue
        errors = [_float(resolver.findtext(f"err{axis}mas")) / 1000 for axis in ("RA", "DE")]
        return _object(
            name, ra, dec,
            aliases=[" ".join((e.text or "").split()) for e in resolver.findall("alias")],
            pm=(_float(resolver.findtext("pm/pmRA")), _float(resolver.findtext("pm/pmDE"))),
            error=float(np.nanmax(errors)) if np.isfinite(errors).any() else float("nan"),
            type=(resolver.findtext("otype") or "").strip(),
        )  # fmt: skip
    return None


def read_vsx(answer: bytes) -> NDArray | None:
    """Read the JSON of VSX; None where it found nothing."""
    found = json.loads(answer)["VSXObject"]
    if not found:
        return None
    bright, band = _magnitude(found.get("MaxMag"))
    cell = str(found.get("MinMag") or "")
    faint, _ = _magnitude(cell)
    return _object(
        str(found["Name"]), float(found["RA2000"]), float(found["Declination2000"]),
        aliases=[str(found[key]) for key in ("AUID",) if found.get(key)],
        pm=(_float(found.get("ProperMotionRA")), _float(found.get("ProperMotionDec"))),
        type=str(found.get("VariabilityType") or ""),
        period=_float(found.get("Period")), epoch=_float(found.get("Epoch")),
        mag=(bright, bright + faint if "(" in cell else faint), band=band,
    )  # fmt: skip


READERS: Mapping[str, Callable[[bytes], NDArray | None]] = {"simbad": read_sesame, "vsx": read_vsx}


def _object(name: str, ra: float, dec: float, *, aliases: list[str], pm: tuple[float, float], type: str,
            error: float = float("nan"), period: float = float("nan"), epoch: float = float("nan"),
            mag: tuple[float, float] = (float("nan"), float("nan")), band: str = "") -> NDArray:  # fmt: skip
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise ValueError(f"a position of RA {ra} Dec {dec}")
    made = np.zeros(1, OBJECT)
    row = made[0]
    row["name"], row["ra"], row["dec"], row["aliases"] = name, ra % 360.0, dec, [a for a in aliases if a]
    row["pm_ra"], row["pm_dec"] = np.nan_to_num(pm)
    row["position_error"], row["type"], row["period"], row["epoch"] = error, type, period, epoch
    row["mag_max"], row["mag_min"], row["mag_band"] = *mag, band
    return made


def _float(text: Any) -> float:
    try:
        return float(str(text).strip()) if text is not None else float("nan")
    except ValueError:
        return float("nan")


def _magnitude(cell: Any) -> tuple[float, str]:
    found = MAG.match(str(cell or ""))
    return (float(found["mag"]), found["band"] or "") if found else (float("nan"), "")
