"""Names in one form: what is the same, and what is not."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodb.core.names import CONSTELLATIONS, GENITIVES, LETTERS, SHORT, normal_name, slips

SAME = (
    ("AF Vel", "V* AF Vel", "af vel", "AF_VEL", "AFVel", "AF  Velorum", " af\u00a0vel "),
    ("V0470 Lyr", "V470 Lyr", "v 470 lyr", "V470_Lyrae", "V470Lyr"),
    ("α Ori", "alpha Orionis", "* alf Ori", "alf Ori", "ALF ORI"),
    ("ο Cet", "omi Cet", "omicron Ceti", "* omi Cet"),
    ("bet01 Cyg", "β1 Cyg", "beta1 Cygni", "bet 1 Cyg"),
    ("mu. Cep", "μ Cep", "mu Cephei"),
    ("R And", "R     And", "r andromedae"),
    ("NSV 00123", "NSV 123", "nsv_123"),
    ("HAT-P-32", "HAT P 32", "HATP32", "hat-p-32"),
    ("ASAS J043223-6103.9", "asas J043223\u22126103.9", "ASASJ043223-6103.9"),
    ("TYC 3281-800-1", "TYC 3281 800 1"),
    ("Gaia DR3 4295806720", "gaia dr3 4295806720"),
    ("NAME Mira", "Mira", "mira"),
    ("TU UMa", "TU Ursae Majoris", "tu uma"),
    ("51 Peg", "51 Pegasi"),
)


@pytest.mark.parametrize("forms", SAME, ids=lambda forms: forms[0])
def test_forms_of_one_name(forms):
    assert len({normal_name(form) for form in forms}) == 1


def test_different_names_stay_different():
    others = ("ASAS J043223+6103.9", "V47 Lyr", "V4700 Lyr", "TYC 328-1800-1", "TYC 3281-80-1", "Gaia DR2 4295806720",
              "bet02 Cyg", "bet Cyg", "1RXS J1-2", "1RXS J12", "R Ant", "AF Vul", "alf Oct")  # fmt: skip
    normal = [normal_name(name) for name in (*others, *(forms[0] for forms in SAME))]
    assert len(set(normal)) == len(normal)


def test_there_are_88_constellations():
    assert len(SHORT) == 88 and len(GENITIVES) == 88 and CONSTELLATIONS.count("|") == 87


def test_names_of_variables_do_not_meet():
    """R..Z, RR..ZZ, AA..QZ without J, and V335 on, in two constellations: all apart."""
    letters = list("ABCDEFGHIKLMNOPQRSTUVWXYZ")
    pairs = [a + b for a, b in itertools.combinations_with_replacement(letters, 2)]
    stars = [*letters[letters.index("R") :], *pairs, *(f"V{k:04d}" for k in range(335, 2000))]
    names = {normal_name(f"{star} {where}") for star in stars for where in ("Sgr", "Sge", "CrA", "CMa")}
    assert len(names) == 4 * len(stars)


@given(st.text(max_size=30))
def test_the_form_is_its_own_form(name):
    once = normal_name(name)
    assert once == once.strip() and " " not in once and "_" not in once


def test_slips_are_one_step_away():
    near = slips("afvel")
    assert {"afvul", "fvel", "favel", "affvel", "afvel2", "sfvel"} <= set(near)
    assert "afvel" not in near and "vulaf" not in near
    assert slips("") == sorted(LETTERS)
