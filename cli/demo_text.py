"""What `photodb demo` prints: truth beside result, times, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photodb.simulate.results import Comparison
    from photodb.steps.demo import DemoReport

STARS = "simulated/truth/stars.ecsv"


def truth_beside_result(result: Comparison) -> str:
    """Write the comparison for people."""
    parts = (_frames, _places, _zero_points, _scatter, _variables, _false)
    return "\n\n".join(text for part in parts if (text := part(result)))


def _frames(result: Comparison) -> str:
    lines = [
        "Frames",
        f"  {result.n_frames} written, {result.n_accepted} accepted, {result.n_used} used by the solution",
        f"  {result.n_tree_set_aside} of {result.n_tree} behind the tree set aside",
    ]
    return "\n".join(lines + [f"  not used: {text}" for text in result.rejected])


def _places(result: Comparison) -> str:
    return (
        f"Places on the sky\n  {result.n_stars_matched} stars found; distance from the true place: median "
        f"{result.position_median:.3f} arcsec, rms {result.position_rms:.3f} arcsec"
    )


def _zero_points(result: Comparison) -> str:
    lines = ["Zero points against the truth (one constant removed a camera, band and component)"]
    for z in result.zero_points:
        lines.append(
            f"  {z.camera} {z.band}: {z.n_frames} frames, rms {1000 * z.rms:.2f} mmag, "
            f"worst {1000 * z.worst:+.2f} mmag ({Path(z.worst_path).name})"
        )
    return "\n".join([*lines, f"  all: rms {1000 * result.zero_point_rms:.2f} mmag"])


def _scatter(result: Comparison) -> str:
    lines = ["Scatter of bright constant stars"]
    for s in result.scatter:
        lines.append(
            f"  {s.band}: {s.n_stars} stars, median {1000 * s.median:.1f} mmag; {1000 * s.expected:.1f} mmag "
            f"expected from the true errors; scatter over the errors told {s.pull:.2f}"
        )
    return "\n".join(lines)


def _variables(result: Comparison) -> str:
    found = sum(bool(v.rank) for v in result.variables)
    head = f"Variables: {found} of {len(result.variables)} found; {len(result.missed)} clear ones missed"
    lines = [head, "  rank  kind         mag    amplitude  noise    true period  found period  "]
    for v in result.variables:
        rank = f"{v.rank:4d}" if v.rank else "   -"
        true, period = _days(v.period), _days(v.period_found)
        told = {"": "", "true": "right", "other": "other"}.get(v.match, f"{v.match} of it")
        lines.append(
            f"  {rank}  {v.kind:<11s} {v.mag:6.2f}  {v.amplitude:8.3f}  {v.noise:7.4f}  {true:>12s}  "
            f"{period:>12s}  {told}{'' if v.clear else '  (not clear of the noise)'}".rstrip()
        )
    return "\n".join(lines)


def _days(period: float) -> str:
    return f"{period:.4f} d" if period == period else "-"  # NaN is not equal to itself


def _false(result: Comparison) -> str:
    above = len(result.false_above)
    lines = [f"False candidates: {len(result.false)}, of which {above} stand above the last clear variable"]
    for f in result.false[:10]:
        what = f"star {f.star_id}" if f.star_id >= 0 else "no star"
        lines.append(
            f"  {f.rank:4d}  {what}, mag {f.mag:.2f}, RA {f.ra:.5f} Dec {f.dec:+.5f}: {', '.join(f.tags)}"
        )
    return "\n".join(lines)


def times(report: DemoReport) -> str:
    """Write how long each part took."""
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report.seconds.items())
    return f"\nSeconds: {parts}; together {sum(report.seconds.values()):.1f}"


def what_next(report: DemoReport, plots: list[Path]) -> str:
    """Write the commands to try next, with real places."""
    star: Any = next((v for v in report.comparison.variables if v.rank), None)
    ra, dec = (star.ra, star.dec) if star else (303.75, 35.0)
    lines = [f"\nPlots: {len(plots)} in {plots[0].parent}"] if plots else [""]
    lines += [
        "Try next:",
        f"  cd {report.directory}",
        "  photodb variables",
        f"  photodb lightcurve {ra:.5f} {dec:+.5f} --plot curve.png",
        f"  photodb period {ra:.5f} {dec:+.5f}",
        f"  photodb cone {ra:.5f} {dec:+.5f} 0.02",
        "  photodb frame list",
        "  photodb solution show",
        '  photodb query "select band, count(*), avg(mag_err) from calibrated group by band"',
        f"  less {STARS}",
    ]
    return "\n".join(lines)
