"""What the tests share: the library on the path, the real data where it is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_DIRECTORY = ROOT / "HER2Nomogram"
if str(MODULE_DIRECTORY) not in sys.path:
    sys.path.insert(0, str(MODULE_DIRECTORY))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images and tables beside the checkout; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip("the real test data (../shared/data) is not on this machine")
    return folder
