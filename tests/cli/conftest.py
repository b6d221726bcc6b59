"""Commands run in this process on a fresh archive."""

import pytest

from photodb.cli import cli
from photodb.cli.common import _invoke


@pytest.fixture
def run(archive_url, capsys):
    """A function that runs a command on an archive and returns exit code, stdout and stderr."""

    def call(*words):
        code = _invoke(cli, ["--archive", archive_url, *map(str, words)], None)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
