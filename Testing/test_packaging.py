"""What Slicer packages and what the project promises about its files: metadata, lists, imports, licence."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MODULE_DIRECTORY, ROOT

LIBRARY = MODULE_DIRECTORY / "HER2NomogramLib"
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
# Keywords of an extension description that CMake takes from the repository, not from variables.
SOURCE_CONTROL = {"scm", "scmurl", "scmrevision"}
# What Slicer's build fills in where CMakeLists.txt does not set a variable.
DEFAULTS = {"recommends": "NA", "tier": "1", "dicom_support_rule": ""}
APPLICATION = ("slicer", "vtk", "qt", "ctk", "mrml", "PythonQt", "PySide6", "PyQt5", "PyQt6")
HEAVY = ("pandas", "sklearn", "scipy", "numba", "joblib", "jinja2", "statsmodels", "matplotlib", "tqdm")
APPLYING = (
    "prediction features regions mammogram modelfile segmentation scale batch cases tables command background "
    "preparation drawing "
    "nomogram_plot"
)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def description() -> dict[str, str]:
    """Keywords and values of the extension description file."""
    lines = [line for line in read(ROOT / "HER2Nomogram.s4ext").splitlines() if line.strip() and line[0] != "#"]
    pairs = [line.partition(" ")[::2] for line in lines]
    assert len(dict(pairs)) == len(pairs), "a keyword occurs twice"
    return {keyword: value.strip() for keyword, value in pairs}


def metadata() -> dict[str, str]:
    """EXTENSION_ variables as they are written in CMakeLists.txt, by the keyword of the description file."""
    found = re.findall(r'^set\(EXTENSION_(\w+) (?:"([^"]*)"|([^\s)]+))\)', read(ROOT / "CMakeLists.txt"), re.MULTILINE)
    return {name.lower(): quoted or bare for name, quoted, bare in found}


def listed(variable: str) -> list[str]:
    """Files of one list in the module's CMakeLists.txt."""
    text = read(MODULE_DIRECTORY / "CMakeLists.txt")
    (block,) = re.findall(rf"set\({variable}\n(.*?)\)", text, re.DOTALL)
    return block.replace("${MODULE_NAME}", "HER2Nomogram").split()


def files_below(folder: Path) -> list[str]:
    """Files of a folder of the module, as CMake names them; caches and hidden files aside."""
    paths = [path.relative_to(MODULE_DIRECTORY) for path in folder.rglob("*") if path.is_file()]
    return sorted(p.as_posix() for p in paths if not any(part[0] == "." or part == "__pycache__" for part in p.parts))


def project_files() -> list[Path]:
    """Files that are in the repository or would be added to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if (ROOT / name).is_file() and "__pycache__" not in name]


def python_files() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".py"]


def imported(path: Path) -> set[str]:
    """Names of the packages that a file imports, at the top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def png_header(path: Path) -> tuple[int, int, int, int]:
    """Width, height, bits and color type of a PNG file."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">IIBB", content[16:26])


def test_description_file_says_what_cmake_says():
    described, cmake = description(), metadata()
    expected = {**DEFAULTS, **{k: v for k, v in cmake.items() if k not in ("license_file", "readme_file")}}
    assert {keyword: value for keyword, value in described.items() if keyword not in SOURCE_CONTROL} == expected


def test_description_file_has_every_keyword_that_slicer_reads():
    assert set(description()) == SOURCE_CONTROL | set(
        "depends recommends build_subdirectory homepage contributors category iconurl status tier description "
        "screenshoturls enabled dicom_support_rule keywords".split()
    )


def test_metadata_is_what_the_extensions_index_asks_for():
    cmake = metadata()
    assert cmake["depends"] == "SlicerRadiomics"
    assert cmake["category"] == "Informatics"
    (categories,) = re.findall(r"categories = (.*)", read(MODULE_DIRECTORY / "HER2Nomogram.py"))
    assert f'"{cmake["category"]}"' in categories
    assert re.search(r"^project\(HER2Nomogram\)$", read(ROOT / "CMakeLists.txt"), re.MULTILINE)
    assert "Apache 2.0" in cmake["description"] and "Not for clinical decisions" in cmake["description"]
    for keyword, value in cmake.items():
        # The index reads the text without CMake, and CMake would split a semicolon into two values.
        assert ";" not in value, keyword
        assert "${" not in value or keyword in ("license_file", "readme_file"), keyword


def test_addresses_have_one_base_and_point_to_files_of_the_project():
    cmake, described = metadata(), description()
    base = cmake["homepage"]
    assert base.rpartition("/")[2].startswith("Slicer"), "the index wants a repository name that begins with Slicer"
    assert described["scm"] == "git"
    assert described["scmurl"] == f"{base}.git"
    raw = f"{base}/raw/{described['scmrevision']}/"
    for address in [cmake["iconurl"], *cmake["screenshoturls"].split()]:
        assert address.startswith(raw)
        assert (ROOT / address.removeprefix(raw)).is_file(), f"{address.removeprefix(raw)} is not there"


def test_licence_and_readme_of_the_package_are_those_of_the_project():
    cmake = metadata()
    assert cmake["license_file"] == "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE.txt"
    assert cmake["readme_file"] == "${CMAKE_CURRENT_SOURCE_DIR}/README.md"
    assert (ROOT / "README.md").is_file()
    text = (ROOT / "LICENSE.txt").read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(text).hexdigest() == APACHE_2_SHA256


def test_cmake_lists_every_library_file_and_resource_and_no_other():
    assert sorted(listed("MODULE_PYTHON_SCRIPTS")) == ["HER2Nomogram.py", *files_below(LIBRARY)]
    assert sorted(listed("MODULE_PYTHON_RESOURCES")) == files_below(MODULE_DIRECTORY / "Resources")


def test_only_the_module_file_is_beside_the_library():
    # Slicer takes every Python file of this folder for a module.
    assert [path.name for path in MODULE_DIRECTORY.glob("*.py")] == ["HER2Nomogram.py"]


STUB_CONFIG = """
foreach(what USE_FILE EXTENSION_GENERATE_CONFIG EXTENSION_CPACK)
  set(Slicer_${what} "${CMAKE_CURRENT_LIST_DIR}/${what}.cmake")
endforeach()
"""
STUB_USE_FILE = """
set(BUILD_TESTING ON)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  set(lists "${MY_SCRIPTS}|${MY_RESOURCES}|${MY_UNPARSED_ARGUMENTS}")
  file(APPEND "${CMAKE_BINARY_DIR}/seen.txt" "module=${MY_NAME}|${lists}\\n")
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  file(APPEND "${CMAKE_BINARY_DIR}/seen.txt" "test=${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}\\n")
endmacro()
"""
STUB_CPACK = """
foreach(name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS STATUS ENABLED KEYWORDS)
  file(APPEND "${CMAKE_BINARY_DIR}/seen.txt" "${name}=${EXTENSION_${name}}\\n")
endforeach()
"""


def test_cmake_configures_the_extension(tmp_path):
    if not shutil.which("cmake") or not (shutil.which("cc") and shutil.which("c++")):
        pytest.skip("needs cmake and a compiler")
    stub, build = tmp_path / "stub", tmp_path / "build"
    stub.mkdir()
    contents = {"USE_FILE": STUB_USE_FILE, "EXTENSION_GENERATE_CONFIG": "", "EXTENSION_CPACK": STUB_CPACK}
    for name, text in contents.items():
        (stub / f"{name}.cmake").write_text(text, encoding="utf-8")
    (stub / "SlicerConfig.cmake").write_text(STUB_CONFIG, encoding="utf-8")
    command = ["cmake", "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={stub}", "-Werror=dev"]
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    seen = [line.partition("=")[::2] for line in read(build / "seen.txt").splitlines()]
    values = dict(pair for pair in seen if pair[0] != "test")
    name, scripts, resources, unknown = values.pop("module").split("|")
    assert (name, unknown) == ("HER2Nomogram", "")
    assert scripts.split(";") == listed("MODULE_PYTHON_SCRIPTS")
    assert resources.split(";") == listed("MODULE_PYTHON_RESOURCES")
    tests = [Path(value) for keyword, value in seen if keyword == "test"]
    assert [path.name for path in tests] == ["HER2Nomogram.py", "PackagedLibraryTest.py"]
    assert all(path.is_file() for path in tests)
    written = metadata()
    assert values == {keyword: written[keyword.lower()] for keyword in values}


def test_packaged_copy_of_the_listed_files_is_complete(tmp_path):
    """The ctest of the packaged library, on a copy as CMake makes it."""
    for name in [*listed("MODULE_PYTHON_SCRIPTS"), *listed("MODULE_PYTHON_RESOURCES")]:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULE_DIRECTORY / name, target)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "Testing")])}
    command = [sys.executable, "-m", "unittest", "PackagedLibraryTest"]
    completed = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("name", ["Resources/HER2Nomogram.png", "HER2Nomogram/Resources/Icons/HER2Nomogram.png"])
def test_icon_is_128_pixels_wide_and_high_with_transparency(name):
    assert png_header(ROOT / name) == (128, 128, 8, 6)


def test_extension_and_module_have_the_same_icon():
    icons = [ROOT / "Resources" / "HER2Nomogram.png", MODULE_DIRECTORY / "Resources" / "Icons" / "HER2Nomogram.png"]
    assert icons[0].read_bytes() == icons[1].read_bytes()


def test_library_does_not_import_the_application():
    for path in LIBRARY.glob("*.py"):
        allowed = {"slicer", "vtk", "vtkITK"} if path.name == "scene.py" else set()
        found = {name for name in imported(path) if name in APPLICATION or re.match(r"vtk[A-Z]", name)}
        assert not found - allowed, f"{path.name} imports {sorted(found - allowed)}"


def test_library_is_one_package():
    """Files of the library name each other relatively, so that a packaged copy cannot mix with an installed one."""
    assert [path.name for path in LIBRARY.glob("*.py") if "HER2NomogramLib" in imported(path)] == []


@pytest.mark.parametrize("name", APPLYING.split())
def test_applying_a_model_does_not_load_heavy_packages(name):
    code = (
        f"import sys; sys.path.insert(0, sys.argv[1]); import HER2NomogramLib.{name}\n"
        f"print(','.join(sorted({set(HEAVY)!r} & set(sys.modules))))"
    )
    command = [sys.executable, "-c", code, str(MODULE_DIRECTORY)]
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.strip() == ""


APPLY = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.modelfile import default_model_path, load_model
from HER2NomogramLib.phantom import make_phantom
from HER2NomogramLib.prediction import predict_case
phantom = make_phantom(seed=1)
mammogram = Mammogram.from_array(phantom.pixels, phantom.spacing_mm, "phantom")
print(predict_case(load_model(default_model_path()), mammogram, phantom.lesion, phantom.clinical)[0].probability)
"""


@pytest.mark.parametrize("engine", ["radiomics", "numba"])
def test_a_model_is_applied_without_heavy_packages(engine):
    """With one of the two packages that an engine needs, and without the other."""
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    missing = {*HEAVY, "radiomics"} - {engine}
    command = [sys.executable, "-c", APPLY, str(MODULE_DIRECTORY), ",".join(missing)]
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert 0 < float(completed.stdout) < 1


def test_every_file_is_python_3_10():
    for path in python_files():
        ast.parse(read(path), filename=str(path), feature_version=(3, 10))


def test_no_file_names_a_machine_or_a_package_index():
    # Written in pieces, or this file would find itself.
    folders = "|".join(("home", "root", "work", "Users", "tmp/w"))
    hosts = "|".join(("pypi", "pythonhosted", "anaconda", "npmjs", "jfrog"))
    patterns = {
        "a folder of one machine": re.compile(rf"(?<![\w.:/$}}-])/(?:{folders})/\w|[A-Z]:\\+Users\\"),
        "a package index": re.compile(rf"\b(?:[\w-]+\.)*(?:{hosts})\.(?:org|com|io)\b|--(?:extra-)?index" + "-url"),
    }
    for path in project_files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            for what, pattern in patterns.items():
                assert not pattern.search(line), f"{path.relative_to(ROOT)}, line {number} names {what}: {line.strip()}"
