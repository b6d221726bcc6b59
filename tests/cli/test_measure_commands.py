"""measure on the command line: what it says, its record, and its exit codes."""

import json

import numpy as np

from tests.images.sky_frames import star_image, write_frame


def test_measure_says_what_it_did_and_what_it_could_not(run, tmp_path):
    rng = np.random.default_rng(4)
    sky = star_image(rng, n=60)[0]
    y, x = np.indices(sky.shape)
    new = 1500.0 * np.exp(-0.5 * ((x - 300) ** 2 + (y - 200) ** 2) / 1.36**2)
    paths = []
    for k in range(2):
        cards = {"DATE-OBS": f"2024-03-01T22:1{k}:00"}
        paths.append(
            write_frame(tmp_path / f"{k}.fits", sky + k * new + rng.normal(0, 9, sky.shape), **cards)
        )
    code, _, err = run("ingest", tmp_path, "--jobs", 0)
    assert code == 0 and "measurements at known places" in err
    code, out, _ = run("measure")
    assert (code, out) == (0, "nothing to do: every source is measured on every frame asked for\n")
    code, out, _ = run("measure", "--missing", "--dry-run", "--format", "json")
    left = json.loads(out)
    assert code == 0 and left["dry_run"] and left["n_forced"] > 0
    paths[0].unlink()
    code, out, err = run("measure", "--missing", "--jobs", 0)
    assert code == 1 and "0.fits (missing)" in err and "0 sources measured on 0 frames" in out
    assert run("measure", "--missing", "--jobs", 0, 2)[:2] == (
        0,
        "nothing to do: every source is measured on every frame asked for\n",
    )
    assert run("measure", "--band", "X")[0] == 5
    assert run("measure", "--min-detections", 0)[0] == 2
