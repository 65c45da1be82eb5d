"""Whether the library that Slicer finds is complete. Run by ctest in Slicer; see CMakeLists.txt beside this file.

In the build tree Slicer finds the copy that CMake made, not the sources: a file that is missing in the CMake lists is
missing here. Only the standard library, what Slicer bundles, and HER2NomogramLib are needed.
"""

import importlib
import pkgutil
import unittest
from pathlib import Path

import HER2NomogramLib

# What the module needs to apply a model; the other files may want packages that Slicer does not bundle.
APPLYING = (
    "drawing errors features files mammogram modelfile nomogram_plot prediction regions scale segmentation".split()
)


class PackagedLibraryTest(unittest.TestCase):
    """The packaged copy of HER2NomogramLib and its resources."""

    def test_what_applies_a_model_needs_only_bundled_packages(self):
        for name in APPLYING:
            with self.subTest(name):
                importlib.import_module(f"HER2NomogramLib.{name}")

    def test_no_library_file_imports_one_that_is_not_packaged(self):
        names = [module.name for module in pkgutil.iter_modules(HER2NomogramLib.__path__)]
        self.assertTrue(set(APPLYING) <= set(names), names)
        for name in sorted(set(names) - {"__main__"}):
            with self.subTest(name):
                try:
                    importlib.import_module(f"HER2NomogramLib.{name}")
                except ModuleNotFoundError as error:
                    self.assertFalse((error.name or "").startswith("HER2NomogramLib"), f"not packaged: {error.name}")

    def test_the_resources_are_beside_the_library(self):
        resources = Path(HER2NomogramLib.__file__).resolve().parents[1] / "Resources"
        for name in ("Extraction/cem_2d.yaml", "Icons/HER2Nomogram.png", "UI/HER2Nomogram.ui", "requirements.txt"):
            self.assertTrue((resources / name).is_file(), name)

    def test_the_demonstration_model_loads_and_says_what_it_is(self):
        from HER2NomogramLib.modelfile import default_model_path, load_model

        model = load_model(default_model_path())
        self.assertTrue(model.demonstration)
        self.assertIn("DEMONSTRATION", model.notice)


if __name__ == "__main__":
    unittest.main()
