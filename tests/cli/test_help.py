"""Every command helps, writers have --dry-run, and the README names them all."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from photodb.cli import COMMANDS, cli

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
TABLE = README[README.index("## Commands") : README.index("### Exit codes")]

WRITERS = {
    "ingest", "run", "frame reject", "frame restore", "qa apply", "shift reject", "solve", "stats",
    "telescope add", "refcat load", "runs undo", "solution publish", "solution drop",
}  # fmt: skip
CONTRACT = {
    "db": "start stop status url upgrade downgrade check dump restore",
    "telescope": "add list show",
    "frame": "list show reject restore",
    "qa": "plot apply",
    "shift": "plot reject",
    "refcat": "load list",
    "solution": "list show diff publish drop",
    "runs": "list show undo",
    "plot": "noise zeropoints residuals coverage",
    "export": "text",
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


def test_writers_can_be_tried_without_writing():
    for words, command in all_commands().items():
        if words in WRITERS:
            assert "--dry-run" in [option for p in command.params for option in p.opts], words


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name):
    assert f"`{name}" in TABLE or f", `{name}" in TABLE


def test_the_readme_names_no_command_that_is_not_there():
    for line in TABLE.splitlines():
        if line.startswith("| `"):
            words = [cell.strip("` ").split() for cell in line.split("|")[1].split(", ")]
            assert words[0][0] in COMMANDS, line
