"""Picture of the panel with a phantom and the demonstration model: ``cd Testing && python -m harness panel.png``."""

from __future__ import annotations

import argparse

from . import close_panel, load_module, open_panel


def main() -> None:
    parser = argparse.ArgumentParser(prog="harness", description=__doc__)
    parser.add_argument("picture", help="PNG file to write")
    parser.add_argument("--model", default="", help="model file (default: the demonstration model)")
    parser.add_argument("--width", type=int, default=500, help="of the panel in pixels (default 500)")
    options = parser.parse_args()
    module = load_module()
    import slicer

    from .samples import phantom_in_scene

    _volume, _segmentation, ids = phantom_in_scene(slicer.mrmlScene, seed=7)
    widget = open_panel(module, options.width)
    widget.ui.modelPathEdit.currentPath = options.model
    widget.ui.excludeSelector.setSelectedSegmentIDs([ids["Pectoral muscle"]])
    widget.ui.pixelSpacingSpinBox.value = 0.2
    widget.ui.applyButton.click()
    for _ in range(3):  # wrapped labels need a second pass to find their height
        slicer.app.processEvents()
        widget.parent.resize(options.width, widget.parent.layout().totalHeightForWidth(options.width))
    slicer.app.processEvents()
    widget.parent.grab().save(options.picture)
    print("\n".join([*slicer.app.messages, widget.ui.probabilityLabel.text, widget.ui.decisionLabel.text]))
    close_panel(widget)


if __name__ == "__main__":
    main()
