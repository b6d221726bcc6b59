"""Ask an archive every question of `photodb.storage.verify`; tell what is wrong and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

from photodb.steps.clocks import doubted_frames
from photodb.steps.progress import Progress, Silent
from photodb.storage import verify
from photodb.storage.engine import Database
from photodb.storage.verify import Problem


@dataclass(frozen=True)
class VerifyReport:
    """The names of the checks that were made, and the problems that they found."""

    checks: list[str]
    problems: list[Problem]
    doubts: str = ""  # frames whose time or pointing looks wrong: no fault of the archive


def verify_archive(db: Database, deep: bool = False, progress: Progress | None = None) -> VerifyReport:
    """Ask every question, each in its own transaction; `deep` recomputes every calibrated magnitude too."""
    progress = progress or Silent()
    progress.start(len(verify.CHECKS) + 2 + deep, "checks")
    done: list[str] = []
    problems: list[Problem] = []
    with db.begin() as conn:
        done.append(verify.SCHEMA_CHECK)
        problems += verify.schema_problems(conn)
    progress.advance()
    if problems:  # questions to other tables than expected would only fail
        progress.finish()
        return VerifyReport(done, problems)
    for check in verify.CHECKS:
        with db.begin() as conn:
            problem = verify.run_check(conn, check)
        done.append(check.name)
        problems += [problem] if problem else []
        progress.advance()
    with db.begin() as conn:
        done.append(verify.STALE_CHECK)
        problems += verify.stale_runs(conn)
    progress.advance()
    if deep:
        with db.begin() as conn:
            done.append(verify.CALIBRATION_CHECK)
            problems += verify.calibration_problems(conn)
        progress.advance()
    progress.finish()
    return VerifyReport(done, problems, doubted_frames(db))
