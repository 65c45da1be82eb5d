"""One way of extraction in a process of its own, which runs it as often as it is asked to.

Reads a line of JSON for each run from its input and answers with a line of JSON: seconds, the peak memory in MB so far,
and the values where they are asked for. Runs in one process are warm but for the first.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study
from peak import own_peak_mb

Values = dict[str, dict[str, float]]


def main() -> None:
    """Answer requests until the input ends."""
    logging.getLogger("radiomics").setLevel(logging.ERROR)
    answers, sys.stdout = sys.stdout, sys.stderr
    prepare = WAYS[sys.argv[1]]
    folder, options = Path(sys.argv[2]), json.loads(sys.argv[3])
    image, masks = study.read(folder, options.get("regions", 5))
    run, children = prepare(image, masks, options), Children()
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        values = run(children)
        seconds = time.perf_counter() - start
        answer = {
            "seconds": seconds,
            "peak_mb": children.peak_mb or own_peak_mb(),
            "count": sum(map(len, values.values())),
        }
        if request.get("values"):
            answer["values"] = values
        print(json.dumps(answer), file=answers, flush=True)


class Children:
    """Runs commands and keeps the largest peak of their memory."""

    def __init__(self):
        self.peak_mb = 0.0

    def run(self, command: list[str]) -> None:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                raise RuntimeError(output.read().decode(errors="replace")[-2000:])
        self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)


def command_line(image, masks, options: dict[str, Any]) -> Callable[[Children], Values]:
    """pyradiomics' command line, a process per region, image and mask through files: SlicerRadiomics' way."""
    import SimpleITK as sitk

    script = Path(__file__).with_name("log_in_plane.py")

    def run(children: Children) -> Values:
        found = {}
        for name, mask in masks.items():
            with tempfile.TemporaryDirectory() as folder:
                paths = [str(Path(folder) / file) for file in ("image.nrrd", "mask.nrrd", "settings.yaml", "out.csv")]
                sitk.WriteImage(image, paths[0])
                sitk.WriteImage(study.mask_image(mask, image), paths[1])
                # JSON is YAML.
                Path(paths[2]).write_text(json.dumps(study.content(**options["settings"])), encoding="utf-8")
                children.run(
                    [sys.executable, str(script), paths[0], paths[1], "--param", paths[2], "--out", paths[3]]
                    + ["--format=csv", "--verbosity=4", "--setting=label:1", "--setting=correctMask:True"]
                )
                with open(paths[3], encoding="utf-8", newline="") as file:
                    (row,) = csv.DictReader(file)
            found[name] = {
                key: float(value)
                for key, value in row.items()
                if key not in ("Image", "Mask") and not key.startswith("diagnostics")
            }
        return found

    return run


def one_by_one(image, masks, options: dict[str, Any]) -> Callable[[Children], Values]:
    """pyradiomics' extractor in one process, once per region."""
    import log_in_plane
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    log_in_plane.install()

    def run(_: Children) -> Values:
        found = {}
        for name, mask in masks.items():
            extractor = RadiomicsFeatureExtractor(study.content(**options["settings"]))
            row = extractor.execute(image, study.mask_image(mask, image))
            found[name] = {key: float(value) for key, value in row.items() if not key.startswith("diagnostics")}
        return found

    return run


def ours(image, masks, options: dict[str, Any]) -> Callable[[Children], Values]:
    """This software, with the engine and the number of threads that are asked for."""
    from HER2NomogramLib.features import ExtractionSettings, extract_regions

    settings = ExtractionSettings.from_dict(study.content(**options["settings"]))

    def run(_: Children) -> Values:
        return extract_regions(image, masks, settings, engine=options["engine"], threads=options.get("threads", 1))

    return run


WAYS = {"command line": command_line, "one by one": one_by_one, "ours": ours}

if __name__ == "__main__":
    main()
