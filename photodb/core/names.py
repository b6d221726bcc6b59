"""Names of stars in one form, so that 'AF Vel', 'V* AF Vel' and 'af_vel' are the same."""

from __future__ import annotations

import re
import unicodedata

GREEK = {
    "alpha": "alf", "beta": "bet", "gamma": "gam", "delta": "del", "epsilon": "eps", "zeta": "zet", "eta": "eta",
    "theta": "tet", "iota": "iot", "kappa": "kap", "lambda": "lam", "mu": "mu", "nu": "nu", "xi": "ksi",
    "omicron": "omi", "pi": "pi", "rho": "rho", "sigma": "sig", "tau": "tau", "upsilon": "ups", "phi": "phi",
    "chi": "chi", "psi": "psi", "omega": "ome",
}  # fmt: skip
"""Letters by their names, as three letters of the catalogues."""
SYMBOLS = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", GREEK.values(), strict=True)) | {
    "ς": "sig",
    "ϑ": "tet",
    "ϕ": "phi",
}
WORDS = (
    GREEK
    | {v: v for v in GREEK.values()}
    | {"the": "tet", "alp": "alf", "iot": "iot", "xi": "ksi", "omg": "ome"}
)

CONSTELLATIONS = """
And Andromedae|Ant Antliae|Aps Apodis|Aqr Aquarii|Aql Aquilae|Ara Arae|Ari Arietis|Aur Aurigae|Boo Bootis|Cae Caeli|
Cam Camelopardalis|Cnc Cancri|CVn Canum Venaticorum|CMa Canis Majoris|CMi Canis Minoris|Cap Capricorni|Car Carinae|
Cas Cassiopeiae|Cen Centauri|Cep Cephei|Cet Ceti|Cha Chamaeleontis|Cir Circini|Col Columbae|Com Comae Berenices|
CrA Coronae Australis|CrB Coronae Borealis|Crv Corvi|Crt Crateris|Cru Crucis|Cyg Cygni|Del Delphini|Dor Doradus|
Dra Draconis|Equ Equulei|Eri Eridani|For Fornacis|Gem Geminorum|Gru Gruis|Her Herculis|Hor Horologii|Hya Hydrae|
Hyi Hydri|Ind Indi|Lac Lacertae|Leo Leonis|LMi Leonis Minoris|Lep Leporis|Lib Librae|Lup Lupi|Lyn Lyncis|Lyr Lyrae|
Men Mensae|Mic Microscopii|Mon Monocerotis|Mus Muscae|Nor Normae|Oct Octantis|Oph Ophiuchi|Ori Orionis|Pav Pavonis|
Peg Pegasi|Per Persei|Phe Phoenicis|Pic Pictoris|Psc Piscium|PsA Piscis Austrini|Pup Puppis|Pyx Pyxidis|Ret Reticuli|
Sge Sagittae|Sgr Sagittarii|Sco Scorpii|Scl Sculptoris|Sct Scuti|Ser Serpentis|Sex Sextantis|Tau Tauri|Tel Telescopii|
Tri Trianguli|TrA Trianguli Australis|Tuc Tucanae|UMa Ursae Majoris|UMi Ursae Minoris|Vel Velorum|Vir Virginis|
Vol Volantis|Vul Vulpeculae
"""
_PAIRS = [entry.strip().split(" ", 1) for entry in CONSTELLATIONS.replace("\n", "").split("|")]
GENITIVES = {genitive.lower(): short.lower() for short, genitive in _PAIRS}
SHORT = {short.lower() for short, _ in _PAIRS}

_PREFIX = re.compile(r"^(v\*|\*\*|\*|name|em\*|cl\*)\s+")
_GENITIVE = re.compile(r"\b(" + "|".join(sorted(GENITIVES, key=len, reverse=True)) + r")\b")
_END = re.compile(r"^(?P<star>.+?)[\s_]*(?P<where>" + "|".join(sorted(SHORT)) + r")(?P<part>[\s_]+[a-d])?$")
_NUMBERED = re.compile(r"^v\s*0*(\d+)$")
_LETTER = re.compile(r"^(?P<letter>[a-z]+)\.?[\s_]*0*(?P<number>\d*)$")
_GAP = re.compile(r"(?<=\d)[\s_]+(?=\d)")
_HYPHEN = re.compile(r"(?<!\d)-|-(?!\d)")


def normal_name(name: str) -> str:
    """Return the form of a name by which it is looked up; empty for a name of blanks.

    Lower case, without blanks, underscores and the prefixes of Simbad (V*, *, NAME); Greek letters as three letters;
    constellations as three letters; numbers without leading zeros (V0470 is V470). A hyphen stays between digits,
    where it may be a sign (ASAS J043223-6103.9), and a blank between digits becomes one.
    """
    text = unicodedata.normalize("NFKC", name).replace("\u2212", "-").replace("\u2013", "-").lower()
    for symbol, letters in SYMBOLS.items():
        text = text.replace(symbol, letters)
    text = _PREFIX.sub("", " ".join(text.replace("_", " ").split()))
    text = _GENITIVE.sub(lambda found: GENITIVES[found[1]], text)
    designated = _END.match(text)
    if designated and _is_designation(designated["star"]):
        return _designation(designated["star"]) + designated["where"] + (designated["part"] or "").strip(" _")
    words = [word.lstrip("0") or "0" if word.isdigit() else word for word in re.split(r"[\s_]+", text)]
    return re.sub(r"[\s_]+", "", _HYPHEN.sub("", _GAP.sub("-", " ".join(words))))


def _is_designation(star: str) -> bool:
    """Tell whether the part before a constellation is one that the catalogues of variables give."""
    letter = _LETTER.match(star)
    known = letter and (letter["letter"] in WORDS or len(letter["letter"]) <= 2)
    return bool(_NUMBERED.match(star) or known or star.isdigit())


def _designation(star: str) -> str:
    numbered = _NUMBERED.match(star)
    if numbered:
        return f"v{numbered[1]}"
    letter = _LETTER.match(star)
    if letter is None:
        return star.lstrip("0")
    return WORDS.get(letter["letter"], letter["letter"]) + letter["number"]


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def slips(normal: str) -> list[str]:
    """Return the normal forms one slip of the pen away: a letter more, less or other, or two swapped."""
    parts = [(normal[:i], normal[i:]) for i in range(len(normal) + 1)]
    fewer = {head + tail[1:] for head, tail in parts if tail}
    swapped = {head + tail[1] + tail[0] + tail[2:] for head, tail in parts if len(tail) > 1}
    other = {head + letter + tail[1:] for head, tail in parts if tail for letter in LETTERS}
    more = {head + letter + tail for head, tail in parts for letter in LETTERS}
    return sorted((fewer | swapped | other | more) - {normal, ""})
