"""The command line: `photodb`. Each command group is a file of its own, imported when it is called."""

from __future__ import annotations

import difflib
import importlib
import os

import click

# before numpy is imported: the work is spread over processes, and threads of BLAS under them only get in the way
for _library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

COMMANDS: dict[str, tuple[str, str]] = {
    # command: (module:object, one line for `photodb --help`)
    "init": ("archive:init", "Make an archive, with an embedded PostgreSQL or at a URL."),
    "doctor": ("archive:doctor", "Check the machine, the archive and its settings."),
    "verify": ("archive:verify", "Check the archive for lost, doubled or orphaned rows."),
    "db": ("db:db", "Start, stop, upgrade, dump or restore the archive's database."),
    "telescope": ("telescope:telescope", "Describe telescopes and cameras."),
    "calib": ("calib:calib", "Build, list, show and drop the masters: bias, dark, flat."),
    "ingest": ("ingest:ingest", "Read frames: measure, register, place on the sky, store."),
    "measure": ("measure:measure", "Measure sources at their known places, detected or not."),
    "refcat": ("refcat:refcat", "Load, list, show and drop reference catalogues."),
    "objects": ("objects:objects", "Load and list known objects: names, variables, targets."),
    "frame": ("frame:frame", "List, show, reject and restore frames."),
    "qa": ("qa:qa", "Plot image quality and reject frames by thresholds."),
    "shift": ("shift:shift", "Plot the shifts of the frames and reject wrong ones."),
    "astrometry": (
        "astrometry:astrometry",
        "Place stored frames anew; show and plot how well they are placed.",
    ),
    "solve": ("solve:solve", "Fit zero points and spatial terms over all frames and stars."),
    "solution": ("solution:solution", "List, show, compare, publish and drop solutions."),
    "stats": ("stats:stats", "Compute noise, flags and variability indices of every source."),
    "variables": ("variables:variables", "List candidates of variable stars, best first."),
    "period": ("period:period", "Search the period of a source."),
    "audit": ("audit:audit", "Compare telescopes on the sources that they have in common."),
    "lightcurve": ("lightcurve:lightcurve", "Give the light curve at a position."),
    "coverage": ("coverage:coverage", "Tell which frames cover a position, and what is known there."),
    "source": ("source:source", "Show one source; merge and split sources."),
    "cone": ("cone:cone", "List the sources around a position."),
    "query": ("query:query", "Ask the archive in SQL, read only."),
    "export": ("export:export", "Write light curves and tables for other programs."),
    "plot": ("plot:plot", "Plot noise, zero points, residuals or coverage."),
    "run": ("run:run", "Do everything: ingest, solve, stats, with defaults."),
    "runs": ("runs:runs", "List, show and undo what was done."),
    "simulate": ("simulate:simulate", "Make frames of an invented sky with known truth."),
    "demo": ("demo:demo", "Simulate two telescopes, run the chain, compare with the truth."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of the work."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; a misspelt one is told what it may have meant."""
        if args and args[0] not in COMMANDS and args[0][:1].isalnum():
            near = difflib.get_close_matches(args[0], COMMANDS, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "'photodb --help' lists the commands"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(f".{module}", __name__), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PHOTODB"}
)
@click.version_option(package_name="photodb", message="photodb %(version)s")
@click.option(
    "--archive",
    "archive_location",
    metavar="DIR-or-URL",
    help="The archive; else PHOTODB_ARCHIVE, else ./photodb.toml.",
)
@click.pass_context
def cli(ctx: click.Context, archive_location: str | None) -> None:
    """Turn raw frames of many nights and telescopes into calibrated light curves and variable stars."""
    ctx.obj = archive_location


def main() -> None:
    """Run the command line and end with the documented exit code."""
    from .common import run_command_line

    run_command_line(cli)
