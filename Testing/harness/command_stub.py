"""Stand-in for ``her2nomogram train``, ``validate`` and ``associate``: in an instant, or for ever, what a run can do.

    python command_stub.py BEHAVIOR train CASES.csv --out=MODEL.json --report=HTML ...

with the behavior finish, some, noted, fail, crash, nothing, no-model, unvalidated or hang. Results are empty files, and
the arguments are written beside the report.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def main(behavior: str, arguments: list[str]) -> int:
    options = dict(text[2:].split("=", 1) for text in arguments if text.startswith("--") and "=" in text)
    report = Path(options["report"])
    report.with_suffix(".arguments").write_text(json.dumps(arguments))
    print("some other line", flush=True)
    if "out" in options and "features" not in options:
        features = Path(options["out"]).with_name(f"{Path(options['out']).stem}_features.csv")
        features.write_text("case_id\n")
        print("progress: Extracting: 84/84", flush=True)
    print("progress: Validating internally: 57/250", flush=True)
    if behavior == "hang":
        worker = subprocess.Popen(SLEEP)  # as joblib's workers, which have to be ended too
        report.with_suffix(".worker").write_text(str(worker.pid))
        time.sleep(600)
    written = {"finish": ("out", "report"), "no-model": ("report",)}
    written |= dict.fromkeys(("some", "noted", "unvalidated"), written["finish"])
    for name in written.get(behavior, ()):
        if name in options:
            Path(options[name]).write_text("written")
    said = {
        "some": "tqdm 100%\nCase 'b' failed: 'b.png' is not there.\nCase 'c' failed: the mask is empty.",
        "noted": "Note: The fast feature engine needs the package numba. Therefore pyradiomics computes the features.",
        "fail": "her2nomogram: 'cases.csv' has no column 'her2': add the outcome.",
        "no-model": "her2nomogram: There is nothing to make a nomogram of (why). No model is written.",
        "unvalidated": "her2nomogram: no internal validation; the model is kept.",
        "crash": "Traceback (most recent call last):\n  File ...\nValueError: inside",
    }
    print(said.get(behavior, ""), file=sys.stderr)
    return {"some": 1, "no-model": 1, "unvalidated": 1, "fail": 2, "crash": 1}.get(behavior, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
