"""Extraction by this software, by SlicerRadiomics' way, by pyradiomics and by others, side by side.

One phantom of 12 bits with a 20 mm lesion and four rings; original, LoG 1-5 mm, four wavelets, square, square root,
logarithm, exponential, gradient and LBP2D; all classes. Every way has a process of its own, which is asked in turn with
the others. Printed are medians, peak memory of the processes and the largest relative difference from pyradiomics.

SlicerRadiomics starts pyradiomics' command line for each region, with image and mask as files. On one slice pyradiomics
leaves LoG out, so in both of its ways LoG is computed in the plane, by the same filter of ITK as here.

    .venv/bin/python Benchmarks/extraction.py [--only table] [--sizes "2294 x 1914"] [--bin-widths 25] [--others PYTHON]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).with_name("ways")))
import study
from asking import Process, complete_rounds, in_turn, open_ways, shell, way

REFERENCE, COMMAND_LINE = "pyradiomics, one process", "SlicerRadiomics' way"
SHARED, ONE, TWO = "filters shared", "fast, one thread", "fast, two threads"
PARTS = ("table", "first", "regions", "areas", "cohort", "others")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=study.SIZES, default=list(study.SIZES))
    parser.add_argument("--bin-widths", nargs="+", type=float, default=[25.0, 5.0])
    parser.add_argument("--cohort", type=int, default=131, help="cases")
    parser.add_argument("--others", metavar="PYTHON", help="interpreter of an environment with MIRP and nyxus")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        studies = {name: apart(study.make, options.folder / name, *study.SIZES[name]) for name in options.sizes}
        if "table" in options.only:
            for (size, path), bin_width in itertools.product(studies.items(), options.bin_widths):
                side_by_side(size, path, bin_width, options.runs)
        first = next(iter(studies.values()))
        for part, measure in (
            ("first", first_call), ("regions", sixth_region), ("areas", areas), ("cohort", cohort), ("others", others),
        ):  # fmt: skip
            if part in options.only:
                measure(first, options)
    print(f"\nLoad at the end: {load()}")


def print_machine() -> None:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    packages = ("numpy", "scipy", "numba", "SimpleITK", "pyradiomics", "PyWavelets", "scikit-image")
    print(f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in packages))
    threads = {name: os.environ.get(name, "not set") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    print(", ".join(f"{name}: {value}" for name, value in threads.items()))


def apart(function: Callable, *arguments: Any) -> Any:
    """Call in a process of its own: what this one once held would count as memory of the processes it starts."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def load() -> str:
    """Mean number of processes that wanted to run in the last minute and in the last five, this one's included."""
    return " and ".join(f"{value:.1f}" for value in os.getloadavg()[:2])


def side_by_side(size: str, folder: Path, bin_width: float, runs: int) -> None:
    """The table of all ways on one image."""
    settings = {"settings": {"bin_width": bin_width}}
    processes = {
        COMMAND_LINE: way("command line", folder, **settings),
        REFERENCE: way("one by one", folder, **settings),
        SHARED: way("ours", folder, engine="pyradiomics", **settings),
        ONE: way("ours", folder, engine="fast", threads=1, **settings),
        TWO: way("ours", folder, engine="fast", threads=2, **settings),
    }
    before = load()
    with open_ways(processes):
        values = {}
        for name, process in processes.items():
            # The engine's first call loads its code and is not a warm one.
            values[name] = process.ask(counts=name not in (ONE, TWO), values=True)["values"]
        complete_rounds(processes, runs)
    count = sum(map(len, values[REFERENCE].values()))
    print(f"\n{size} pixels, bin width {bin_width:g}, 5 regions, {count} values, load {before}, then {load()}\n")
    print("| Way | Seconds | Lowest to highest | Runs | Times the fast one, two threads | Peak MB | Difference |")
    print("| - | -: | -: | -: | -: | -: | -: |")
    for name, process in processes.items():
        ratio = process.median / processes[TWO].median
        span = f"{min(process.seconds):.2f} to {max(process.seconds):.2f}"
        print(
            f"| {name} | {process.median:.2f} | {span} | {len(process.seconds)} | {ratio:.1f} "
            f"| {process.peak_mb:.0f} | {difference(values[name], values[REFERENCE]):.0e} |", flush=True,
        )  # fmt: skip


def difference(found: dict, reference: dict) -> float:
    """Largest relative difference of a value, infinite where one has a value and the other none."""
    worst = 0.0
    for region, values in reference.items():
        if set(values) != set(found[region]):
            return math.inf
        for name, value in values.items():
            other = found[region][name]
            if math.isnan(value) or math.isnan(other):
                worst = max(worst, 0.0 if math.isnan(value) and math.isnan(other) else math.inf)
            else:
                worst = max(worst, abs(other - value) / max(abs(value), 1e-12))
    return worst


def first_call(folder: Path, options: argparse.Namespace) -> None:
    """What the first call in a process takes, and the command as a user starts it."""
    fast = {"engine": "fast", "threads": 2, "settings": {"bin_width": 25.0}}
    first, second, peaks = [], [], []
    for number in range(3):
        cache = {"NUMBA_CACHE_DIR": str(options.folder / f"compiled{number}")}
        for seconds in (first, second):
            with open_ways({"": way("ours", folder, cache, **fast)}) as processes:
                seconds.append(processes[""].ask()["seconds"])
                peaks.append(processes[""].peak_mb)
    print(f"\nFirst call in a process, median of {len(first)}, at most {max(peaks):.0f} MB")
    print(f"  nothing compiled yet          {statistics.median(first):6.2f} s")
    print(f"  compiled code on disk         {statistics.median(second):6.2f} s")
    cases = apart(write_cases, folder, options.folder / "one.csv", 1)
    print("Whole process from the shell, one case read from its files, 5 regions, bin width 25")
    for engine, runs in (("fast", options.runs), ("pyradiomics", 3)):
        found = [shell(extract_command(cases, engine, 1)) for _ in range(runs + (engine == "fast"))]
        counted = found[1:] if engine == "fast" else found
        seconds = statistics.median(seconds for seconds, _ in counted)
        print(f"  --engine {engine:<12} {seconds:13.2f} s   {max(peak for _, peak in counted):.0f} MB   (of {runs})")


def write_cases(folder: Path, path: Path, count: int) -> Path:
    """A table of so many cases, all of them this one image with its lesion."""
    import SimpleITK as sitk

    image, masks = study.read(folder, 1)
    lesion = folder / "lesion.nrrd"
    sitk.WriteImage(study.mask_image(masks["intratumoral"], image), str(lesion), useCompression=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("case_id", "patient_id", "image", "segmentation"))
        writer.writerows((f"C{n}", f"P{n}", str(folder / "image.nrrd"), str(lesion)) for n in range(count))
    return path


def extract_command(cases: Path, engine: str, jobs: int) -> list[str]:
    """The command that extracts a table of cases with the module's own regions: lesion, two rings, both combined."""
    settings = cases.with_name("settings.yaml")
    settings.write_text(json.dumps(study.content(25.0)), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "HER2NomogramLib", "extract", str(cases), "--settings", str(settings)]
    return [*command, "--out", str(cases.with_suffix(".features.csv")), "--engine", engine, "--jobs", str(jobs)]


def sixth_region(folder: Path, options: argparse.Namespace) -> None:
    """What a sixth region costs; it is as large as the five are on average."""
    pixels = list(study.region_pixels(folder).values())
    print(f"\nA sixth region of {pixels[5]} pixels, the five have {sum(pixels[:5]) / 5:.0f} on average")
    for bin_width, threads in itertools.product(options.bin_widths, (1, 2)):
        fast = {"engine": "fast", "threads": threads, "settings": {"bin_width": bin_width}}
        with open_ways({count: way("ours", folder, regions=count, **fast) for count in (5, 6)}) as processes:
            warm_in_turn(processes, 3 * options.runs)
            five, six = processes[5].median, processes[6].median
        print(
            f"  bin width {bin_width:g}, {threads} thread(s): five {five:.3f} s, six {six:.3f} s, "
            f"the sixth {(six - five) / five:.0%} of the five"
        )


def warm_in_turn(processes: dict, runs: int) -> None:
    """As in_turn, after a call of each that does not count."""
    for process in processes.values():
        process.ask(counts=False)
    in_turn(processes, runs)


def areas(folder: Path, options: argparse.Namespace) -> None:
    """Time against the area of the regions in one image, and against the area of the image around the same regions."""
    rows, columns, spacing = study.SIZES[options.sizes[0]]
    print("\nOne thread, bin width 25, in seconds: regions of lesions of several sizes in one image")
    found = {diameter: apart(study.make, options.folder / f"lesion{diameter}", rows, columns, spacing, diameter)
             for diameter in (10.0, 20.0, 30.0, 40.0)}  # fmt: skip
    print_areas({f"lesion of {diameter:g} mm": path for diameter, path in found.items()}, options)
    print("The same regions in images of several sizes")
    print_areas(apart(images_of_sizes, folder, options.folder), options)


def images_of_sizes(folder: Path, target: Path) -> dict[str, Path]:
    """The regions of a study in a quarter of the image, the image, and one of four times its area."""
    import SimpleITK as sitk

    image, masks = study.read(folder)
    whole, spacing = sitk.GetArrayFromImage(image)[0], image.GetSpacing()
    hits = np.nonzero(np.any(list(masks.values()), axis=0))
    found = {}
    for factor in (0.5, 1.0, 2.0):
        sides = []
        for size, place in zip(whole.shape, hits):
            wanted = round(size * factor)
            # A window of this size around the regions, beyond the border where the image is too small.
            middle = (int(place.min()) + int(place.max())) // 2
            start = min(max(middle - wanted // 2, min(0, size - wanted)), max(0, size - wanted))
            sides.append((start, start + wanted))
        pads = [(max(0, -low), max(0, high - size)) for (low, high), size in zip(sides, whole.shape)]
        window = tuple(slice(low + before, high + before) for (low, high), (before, _) in zip(sides, pads))
        part = sitk.GetImageFromArray(np.pad(whole, pads, "edge")[window][np.newaxis])
        part.SetSpacing(spacing)
        cut = {name: np.pad(mask, pads)[window] for name, mask in masks.items()}
        assert all(cut[name].sum() == mask.sum() for name, mask in masks.items())
        path = target / f"factor{factor}"
        found[f"{sides[0][1] - sides[0][0]} x {sides[1][1] - sides[1][0]}"] = study.write(path, part, cut)
    return found


def print_areas(studies: dict[str, Path], options: argparse.Namespace) -> None:
    """A row for each study: pixels of the regions, seconds with and without LoG."""
    local = {name: custom for name, custom in study.IMAGE_TYPES.items() if name != "LoG"}
    chosen = {"all": study.IMAGE_TYPES, "without LoG": local, "LoG alone": {"LoG": study.IMAGE_TYPES["LoG"]}}
    print("| | Pixels of the regions | " + " | ".join(chosen) + " |\n| - | -: | -: | -: | -: |")
    ways = {
        (name, kind): way(
            "ours", path, engine="fast", threads=1, settings={"bin_width": 25.0, "image_types": image_types}
        )
        for name, path in studies.items()
        for kind, image_types in chosen.items()
    }
    with open_ways(ways) as processes:
        warm_in_turn(processes, options.runs)
    for name, path in studies.items():
        pixels = sum(list(study.region_pixels(path).values())[:5])
        print(f"| {name} | {pixels} | " + " | ".join(f"{ways[name, kind].median:.3f}" for kind in chosen) + " |")


def cohort(folder: Path, options: argparse.Namespace) -> None:
    """The command on a cohort, on one core and on two."""
    cases = apart(write_cases, folder, options.folder / "cohort.csv", options.cohort)
    print(f"\n{options.cohort} cases from the shell, images read, regions made, 5 regions each, bin width 25, one run")
    for jobs in (1, 2):
        seconds, peak = shell(extract_command(cases, "fast", jobs))
        print(
            f"  {jobs} process(es): {seconds:6.1f} s, {seconds / options.cohort:.2f} s a case, "
            f"the largest process {peak:.0f} MB",
            flush=True,
        )


def others(folder: Path, options: argparse.Namespace) -> None:
    """MIRP and nyxus on the classes that they share with pyradiomics, on the original image."""
    if not options.others:
        print("\nMIRP and nyxus left out: give --others the interpreter of an environment that has them.")
        return
    script = str(Path(__file__).parent / "ways" / "other_software.py")
    original = {"image_types": {"Original": {}}}
    for bin_width in options.bin_widths:
        settings = {"settings": {"bin_width": bin_width, **original}}
        print(f"\nOriginal image alone, 5 regions, bin width {bin_width:g}")
        arguments = [str(folder), str(bin_width)]
        made = {name: Process([options.others, script, name, *arguments]) for name in ("mirp", "nyxus")}
        made |= {
            REFERENCE: way("one by one", folder, **settings),
            TWO: way("ours", folder, engine="fast", threads=2, **settings),
        }
        with open_ways(made):
            counts = {}
            for name in list(made):
                try:
                    counts[name] = made[name].ask(counts=False)["count"]
                except RuntimeError as error:
                    reason = (str(error).strip().splitlines() or ["it ended"])[-1]
                    print(f"  {name} left out: {reason:.150}")
                    made.pop(name).close()
            in_turn(made, options.runs)
        for name, process in made.items():
            ratio = process.median / made[TWO].median
            facts = f"{process.peak_mb:5.0f} MB  {counts[name]} values"
            print(f"  {name:<26} {process.median:8.3f} s  {ratio:6.1f} times  {facts}")


if __name__ == "__main__":
    main()
