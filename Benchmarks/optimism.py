"""What the ways of validating a development say of it, against what is true: simulated cohorts with known outcomes.

Every cohort has 84 training cases and two regions of 200 correlated features. The truth is the AUC of the same model on
4,000 further cases. Printed are means over the cohorts, for features without and with a signal.

    python Benchmarks/optimism.py [--cohorts 10]
"""

from __future__ import annotations

import argparse

import numpy as np

from HER2NomogramLib.metrics import roc_auc
from HER2NomogramLib.pipeline import METHODS, RadiomicsNomogram
from HER2NomogramLib.resampling import validate_internally

TRAINING, TRUTH, FEATURES = 84, 4000, 200
COLUMNS = ("truth", "training row", "apparent", "optimism-corrected", "out of bag", "nested")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=10)
    options = parser.parse_args()
    for name, effect in (("noise", 0.0), ("a weak signal", 1.0)):
        found = [measure(effect, seed) for seed in range(options.cohorts)]
        print(f"\nAUC of the nomogram, mean of {options.cohorts} cohorts with {name}")
        print(f"{'':<14}" + "".join(f"{column:>20}" for column in COLUMNS))
        for method in METHODS:
            means = np.mean([areas[method] for areas in found], axis=0)
            print(f"{method:<14}" + "".join(f"{area:>20.3f}" for area in means))


def measure(effect: float, seed: int) -> dict[str, list[float]]:
    """Areas by method in the order of ``COLUMNS``."""
    rng = np.random.default_rng(seed)
    x, y = make_cases(rng, TRAINING, effect)
    new_x, new_y = make_cases(rng, TRUTH, effect)
    blocks = [("first", range(FEATURES)), ("second", range(FEATURES, 2 * FEATURES))]
    pipeline = RadiomicsNomogram(blocks, random_state=seed, n_jobs=2).fit(x, y)
    names = [""] * x.shape[1]
    internal = validate_internally(pipeline, x, y, np.arange(TRAINING), names, replicates=25, repeats=2, jobs=2)
    found = {}
    for method in METHODS:
        model = pipeline.models_[method]["nomogram"]
        bootstrap = internal.bootstrap[method].figures["nomogram"]["auc"]
        found[method] = [
            roc_auc(new_y, pipeline.log_odds(new_x, method)["nomogram"]).value,
            roc_auc(y, model.log_odds(pipeline.designs_[method])).value,
            bootstrap.apparent,
            bootstrap.corrected,
            bootstrap.out_of_bag,
            internal.nested[method].auc["nomogram"].value,
        ]
    return found


def make_cases(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Cases whose features share twelve latent textures, of which one goes with the outcome."""
    fixed = np.random.default_rng(7)
    loadings = fixed.normal(size=(12, 2 * FEATURES)) * (fixed.random((12, 2 * FEATURES)) < 0.4)
    textures = rng.normal(size=(n, 12))
    y = (rng.random(n) < 1 / (1 + np.exp(0.7 - effect * textures[:, 0]))).astype(int)
    return textures @ loadings + rng.normal(size=(n, 2 * FEATURES)), y


if __name__ == "__main__":
    main()
