"""Every command helps, writers have --dry-run, and the README names them all."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from photodb.cli import COMMANDS, cli

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
TABLE = README[README.index("## Commands") : README.index("### Exit codes")]

READERS = {
    "doctor", "verify", "frame list", "frame show", "qa plot", "qa list", "qa suggest", "shift plot",
    "solution list", "solution show", "solution diff", "audit", "variables", "period", "lightcurve", "coverage", "cone",
    "query", "source list", "source show", "source history", "source pairs", "astrometry show", "astrometry plot",
    "plot noise", "plot zeropoints", "plot residuals", "plot coverage", "runs list", "runs show",
    "telescope list", "telescope show", "refcat list", "refcat show", "objects list", "objects show", "objects match",
    "calib list", "calib show", "db status", "db url", "db check",
}  # fmt: skip
"""Commands that leave the archive as it is; a figure goes to the file that -o names."""

NO_DRY_RUN = {"db start", "db stop"}
"""They write nothing in the archive: the server runs, or it does not."""

NO_FORMAT = {
    "qa plot", "shift plot", "astrometry plot", "plot noise", "plot zeropoints", "plot residuals", "plot coverage",
    "simulate", "export text", "ingest", "telescope add", "telescope show", "refcat load",
}  # fmt: skip
"""What they make is in files, or in rows that 'list' and 'show' tell."""

CONTRACT = {
    "db": "start stop status url upgrade downgrade check dump restore",
    "telescope": "add list show",
    "frame": "list show reject restore",
    "qa": "plot apply list suggest measure",
    "shift": "plot reject",
    "astrometry": "solve show plot",
    "refcat": "load list show drop",
    "objects": "load list show match drop",
    "calib": "build list show drop",
    "solution": "list show diff publish drop",
    "runs": "list show undo",
    "plot": "noise zeropoints residuals coverage",
    "export": "text",
    "source": "list show merge split history pairs",
}


def all_commands() -> dict[str, click.Command]:
    """Return every command and subcommand by its words."""
    context = click.Context(cli)
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": child for sub, child in command.commands.items()}
    return found


def test_every_command_tells_what_it_does():
    for words, command in all_commands().items():
        result = CliRunner().invoke(cli, [*words.split(), "--help"])
        assert result.exit_code == 0, words
        assert command.help or command.get_short_help_str(), words


def test_the_contract_of_names_is_kept():
    commands = all_commands()
    for group, subcommands in CONTRACT.items():
        for name in subcommands.split():
            assert f"{group} {name}" in commands


def leaves() -> dict[str, set[str]]:
    """Return the options of every command that is no group, by its words."""
    return {
        words: {option for p in command.params for option in p.opts}
        for words, command in all_commands().items()
        if not isinstance(command, click.Group)
    }


def test_every_command_that_writes_can_be_tried_without_writing():
    assert set(leaves()) >= READERS | NO_DRY_RUN | NO_FORMAT
    without = {words for words, options in leaves().items() if "--dry-run" not in options}
    assert without - READERS - NO_DRY_RUN == set()


def test_every_command_answers_programs_too():
    without = {words for words, options in leaves().items() if "--format" not in options}
    assert without - NO_FORMAT == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name):
    assert f"`{name}" in TABLE or f", `{name}" in TABLE


def test_the_readme_names_no_command_that_is_not_there():
    for line in TABLE.splitlines():
        if line.startswith("| `"):
            words = [cell.strip("` ").split() for cell in line.split("|")[1].split(", ")]
            assert words[0][0] in COMMANDS, line
