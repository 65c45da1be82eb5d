"""Stand-in for ``slicer.cli.run`` on SlicerRadiomics' command-line module: really runs pyradiomics' command line.

Nodes go through files as Slicer's module logic does it, and the arguments are those that SlicerRadiomics' script hands
to pyradiomics.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import slicer

_COMMAND = "import sys; from radiomics.scripts import parse_args; sys.exit(parse_args())"


def run(module, node, parameters, wait_for_completion=False, update_display=True):
    assert node is None and wait_for_completion and not update_display
    scene = slicer.mrmlScene
    cli_node = scene.AddNode(slicer.vtkMRMLCommandLineModuleNode())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        image = _write(scene.GetNodeByID(parameters["Image"]), Path(folder) / "image.nrrd")
        mask = _write(scene.GetNodeByID(parameters["Mask"]), Path(folder) / "mask.nrrd")
        settings = [f"--setting=label:{parameters['label']}", "--setting=correctMask:True"]
        arguments = [image, mask, "--param", parameters["param"], "--out", str(out), "--format=csv", "--verbosity=4"]
        command = [sys.executable, "-c", _COMMAND, *arguments, *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        cli_node.SetErrorText(done.stderr)
        if out.is_file():
            _read(scene.GetNodeByID(parameters["out"]), out)
    # The script ends with status 0 also where pyradiomics has given up.
    cli_node.SetStatus(cli_node.Completed)
    return cli_node


def _write(node, path):
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node) == 1
    return str(path)


def _read(node, path):
    storage = slicer.vtkMRMLTableStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
