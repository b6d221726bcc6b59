"""The floors of the house: imports only go down, and each outside library has its room."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    # package: the packages of photodb that it may import
    "core": {"core", "errors"},
    "images": {"images", "core", "errors"},
    "simulate": {"simulate", "core", "errors"},
    "storage": {"storage", "core", "errors", "settings", "migrations"},
    "steps": {"steps", "storage", "images", "simulate", "core", "errors", "settings", "export", "plots"},
    "export": {"export", "steps", "storage", "core", "errors", "settings"},
    "plots": {"plots", "core", "errors"},
    "migrations": {"migrations", "storage"},
    "cli": {"cli", "steps", "export", "plots", "storage", "images", "simulate", "core", "errors", "settings"},
    # the public door and its neighbours
    "": {"steps", "storage", "errors", "settings", "archive", ""},
}

ONLY_IN = {
    "sqlalchemy": {"storage", "migrations"},
    "psycopg": {"storage"},
    "alembic": {"storage", "migrations"},
    "click": {"cli"},
    "sep": {"images"},
    "photutils": {"images"},
    "matplotlib": {"plots"},
}

CORE_LIBRARIES = {"numpy", "scipy", "numba", "astropy", "cdshealpix", "erfa"}
CORE_FORBIDDEN = {
    "os",
    "pathlib",
    "io",
    "logging",
    "time",
    "datetime",
    "socket",
    "subprocess",
    "shutil",
    "tempfile",
}


def room_of(path: Path) -> str:
    """Return the package a file belongs to; '' for the top of photodb."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "photodb":
        return parts[1] if len(parts) > 2 else ""
    return parts[0]


def sources() -> list[Path]:
    return sorted(p for top in ("photodb", "cli", "migrations") for p in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return the absolute names of the modules that a file imports anywhere in it."""
    package = ["photodb", *path.relative_to(ROOT).parts[:-1]]
    package = package[1:] if package[1:2] == ["photodb"] else package
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.add(module)
            if module == "photodb" or (node.level and not node.module):
                found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_go_down(path):
    room = room_of(path)
    allowed = FLOORS[room] | ({"", "cli"} if path.name == "__main__.py" else {""})
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "photodb" and len(parts) > 1:
            below = parts[1] if (ROOT / "photodb" / parts[1]).is_dir() or parts[1] in FLOORS else ""
            below = parts[1] if parts[1] in ("errors", "settings", "archive") else below
            assert below in allowed, f"{room or 'the top'} imports {module}"
        assert parts[0] not in ("cli", "migrations"), (
            f"{module}: these are photodb.cli and photodb.migrations"
        )


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_each_library_has_its_room(path):
    for module in imports(path):
        library = module.split(".")[0]
        if library in ONLY_IN:
            assert room_of(path) in ONLY_IN[library], f"only {ONLY_IN[library]} may import {library}"


@pytest.mark.parametrize("path", sorted((ROOT / "photodb/core").rglob("*.py")), ids=lambda p: p.name)
def test_the_core_knows_numbers_only(path):
    for module in imports(path) - {"__future__"}:
        library = module.split(".")[0]
        if library != "photodb":
            assert library in CORE_LIBRARIES or library in sys.stdlib_module_names, module
        assert library not in CORE_FORBIDDEN, f"core opens nothing, logs nothing, knows no clock: {module}"


def test_storage_and_images_do_not_know_each_other():
    for path in sources():
        rooms = {m.split(".")[1] for m in imports(path) if m.startswith("photodb.") and m.count(".") >= 1}
        assert not (room_of(path) == "storage" and "images" in rooms)
        assert not (room_of(path) == "images" and "storage" in rooms)


def test_the_rules_notice_a_breach(tmp_path, monkeypatch):
    wrong = ROOT / "photodb" / "core" / "flags.py"
    assert room_of(wrong) == "core"
    tree = ast.parse("from ..storage import tables\nimport click\nfrom photodb import steps")
    monkeypatch.setattr(ast, "parse", lambda _: tree)
    assert imports(wrong) >= {"photodb.storage", "click", "photodb.steps"}
