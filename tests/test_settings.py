"""Which archive is taken, and that no password is ever shown."""

from pathlib import Path

import pytest

from photodb.errors import ConfigurationError
from photodb.settings import mask_password, read_file, resolve_archive


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, with no archive named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHOTODB_ARCHIVE", raising=False)


def archive(name, text='[archive]\ndirectory = "."\n'):
    folder = Path(name)
    folder.mkdir(exist_ok=True)
    (folder / "photodb.toml").write_text(text)
    return folder


def test_flag_over_variable_over_current_folder(monkeypatch):
    archive(".")
    assert resolve_archive().directory == Path.cwd()
    archive("b")
    monkeypatch.setenv("PHOTODB_ARCHIVE", "b")
    assert resolve_archive().directory == Path.cwd() / "b"
    assert resolve_archive().origin == "b/photodb.toml"
    archive("c")
    assert resolve_archive("c").directory == Path.cwd() / "c"
    assert resolve_archive("c/photodb.toml").directory == Path.cwd() / "c"
    assert resolve_archive("postgresql://h/d").url == "postgresql://h/d"


def test_parents_are_not_searched(monkeypatch):
    archive(".")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    with pytest.raises(ConfigurationError, match="photodb init"):
        resolve_archive()


@pytest.mark.parametrize("location", ["nowhere", "."])
def test_what_is_no_archive_names_init(location):
    with pytest.raises(ConfigurationError, match="photodb init"):
        resolve_archive(location)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[archive]\n", "either directory"),
        ('[archive]\ndirectory = "."\nurl = "postgresql://h/d"\n', "either directory"),
        ("[archive]\ndirectory = 5\n", "either directory"),
        ('[archive]\nurl = "mysql://me:secret@h/d"\n', "no URL of PostgreSQL"),
        ("archive = 5\n", "should be a table"),
        ("[archive\n", "not a TOML file"),
    ],
)
def test_bad_files_are_told(text, words):
    archive("bad", text)
    with pytest.raises(ConfigurationError, match=words) as told:
        resolve_archive("bad")
    assert "bad/photodb.toml" in str(told.value)


def test_a_folder_counts_from_its_file_and_settings_of_postgresql_are_read():
    archive(
        "a", '[archive]\ndirectory = "../data"\n[postgres]\nshared_buffers = "1GB"\nmax_connections = 50\n'
    )
    where = read_file(Path("a/photodb.toml"))
    assert where.directory == Path.cwd() / "data"
    assert where.server == {"shared_buffers": "1GB", "max_connections": "50"}


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://u@h/d", "postgres://u@h/d", "postgresql:///d?service=x"]
)
def test_urls_as_libpq_and_sqlalchemy_write_them(url):
    assert resolve_archive(url).url.startswith("postgresql://")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:sec:r@et@host:5432/d",
        "could not connect to postgresql+psycopg://me:secret@h/d: no",
        "postgresql:///d?user=me&password=secret&host=/tmp",
        "host=h password=secret user=me",
        "host=h password='sec ret' user=me",
    ],
)
def test_passwords_are_masked(text):
    masked = mask_password(text)
    assert "ret" not in masked and "***" in masked
    assert ("me" in masked) and ("h" in masked)


def test_text_without_a_password_stays():
    for text in ("postgresql://me@host/d", "postgresql:///d?host=/tmp", "no archive: 'x'"):
        assert mask_password(text) == text


def test_a_location_hides_its_password_however_it_is_shown():
    where = resolve_archive("postgresql://me:secret@h/d")
    assert "secret" not in f"{where} {where!r}" and where.url == "postgresql://me:secret@h/d"
