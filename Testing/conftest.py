"""What the tests share: the library on the path, the real data where it is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_DIRECTORY = ROOT / "HER2Nomogram"
if str(MODULE_DIRECTORY) not in sys.path:
    sys.path.insert(0, str(MODULE_DIRECTORY))


from HER2NomogramLib.errors import InputError  # noqa: I001 - the library is on the path only now


def refusal_by(read, path: Path) -> str:
    """Message with which ``read`` refuses a file: one line that names it."""
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    return message


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> Path:
    """A small model that the tests of the module and its panel apply to phantoms."""
    from harness.samples import small_model

    path = tmp_path_factory.mktemp("model") / "small.json"
    small_model(path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images and tables beside the checkout; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip("the real test data (../shared/data) is not on this machine")
    return folder


def wait_until(condition, seconds: float = 20.0) -> None:
    """Wait for something that another process does; what it is asked for may be done in between."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
