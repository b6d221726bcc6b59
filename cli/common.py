"""What the commands share: exit codes, opening the archive, options, tables and progress."""

from __future__ import annotations

import errno
import functools
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, NoReturn

import click

from photodb.errors import PhotodbError, StorageError, UsageError

from .position import SkyCommand, position_arguments
from .progress import TerminalProgress
from .tables import FORMATS, SCHEMA_VERSION, write_record, write_table

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_PARTIAL",
    "FORMATS",
    "POSITIVE",
    "SCHEMA_VERSION",
    "SkyCommand",
    "TerminalProgress",
    "confirm",
    "dry_run_option",
    "fail",
    "format_option",
    "message",
    "pass_database",
    "position_arguments",
    "run_command_line",
    "teller",
    "write_record",
    "write_report",
    "write_table",
    "yes_option",
]

EXIT_PARTIAL = 1
"""Exit code of a command that finished while some of its items failed."""

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C."""

POSITIVE = click.IntRange(1, 2**63 - 1)
"""A key of a row, or a count of rows: what the database's bigint holds."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def wants_color() -> bool | None:
    """Return False where NO_COLOR is set (https://no-color.org), else None: colour on terminals only."""
    return False if os.environ.get("NO_COLOR") else None


def message(text: str) -> None:
    """Say something on stderr."""
    click.echo(text, err=True, color=wants_color())


def teller(fmt: str) -> Callable[[str], None]:
    """Return where a command's words for people go: stdout, or stderr where a record goes to stdout."""
    return click.echo if fmt == "table" else message


def fail(text: str) -> None:
    """Say on stderr what went wrong, in red on a terminal."""
    click.echo(click.style("photodb: ", fg="red", bold=True) + text, err=True, color=wants_color())


def run_command_line(cli: click.Command, arguments: list[str] | None = None) -> NoReturn:
    """Run a command and end the process with one of the documented exit codes.

    0 done, 1 some items failed, 2 usage, 3 configuration, connection or storage, 4 schema out of date,
    5 nothing matched, 130 interrupted. A reader that closes the pipe early is no error; a bug is a traceback.
    """
    try:
        code = _invoke(cli, arguments, wants_color())
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_has_gone()
    sys.exit(code)


def _invoke(cli: click.Command, arguments: list[str] | None, color: bool | None) -> int:
    """Run the command; return its exit code, having told on stderr what failed."""
    stdout = sys.stdout
    try:
        result = cli.main(arguments, prog_name="photodb", standalone_mode=False, color=color)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except click.ClickException as error:
        _show(error, sys.argv[1:] if arguments is None else arguments)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        message("interrupted; what was finished is kept, and the same command goes on from there")
        return EXIT_INTERRUPTED
    except PhotodbError as error:
        fail(str(error))
        return error.exit_code
    except SystemExit as error:
        closed_pipe = sys.stdout is not stdout  # click wraps it and exits
        return _reader_has_gone() if closed_pipe else _exit_code(error)
    except BrokenPipeError:
        return _reader_has_gone()
    except OSError as error:
        fail(_os_error(error))
        return StorageError.exit_code


def _show(error: click.ClickException, arguments: Sequence[str]) -> None:
    """Say what click refused; an --archive behind the command is told its place."""
    if isinstance(error, click.UsageError) and error.ctx is not None and wants_color() is False:
        error.ctx.color = False
    if isinstance(error, click.NoSuchOption) and error.option_name == "--archive":
        fail(f"--archive stands before the command: {_archive_first(list(arguments))}")
    else:
        error.show()


def _archive_first(arguments: list[str]) -> str:
    """Return the command line with --archive and its value where they belong."""
    at = next((i for i, word in enumerate(arguments) if word.split("=")[0] == "--archive"), 0)
    length = 1 if "=" in arguments[at] else 2
    moved = arguments[at : at + length] if len(arguments) >= at + length else ["--archive", "DIR-or-URL"]
    return shlex.join(["photodb", *moved, *arguments[:at], *arguments[at + length :]])


def _exit_code(error: SystemExit) -> int:
    """Return the code of an exit, having told its text if it carries one."""
    if isinstance(error.code, int) or error.code is None:
        return error.code or 0
    fail(error.code)
    return EXIT_PARTIAL


def _os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    hint = "; free some space and run the same command again" if error.errno == errno.ENOSPC else ""
    return f"{error.strerror or error}{where}{hint}"


def _reader_has_gone() -> int:
    """Point stdout at nothing, so that the interpreter's last flush stays silent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it lives as long as the process
    return 0


def write_report(report: Any, fmt: str, **more: Any) -> None:
    """Write what a command did, a dataclass or a mapping, as a record on stdout; people get words instead."""
    if fmt != "table":
        fields = asdict(report) if is_dataclass(report) and not isinstance(report, type) else dict(report)
        write_record({**fields, **more}, fmt)


def pass_database(function: Callable[..., Any]) -> Callable[..., Any]:
    """Open the archive that the options and the environment name; pass it as the first argument; close it."""

    @click.pass_context
    def wrapper(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        from photodb.storage.engine import open_database

        with open_database(ctx.find_root().obj) as database:
            return ctx.invoke(function, database, *args, **kwargs)

    return functools.update_wrapper(wrapper, function)


def format_option(*more: str, default: str = "table") -> Decorator:
    """Add --format with the formats of every table, and those that only this command has."""
    return click.option(
        "--format",
        "fmt",
        type=click.Choice([*FORMATS, *more], case_sensitive=False),
        default=default,
        show_default=True,
        help="How to write the result on stdout.",
    )


dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")

yes_option = click.option("--yes", is_flag=True, help="Do not ask before something is destroyed.")


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal, refuse unless --yes was given.

    Raises
    ------
    UsageError
        Nobody can be asked, or the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is nobody to ask: add --yes to do it.")
    if not click.confirm(question, err=True):
        raise UsageError("not done")
