"""HER2 Nomogram: the module as Slicer sees it. What it computes is in HER2NomogramLib."""

import functools
import importlib
import importlib.util
import logging
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError
from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from HER2NomogramLib import command, scene
from HER2NomogramLib.cohort_table import OPENPYXL, is_workbook
from HER2NomogramLib.engine.extraction import unavailable
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import ExtractionSettings, case_threads, prepare_engine
from HER2NomogramLib.modelfile import default_model_path, load_model
from HER2NomogramLib.prediction import TUMOR_DIAMETER, case_regions, check_extraction, predict_case
from HER2NomogramLib.preparation import EnginePreparation

_WRONG_STYLE = "color: #b3261e; font-weight: bold;"


class HER2Nomogram(ScriptedLoadableModule):
    """Name, category and help text of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("HER2 Nomogram")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        self.parent.dependencies = ["Segmentations"]
        self.parent.contributors = ["HER2Nomogram contributors"]
        self.parent.helpText = _(
            "Radiomics nomogram on contrast-enhanced mammography for HER2 status. Outline the lesion in Segment "
            "Editor, choose image and segment, press Apply. Research use only, not for clinical decisions."
        )
        self.parent.acknowledgementText = _(
            "Features are those of pyradiomics, which comes with the SlicerRadiomics extension."
        )


@parameterNodeWrapper
class HER2NomogramParameterNode:
    """What the user chose; saved with the scene.

    Attributes
    ----------
    inputVolume, segmentation, lesionSegmentID, excludeSegmentIDs
        Image, segmentation, and the segments in it.
    pixelSpacingMm : float
        0 for automatic.
    modelPath : str
        Empty for the demonstration model.
    clinical : dict of str to str
        Clinical factors as they were typed, by column name.
    engine : str
    showRegions : bool
    cohortMode, cohortCases, ...
        Choices of the section on cohorts; see :class:`HER2NomogramLib.command.CohortChoices`.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    lesionSegmentID: str
    excludeSegmentIDs: list[str]
    pixelSpacingMm: Annotated[float, WithinRange(0, 1)] = 0.0
    modelPath: str
    clinical: dict[str, str]
    engine: Annotated[str, Choice(list(scene.ENGINES))] = scene.FAST
    showRegions: bool = True
    cohortMode: command.Mode = command.Mode.TRAIN
    cohortCases: str
    cohortFeatures: str
    cohortOtherSoftware: bool = False
    cohortFolder: str
    cohortName: str = "HER2 nomogram"
    cohortMethod: Annotated[str, Choice(list(command.METHODS))] = command.METHODS[0]
    cohortSelection: command.Selection = command.Selection.NONE
    cohortClinical: str = TUMOR_DIAMETER
    cohortBootstrap: Annotated[int, WithinRange(0, 5000)] = 200
    cohortRepeats: Annotated[int, WithinRange(0, 200)] = 10
    cohortJobs: Annotated[int, WithinRange(1, 256)] = min(max((os.cpu_count() or 2) // 2, 1), 256)
    cohortOutcome: str = "her2"
    cohortPredictors: str = command.PREDICTORS
    cohortStrata: str
    cohortCategorical: str


class HER2NomogramWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._updating = False
        self._model = None
        self._modelPath = None
        self._clinicalFrame = None
        self._clinicalWidgets = {}
        self._watched = (None, None)
        self._spacingKey = None
        self._prediction = None
        self._engineAsked = self._engineLoaded = False
        self._preparation = None
        self._preparationTimer = None
        self._applying = False
        self._applyWaits = False
        self._resultKey = None
        self._resultOutlines = None
        self._pixelsChanged = False
        self._outlinesChanged = False
        self._plottingDeclined = False
        self._pixmap = None
        self._cohortRun = None
        self._cohortTimer = None

    # --- Life of the panel -------------------------------------------------------------------------------------------

    def setup(self):
        """Build the panel."""
        import qt

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/HER2Nomogram.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = HER2NomogramLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        # qMRMLSegmentSelectorWidget and an empty path are not among what parameter nodes connect by themselves.
        self.ui.lesionSelector.currentNodeChanged.connect(self.onSegmentsChosen)
        self.ui.lesionSelector.currentSegmentChanged.connect(self.onSegmentsChosen)
        self.ui.excludeSelector.segmentSelectionChanged.connect(self.onSegmentsChosen)
        self.ui.modelPathEdit.currentPathChanged.connect(self.onModelChosen)
        # ctkPathLineEdit keeps quiet when its text is no valid path, an empty one included: ask its text field itself.
        for field in slicer.util.findChildren(self.ui.modelPathEdit, className="QLineEdit"):
            field.textChanged.connect(self.onModelTextEdited)
        self.ui.applyButton.clicked.connect(self.onApply)
        self.ui.installPlottingButton.clicked.connect(self.onInstallPlotting)
        # The feature names get the room that the panel has, and the picture follows the width of that column.
        header = self.ui.featuresTable.horizontalHeader()
        header.setSectionResizeMode(1, qt.QHeaderView.Stretch)
        header.sectionResized.connect(self.onPanelResized)
        self._preparationTimer = qt.QTimer()
        self._preparationTimer.setInterval(200)
        self._preparationTimer.timeout.connect(self.onPreparationTimer)
        self._setupCohort()
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the widget is destroyed."""
        if self._cohortTimer is not None:
            self.onCohortCancel()
        if self._preparation is not None:
            self._preparationTimer.stop()
            self._preparation.stop()
        self.setParameterNode(None)
        self._watch(None, None)
        self.removeObservers()

    def enter(self):
        """Called when the user opens the module."""
        self._outlinesChanged = False
        self.onOutlinesChanged()
        self.initializeParameterNode()
        self._prepareEngine()

    def exit(self):
        """Called when the user opens another module; the outlines stay watched, because they are edited there."""
        self.setParameterNode(None)

    def onReload(self):
        """Developer's reload button: the library is reloaded with the module."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "HER2NomogramLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        """The parameter node is about to go, and with it what the result was about."""
        self.setParameterNode(None)
        self._watch(None, None)
        self._clearResult()

    def onSceneEndClose(self, caller, event):
        """Start anew if the panel is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller, event):
        """While nodes come in, segments are not there yet: what the scene says of them must not be put right."""
        self.setParameterNode(None)

    def onSceneEndImport(self, caller, event):
        """Show what was loaded if the panel is open."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Connect the panel to the scene's parameter node, the first volume and segmentation chosen if none are yet."""
        self.setParameterNode(self.logic.getParameterNode())
        for name, className in (
            ("inputVolume", "vtkMRMLScalarVolumeNode"),
            ("segmentation", "vtkMRMLSegmentationNode"),
        ):
            if not getattr(self._parameterNode, name):
                # Label maps are scalar volumes too, but no images.
                nodes = slicer.util.getNodesByClass(className, slicer.mrmlScene)
                first = next((node for node in nodes if not node.IsA("vtkMRMLLabelMapVolumeNode")), None)
                if first:
                    setattr(self._parameterNode, name, first)

    def setParameterNode(self, parameterNode):
        """Connect to a parameter node, or to none."""
        self._stopWaiting()  # with choices that may be gone
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.onParametersChanged()

    # --- Choices -----------------------------------------------------------------------------------------------------

    def onParametersChanged(self, caller=None, event=None):
        """Bring the panel up to date with the parameter node."""
        if self._updating or not self._parameterNode:
            return
        self._updating = True
        try:
            self._showSegments()
            self._showModel()
            self._showSpacing()
            self._showCohortChoices()
        finally:
            self._updating = False
        self._watch(self._parameterNode.inputVolume, self._parameterNode.segmentation)
        self._updateApplyButton()
        self._updateStale()

    def onSegmentsChosen(self, *args):
        """Another segmentation or segment was chosen in the panel."""
        if self._updating or not self._parameterNode:
            return
        segmentation = self.ui.lesionSelector.currentNode()
        with slicer.util.NodeModify(self._parameterNode):
            if segmentation is not self._parameterNode.segmentation:
                self._parameterNode.excludeSegmentIDs = []
            else:
                self._parameterNode.excludeSegmentIDs = list(self.ui.excludeSelector.selectedSegmentIDs())
            self._parameterNode.segmentation = segmentation
            self._parameterNode.lesionSegmentID = self._chosenSegmentID(segmentation)

    def onModelChosen(self, *args):
        """Another model file was chosen in the panel."""
        if not self._updating and self._parameterNode:
            self._parameterNode.modelPath = self.ui.modelPathEdit.currentPath.strip()

    def onModelTextEdited(self, text):
        """The model field was emptied: back to the demonstration model."""
        if not text.strip():
            self.onModelChosen()

    def onClinicalEdited(self, *args):
        """A clinical factor was edited in the panel."""
        if self._updating or not self._parameterNode:
            return
        # Factors of other models stay, so that trying another model loses nothing.
        texts = {**dict(self._parameterNode.clinical.items()), **self._clinicalTexts()}
        self._parameterNode.clinical = {name: text for name, text in texts.items() if text}

    def onPixelsChanged(self, caller=None, event=None):
        """The image that the result was computed from has changed."""
        self._pixelsChanged = True
        self._updateStale()

    def onOutlinesChanged(self, caller=None, event=None):
        """Something about the segmentation has changed, perhaps the outlines that the result was computed from."""
        # Found to have changed once, they are not looked at with every stroke of the brush.
        if self._prediction is not None and not self._updating and not self._outlinesChanged:
            nodes, digest = self._resultOutlines
            self._outlinesChanged = scene.outlines_digest(*nodes) != digest
            self._updateStale()

    def _showSegments(self):
        segmentation = self._parameterNode.segmentation
        for selector in (self.ui.lesionSelector, self.ui.excludeSelector):
            selector.setCurrentNode(segmentation)
        if self._parameterNode.lesionSegmentID:
            self.ui.lesionSelector.setCurrentSegmentID(self._parameterNode.lesionSegmentID)
        # Excluded segments may have been deleted in Segment Editor.
        excluded = [i for i in self._parameterNode.excludeSegmentIDs if self._hasSegment(segmentation, i)]
        if excluded != list(self._parameterNode.excludeSegmentIDs):
            self._parameterNode.excludeSegmentIDs = excluded
        self.ui.excludeSelector.setSelectedSegmentIDs(excluded)
        # The selector may have moved on to the first segment, because the one of the scene is gone.
        segmentID = self._chosenSegmentID(segmentation)
        if segmentID != self._parameterNode.lesionSegmentID:
            self._parameterNode.lesionSegmentID = segmentID

    def _chosenSegmentID(self, segmentation):
        # The selector goes on naming a segment when its segmentation is gone.
        segmentID = self.ui.lesionSelector.currentSegmentID() if segmentation else ""
        return segmentID if self._hasSegment(segmentation, segmentID) else ""

    @staticmethod
    def _hasSegment(segmentation, segmentID):
        return bool(segmentation and segmentation.GetSegmentation().GetSegment(segmentID))

    def _showModel(self):
        path = self._parameterNode.modelPath
        if self.ui.modelPathEdit.currentPath != path:
            self.ui.modelPathEdit.currentPath = path
        if path == self._modelPath:
            self._showClinical()
            return
        self._modelPath = path
        try:
            self._model = self.logic.loadModel(path or None)
            check_extraction(self._model)
            self.ui.modelLabel.setText(self._model.name)
            self.ui.noticeLabel.setText(self._model.notice)
        except InputError as error:
            self._model = None
            self.ui.modelLabel.setText(str(error))
            self.ui.noticeLabel.setText(_("Research use only, not for clinical decisions."))
        self._buildClinical()
        self._showClinical()

    def _buildClinical(self):
        """One row for every clinical factor of the model."""
        import qt

        layout = self.ui.clinicalCollapsibleButton.layout()
        if self._clinicalFrame:
            layout.removeWidget(self._clinicalFrame)
            self._clinicalFrame.setParent(None)
            self._clinicalFrame.deleteLater()
        self._clinicalWidgets = {}
        self._clinicalFrame = qt.QWidget()
        form = qt.QFormLayout(self._clinicalFrame)
        form.setContentsMargins(0, 0, 0, 0)
        predictors = self._model.clinical_predictors if self._model else ()
        for predictor in predictors:
            widget = self._clinicalWidget(predictor)
            self._clinicalWidgets[predictor.name] = widget
            form.addRow(f"{predictor.label}:", widget)
        if not predictors:
            form.addRow(qt.QLabel(_("This model needs none.") if self._model else _("Choose a model first.")))
        layout.addWidget(self._clinicalFrame)

    def _clinicalWidget(self, predictor):
        import qt

        if predictor.levels:
            widget = qt.QComboBox()
            for text in ("", *predictor.levels):
                widget.addItem(text)
            # A level with a long name must not widen the panel.
            widget.setMinimumContentsLength(8)
            widget.setToolTip(self._blankHint(predictor))
            widget.currentIndexChanged.connect(self.onClinicalEdited)
            return widget
        widget = qt.QLineEdit()
        trained = f"{predictor.minimum:.4g} – {predictor.maximum:.4g} {predictor.unit}".strip()
        hint = _("{trained} in training").format(trained=trained)
        widget.setToolTip(f"{hint}. {self._blankHint(predictor)}")
        if predictor.name == TUMOR_DIAMETER:
            hint = _("blank: measured; {hint}").format(hint=hint)
        elif predictor.fill is not None:
            hint = _("blank: {value}; {hint}").format(value=predictor.text(predictor.fill), hint=hint)
        widget.setPlaceholderText(hint)
        widget.textChanged.connect(self.onClinicalEdited)
        return widget

    @staticmethod
    def _blankHint(predictor):
        """What becomes of a factor that is left blank."""
        if predictor.name == TUMOR_DIAMETER:
            return _("Left blank, it is measured from the segment.")
        if predictor.fill is not None:
            return _("Left blank, {value} is used.").format(value=predictor.fill_text)
        return _("Leave blank what is not known: the model then says that it needs it.")

    def _showClinical(self):
        texts = dict(self._parameterNode.clinical.items())
        for name, widget in self._clinicalWidgets.items():
            text = texts.get(name, "")
            if hasattr(widget, "currentText"):
                if widget.currentText != text:
                    widget.setCurrentIndex(max(widget.findText(text), 0))
            elif widget.text != text:
                widget.setText(text)

    def _clinicalTexts(self):
        return {
            name: (widget.currentText if hasattr(widget, "currentText") else widget.text).strip()
            for name, widget in self._clinicalWidgets.items()
        }

    def _showSpacing(self):
        volume = self._parameterNode.inputVolume
        key = (volume and volume.GetID(), volume and volume.GetMTime(), self._parameterNode.pixelSpacingMm)
        if key == self._spacingKey:
            return
        self._spacingKey = key
        if volume is None:
            self.ui.spacingLabel.setText("")
            return
        try:
            mammogram = scene.mammogram_from_volume(volume, self._parameterNode.pixelSpacingMm or None)
            x, y = mammogram.spacing_mm
            size = f"{x:.4g} mm" if x == y else f"{x:.4g} x {y:.4g} mm"
            self.ui.spacingLabel.setText(f"{size}: {mammogram.spacing_source}")
        except InputError as error:
            self.ui.spacingLabel.setText(str(error))

    def _watch(self, volume, segmentation):
        """Notice when pixels, outlines or positions of these nodes change."""
        if (volume, segmentation) != self._watched:
            for observation in self._observations(*self._watched):
                self.removeObserver(*observation)
            self._watched = (volume, segmentation)
            for observation in self._observations(*self._watched):
                self.addObserver(*observation)

    def _observations(self, volume, segmentation):
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        if volume:
            yield volume, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self.onPixelsChanged
            yield volume, moved, self.onOutlinesChanged
        if segmentation:
            yield segmentation, moved, self.onOutlinesChanged
            # Not every way of editing says that it was the source representation.
            for name in ("SourceRepresentationModified", "RepresentationModified", "SegmentRemoved"):
                yield segmentation.GetSegmentation(), getattr(slicer.vtkSegmentation, name), self.onOutlinesChanged

    def _updateApplyButton(self):
        missing = []
        if not self._parameterNode.inputVolume:
            missing.append(_("an image"))
        if not self._parameterNode.segmentation:
            missing.append(_("a segmentation"))
        elif not self._parameterNode.lesionSegmentID:
            missing.append(_("the lesion's segment"))
        self.ui.applyButton.setEnabled(not (missing or self._applying or self._applyWaits))
        self.ui.applyButton.setToolTip(
            _("Choose {missing} first.").format(missing=_(" and ").join(missing))
            if missing
            else _("Measure the lesion and show the model's probability.")
        )

    # --- Result ------------------------------------------------------------------------------------------------------

    def onApply(self, *args):
        """Compute and show the prediction, once the feature engine is there."""
        if self._applying or self._applyWaits:
            return
        node = self._parameterNode
        self._showStatus("")
        with self._busy():
            self._askForEngine()
        # While the user was asked and packages were installed, the scene may have been closed.
        if self._parameterNode is not node:
            return
        self._prepareEngine()
        message = self._engineMessage() if self._model else ""
        if message:
            self._applyWaits = True
            self._updateApplyButton()
            self._showStatus(message, wrong=False)
            self._preparationTimer.start()
        else:
            self._apply()

    def _apply(self):
        """What the user can put right is said in one line."""
        with self._busy():
            predicted, message = False, ""
            try:
                with slicer.util.tryWithErrorDisplay(_("The prediction failed."), waitCursor=True):
                    try:
                        self._predict()
                        predicted = True
                        self._writeRegions()
                    except InputError as error:
                        message = str(error)
            finally:
                self._showStatus("")
                self._updateStale()
            if predicted:
                self._showNomogram()
            if message:
                self._showStatus(message)
                slicer.util.errorDisplay(message, windowTitle=_("HER2 Nomogram"))

    @contextmanager
    def _busy(self):
        """Apply cannot be pressed meanwhile: dialogs of packages let other events through."""
        self._applying = True
        self.ui.applyButton.setEnabled(False)
        try:
            yield
        finally:
            self._applying = False
            if self._parameterNode:
                self._updateApplyButton()

    def _case(self):
        """How image and segments of the parameter node are to be read."""
        node = self._parameterNode
        return {
            "pixelSpacingMm": node.pixelSpacingMm or None,
            "excludeSegmentIDs": [i for i in node.excludeSegmentIDs if i != node.lesionSegmentID],
        }

    def _predict(self):
        node = self._parameterNode
        prediction = self.logic.predict(
            node.inputVolume,
            node.segmentation,
            node.lesionSegmentID,
            clinical={name: text for name, text in self._clinicalTexts().items() if text},
            modelPath=node.modelPath or None,
            engine=node.engine,
            **self._case(),
        )
        self._engineLoaded = self._engineLoaded or node.engine == scene.FAST
        self.logic.showPrediction(prediction, picture=False)
        nodes = (node.segmentation, (node.lesionSegmentID, *node.excludeSegmentIDs), node.inputVolume)
        self._prediction, self._resultKey = prediction, self._inputKey()
        self._resultOutlines = (nodes, scene.outlines_digest(*nodes))
        self._pixelsChanged = self._outlinesChanged = False
        self._showPrediction(prediction)

    def _writeRegions(self):
        node = self._parameterNode
        if not node.showRegions:
            return
        margins = self.logic.loadModel(node.modelPath or None).margins_mm
        self._updating = True  # what changes now are not the outlines that the result was computed from
        try:
            self.logic.createRegionSegments(
                node.segmentation, node.lesionSegmentID, node.inputVolume, marginsMm=margins, **self._case()
            )
        finally:
            self._updating = False

    def _inputKey(self):
        """What the result depends on, as far as it is chosen in the panel."""
        node = self._parameterNode
        volume, segmentation = node.inputVolume, node.segmentation
        return (
            volume and (volume.GetID(), volume.GetSpacing()),
            segmentation and segmentation.GetID(),
            node.lesionSegmentID,
            tuple(node.excludeSegmentIDs),
            node.pixelSpacingMm,
            node.modelPath,
            node.engine,
            tuple(sorted(self._clinicalTexts().items())),
        )

    def _showStatus(self, message, wrong=True):
        self.ui.statusLabel.setText(message)
        self.ui.statusLabel.setStyleSheet(_WRONG_STYLE if wrong else "color: gray;")
        self.ui.statusLabel.setVisible(bool(message))

    def _updateStale(self):
        if self._prediction is None or not self._parameterNode:
            return
        stale = self._pixelsChanged or self._outlinesChanged or self._inputKey() != self._resultKey
        self.ui.staleLabel.setVisible(stale)
        self.ui.resultFrame.setEnabled(not stale)

    def _clearResult(self):
        self._prediction = self._resultKey = self._resultOutlines = self._pixmap = None
        self._showStatus("")
        self.ui.staleLabel.setVisible(False)
        self.ui.resultFrame.setVisible(False)
        self.ui.emptyLabel.setVisible(True)

    def _showPrediction(self, prediction):
        low, high = prediction.interval
        self.ui.probabilityLabel.setText(self._percent(prediction.probability))
        self.ui.intervalLabel.setText(
            _("probability of HER2-positive\n95% interval {low} to {high}").format(
                low=self._percent(low), high=self._percent(high)
            )
        )
        self.ui.intervalLabel.setToolTip(
            _("From the nomogram's coefficients alone. The selection of features adds uncertainty that is not in it.")
        )
        self.ui.decisionLabel.setText(self._decision(prediction))
        self.ui.noticeLabel.setText(prediction.notice)
        warnings = [text for text in (*prediction.warnings, self.logic.engineNotice) if text]
        self.ui.warningsLabel.setText("\n".join(f"⚠ {text[:1].upper()}{text[1:]}" for text in warnings))
        self.ui.warningsLabel.setVisible(bool(warnings))
        self.ui.emptyLabel.setVisible(False)
        self.ui.resultFrame.setVisible(True)
        self._showFeatures(prediction.selected_features)

    def _decision(self, prediction):
        if prediction.extrapolated:
            return _("Not usable: this case lies outside the range that the model was trained on, see the warnings.")
        call = _("HER2-positive") if prediction.positive else _("HER2-negative")
        side = _("reaches") if prediction.positive else _("stays below")
        return _("It {side} the model's cut-off of {cutoff}: called {call}.").format(
            side=side, cutoff=self._percent(prediction.cutoff), call=call
        )

    @staticmethod
    def _percent(probability):
        # No model is certain, so neither is what is read here.
        return "< 1%" if probability < 0.01 else "> 99%" if probability > 0.99 else f"{probability:.0%}"

    def _showFeatures(self, features):
        import qt

        table = self.ui.featuresTable
        table.setRowCount(len(features))
        for row, feature in enumerate(features):
            numbers = (feature.value, feature.standardized, feature.coefficient, feature.contribution)
            image, _separator, name = feature.feature.rpartition("_")
            texts = [feature.region.replace("_", "\n"), f"{image.replace('_', ' ')}\n{name}"]
            texts += [f"{feature.value:.4g}", *(f"{number:+.2f}" for number in numbers[1:])]
            for column, text in enumerate(texts):
                cell = qt.QTableWidgetItem(text)
                cell.setToolTip(feature.column if column < 2 else repr(numbers[column - 2]))
                if column >= 2:
                    cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, column, cell)
        table.resizeColumnsToContents()
        # As high as its content, header and scroll bar included, but never half a screen.
        rows = min(max(len(features), 1), 8)
        table.setFixedHeight(rows * table.rowHeight(0) + 28)

    # --- Feature engine ----------------------------------------------------------------------------------------------

    def _askForEngine(self):
        """Ask, once, for what the fast engine needs."""
        if not self._engineAsked and self._parameterNode.engine == scene.FAST:
            self._engineAsked = True
            if unavailable():
                self._packagesAvailable(only="numba")

    def _prepareEngine(self):
        """Start, once, the process that compiles the fast engine where it never was on this computer."""
        if self._preparation or self._parameterNode.engine != scene.FAST or not importlib.util.find_spec("numba"):
            return
        try:
            self._preparation = self.logic.startEnginePreparation()
            self._preparationTimer.start()
        except InputError as error:
            # Compiled when it is needed, then, which takes as long.
            logging.getLogger("HER2Nomogram").warning("%s", error)

    def _engineMessage(self):
        """What to say while the fast engine is waited for; empty where there is nothing to wait for."""
        if self._preparation is None or self._engineLoaded or self._parameterNode.engine != scene.FAST:
            return ""
        if self._preparation.update():
            return (
                _("Compiling the feature engine. This is done once on a computer and takes up to a minute ...")
                if self._preparation.compiling
                else _("Loading the feature engine ...")
            )
        if self._preparation.not_kept:
            return _("Compiling the feature engine. Slicer does not respond for up to a minute ...")
        return ""

    def onPreparationTimer(self, *args):
        """Say what is waited for, or go on with what has waited."""
        message = self._engineMessage() if self._applyWaits else ""
        running = self._preparation.update()
        # Also where the window stands still next: it has to be on the screen by then.
        if message and message != self.ui.statusLabel.text:
            self._showStatus(message, wrong=False)
        elif not running:
            self._preparationTimer.stop()
            if self._preparation.output:
                logging.getLogger("HER2Nomogram").info("Preparing the feature engine:\n%s", self._preparation.output)
            if self._applyWaits:
                self._applyWaits = False
                self._apply()
        elif not message:
            self._stopWaiting()  # another engine was chosen

    def _stopWaiting(self):
        """Apply has to be pressed again."""
        if self._applyWaits:
            self._applyWaits = False
            self._showStatus("")
            if self._parameterNode:
                self._updateApplyButton()

    # --- Picture of the nomogram -------------------------------------------------------------------------------------

    def onInstallPlotting(self, *args):
        """The user has thought better of it."""
        self._plottingDeclined = False
        self._showNomogram()

    def onPanelResized(self, resized, _oldWidth, newWidth):
        """Scale the picture to the panel, when a column of the table has got another width with it."""
        table = self.ui.featuresTable
        if table.visible:
            others = sum(table.columnWidth(column) for column in range(table.columnCount) if column != resized)
            self._scalePicture(others + newWidth + 2)

    def _showNomogram(self):
        drawn = self._plottingAvailable()
        if self._prediction is None:  # the scene was closed while the user was asked
            return
        if drawn:
            import qt

            # That of a widget which is always laid out, less the margins of the result.
            width = self.ui.applyButton.width - 18
            with tempfile.TemporaryDirectory(prefix="HER2Nomogram-") as folder:
                path = Path(folder) / "nomogram.png"
                # As wide on paper as on the screen, or its type could not be read in a narrow panel.
                self.logic.drawNomogram(self._prediction, path, width=min(max(width / 96, 4.0), 7.0))
                self._pixmap = qt.QPixmap(str(path))
            self._scalePicture(width)
        else:
            self.ui.pictureMissingLabel.setText(
                _("The picture of the nomogram needs the Python package matplotlib, which is not installed.")
            )
        self.ui.nomogramLabel.setVisible(drawn)
        self.ui.pictureMissingLabel.setVisible(not drawn)
        self.ui.installPlottingButton.setVisible(not drawn)

    def _scalePicture(self, width):
        import qt

        if self._pixmap is not None:
            width = min(max(width, 200), self._pixmap.width())
            self.ui.nomogramLabel.setPixmap(self._pixmap.scaledToWidth(width, qt.Qt.SmoothTransformation))

    def _plottingAvailable(self):
        """Whether matplotlib is there, the user asked for leave to install it where it is not."""
        if importlib.util.find_spec("matplotlib"):
            return True
        if self._plottingDeclined or slicer.app.testingEnabled():
            return False
        self._plottingDeclined = not self._packagesAvailable("matplotlib")
        return not self._plottingDeclined

    def _packagesAvailable(self, only="", more=()):
        """Whether what requirements.txt names, and more, is there, the user asked for leave to install what is not."""
        wanted = command.requirements(self.resourcePath("requirements.txt"))
        wanted = [*(requirement for requirement in wanted if requirement.startswith(only)), *more]
        try:
            if importlib.util.find_spec("slicer.packaging"):
                from slicer import packaging

                packaging.pip_ensure(wanted, requester="HER2 Nomogram")
            elif command.not_installed(wanted) and not slicer.app.testingEnabled():
                missing = " ".join(command.not_installed(wanted))
                question = _("Python packages are needed that are not installed: {names}. Install them now?")
                if slicer.util.confirmOkCancelDisplay(question.format(names=missing)):
                    slicer.util.pip_install(missing)
        except (RuntimeError, OSError, SubprocessError) as error:
            # Declined, no network, no right to write: what needs them is left out.
            logging.getLogger("HER2Nomogram").warning("Packages were not installed: %s", error)
        importlib.invalidate_caches()
        return not command.not_installed(wanted)

    # --- Cohort ------------------------------------------------------------------------------------------------------

    def _setupCohort(self):
        import qt

        for edit in self._cohortPathEdits().values():
            edit.currentPathChanged.connect(self.onCohortPathEdited)
            # Quiet for what is no valid path, as the field of the model.
            for field in slicer.util.findChildren(edit, className="QLineEdit"):
                field.textChanged.connect(self.onCohortPathEdited)
        self.ui.cohortStartButton.clicked.connect(self.onCohortStart)
        self.ui.cohortCancelButton.clicked.connect(self.onCohortCancel)
        self.ui.openReportButton.clicked.connect(self.onOpenReport)
        self.ui.useModelButton.clicked.connect(self.onUseModel)
        self._cohortTimer = qt.QTimer()
        self._cohortTimer.setInterval(300)
        self._cohortTimer.timeout.connect(self.onCohortTimer)
        self._showCohortRun()

    def _cohortPathEdits(self):
        """Fields of files and folders by their parameter; a blank path is none that parameter nodes can hold."""
        return {
            "cohortCases": self.ui.cohortCasesEdit,
            "cohortFeatures": self.ui.cohortFeaturesEdit,
            "cohortFolder": self.ui.cohortFolderEdit,
        }

    def onCohortPathEdited(self, *args):
        """A file or folder of the cohort was chosen in the panel."""
        if self._updating or not self._parameterNode:
            return
        with slicer.util.NodeModify(self._parameterNode):
            for name, edit in self._cohortPathEdits().items():
                setattr(self._parameterNode, name, edit.currentPath)

    def onCohortStart(self, *args):
        """Train, validate or associate in a process of its own, so that Slicer stays responsive."""
        self._cohortRun = None
        message = ""
        with slicer.util.tryWithErrorDisplay(_("The run could not be started.")):
            try:
                choices = self._cohortChoices()
                choices.check()
                if choices.needs_images:
                    # Its package for YAML reads the settings.
                    scene.require_radiomics(scene.PYRADIOMICS)
                if not self._replacementConfirmed(choices.files):
                    message = _("Not started: choose another output folder, or move these files away.")
                elif not self._packagesAvailable(more=choices.packages):
                    message = _("Not started: it needs Python packages that are not installed.")
                else:
                    self._cohortRun = self.logic.startCohort(choices)
                    self._cohortTimer.start()
            except InputError as error:
                message = str(error)
        self._showCohortRun(message)

    def onCohortTimer(self, *args):
        """Show how far the run has come, or what came of it."""
        if not self._cohortRun.update():
            self._cohortTimer.stop()
            if self._cohortRun.output:
                logging.getLogger("HER2Nomogram").info("Run on a cohort:\n%s", self._cohortRun.output)
        self._showCohortRun()

    def onCohortCancel(self, *args):
        """End the run, where there is one."""
        self._cohortTimer.stop()
        if self._cohortRun is not None:
            self._cohortRun.cancel()
        self._showCohortRun()

    def onOpenReport(self, *args):
        """Show the report in the web browser."""
        import qt

        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._cohortRun.files.report)))

    def onUseModel(self, *args):
        """Apply the trained model in the panel."""
        self.ui.modelPathEdit.currentPath = str(self._cohortRun.files.model)

    def _cohortChoices(self):
        node = self._parameterNode
        return command.CohortChoices(
            mode=node.cohortMode,
            cases=node.cohortCases,
            features=node.cohortFeatures,
            other_software=node.cohortOtherSoftware,
            folder=node.cohortFolder,
            model=node.modelPath or str(default_model_path()),
            name=node.cohortName,
            method=node.cohortMethod,
            selection=node.cohortSelection,
            clinical=node.cohortClinical,
            bootstrap=node.cohortBootstrap,
            repeats=node.cohortRepeats,
            jobs=node.cohortJobs,
            engine="" if node.engine == scene.SLICER_RADIOMICS else node.engine,
            outcome=node.cohortOutcome,
            predictors=node.cohortPredictors,
            strata=node.cohortStrata,
            categorical=node.cohortCategorical,
        )

    @staticmethod
    def _replacementConfirmed(files):
        """Whether what a run would replace may go."""
        existing = files.existing()
        if not existing:
            return True
        question = _("{folder} has these files already: {names}. Replace them?")
        names = ", ".join(path.name for path in existing)
        return slicer.util.confirmOkCancelDisplay(question.format(folder=files.report.parent, names=names))

    def _showCohortChoices(self):
        node, ui = self._parameterNode, self.ui
        for name, edit in self._cohortPathEdits().items():
            if edit.currentPath != getattr(node, name):
                edit.currentPath = getattr(node, name)
        for name, shown in node.cohortMode.shown(vars(ui)).items():
            getattr(ui, name).setVisible(shown)
        ui.cohortModelLabel.setText(
            _("Model, as chosen under Inputs: {name}").format(name=self._model.name if self._model else node.modelPath)
        )
        choices = self._cohortChoices()
        training = node.cohortMode is command.Mode.TRAIN
        ui.cohortImagesLabel.setVisible(choices.needs_images)
        ui.cohortImagesLabel.setText(
            _("Blank: features are extracted from the images, by engine {name}, as chosen under Advanced.").format(
                name=choices.engine
            )
            if choices.engine
            else _(
                "Blank: features are extracted from the images, by engine fast: SlicerRadiomics is for one case alone."
            )
        )
        ui.cohortOtherSoftwareCheckBox.setVisible(training and not choices.needs_images)
        ui.cohortCostLabel.setText(choices.cost)
        ui.useModelButton.setVisible(node.cohortMode is not command.Mode.ASSOCIATE)
        texts = {command.Mode.TRAIN: _("Train and report"), command.Mode.VALIDATE: _("Validate and report")}
        ui.cohortStartButton.setText(texts.get(node.cohortMode, _("Study and report")))
        if not ui.cohortPredictorsEdit.focus:
            ui.cohortPredictorsEdit.cursorPosition = 0  # a long list is read from its beginning
        self._updateCohortButton()

    def _updateCohortButton(self):
        running = self._cohortRun is not None and self._cohortRun.state == command.RUNNING
        missing = self._cohortChoices().missing if self._parameterNode else ()
        self.ui.cohortStartButton.setEnabled(not running and not missing)
        self.ui.cohortStartButton.setToolTip(
            _("Choose {missing} first.").format(missing=_(" and ").join(missing))
            if missing
            else _("Runs beside Slicer, which can be used meanwhile.")
        )

    def _showCohortRun(self, message=""):
        """Where the run is, or in place of it a message that says why there is none."""
        ui, run = self.ui, self._cohortRun
        state = run.state if run else None
        running = state == command.RUNNING
        ui.cohortChoicesFrame.setEnabled(not running)
        ui.cohortCancelButton.setEnabled(running)
        ui.cohortProgressBar.setVisible(running)
        if running and run.progress:
            ui.cohortProgressBar.setRange(0, run.progress.total)
            ui.cohortProgressBar.setValue(run.progress.done)
        else:
            ui.cohortProgressBar.setRange(0, 0)  # moves to and fro
        message = run.message if run else message
        ui.cohortStatusLabel.setText(message)
        ui.cohortStatusLabel.setVisible(bool(message))
        wrong = bool(message) and state in (None, command.FAILED)
        ui.cohortStatusLabel.setStyleSheet(_WRONG_STYLE if wrong else "")
        # Also where there is no model, because the report says why.
        ui.openReportButton.setEnabled(run is not None and run.files.report in run.written)
        ui.useModelButton.setEnabled(state == command.DONE and run.files.model is not None)
        self._updateCohortButton()


class HER2NomogramLogic(ScriptedLoadableModuleLogic):
    """What the panel does, for the Python console and scripts; runs on slicer-core too."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._lastPrediction = (None, None, None)
        self.engineNotice = ""

    def getParameterNode(self):
        """Parameters of the panel, as saved with the scene."""
        return HER2NomogramParameterNode(super().getParameterNode())

    @staticmethod
    def loadModel(modelPath=None):
        """Model of a file, by default the demonstration model."""
        return load_model(modelPath or default_model_path())

    def createRegionSegments(
        self,
        segmentationNode,
        lesionSegmentID,
        volumeNode,
        marginsMm=(5.0, 10.0),
        pixelSpacingMm=None,
        excludeSegmentIDs=(),
    ):
        """Write the peritumoral and combined regions of a lesion as segments beside it.

        Parameters
        ----------
        segmentationNode : vtkMRMLSegmentationNode
        lesionSegmentID : str
        volumeNode : vtkMRMLScalarVolumeNode
        marginsMm : sequence of float
            Widths of the rings.
        pixelSpacingMm : float, optional
            Where the image does not say, or says it wrongly.
        excludeSegmentIDs : sequence of str
            Segments that rings must stay out of.

        Returns
        -------
        dict of str to str
            Segment ID by region.
        """
        mammogram = scene.mammogram_from_volume(volumeNode, pixelSpacingMm)
        lesion = scene.lesion_mask(segmentationNode, lesionSegmentID, volumeNode)
        exclude = scene.excluded_mask(segmentationNode, excludeSegmentIDs, volumeNode)
        regions = case_regions(mammogram, lesion, tuple(marginsMm), exclude)
        return scene.write_region_segments(segmentationNode, volumeNode, regions, lesionSegmentID)

    def predict(
        self,
        volumeNode,
        segmentationNode,
        lesionSegmentID,
        clinical=None,
        modelPath=None,
        pixelSpacingMm=None,
        excludeSegmentIDs=(),
        engine=scene.FAST,
    ):
        """Apply a model to one lesion.

        Parameters
        ----------
        volumeNode, segmentationNode, lesionSegmentID, pixelSpacingMm, excludeSegmentIDs
            As for :meth:`createRegionSegments`.
        clinical : dict, optional
            Clinical factors by column name; a blank tumor diameter is measured from the segment, other blank factors
            are filled where the model has a value for this.
        modelPath : str, optional
            By default the demonstration model.
        engine : str
            ``"fast"``, ``"pyradiomics"`` or ``"SlicerRadiomics"``. Where the fast one cannot be used, pyradiomics takes
            over; ``engineNotice`` says why, or what slows the engine down.

        Returns
        -------
        HER2NomogramLib.prediction.Prediction
        """
        model = self.loadModel(modelPath)
        check_extraction(model)
        scene.require_radiomics(engine)
        mammogram = scene.mammogram_from_volume(volumeNode, pixelSpacingMm)
        lesion = scene.lesion_mask(segmentationNode, lesionSegmentID, volumeNode)
        exclude = scene.excluded_mask(segmentationNode, excludeSegmentIDs, volumeNode)
        self.engineNotice = ""
        if engine == scene.SLICER_RADIOMICS:
            options = {"extract": functools.partial(scene.slicer_radiomics_row, volumeNode)}
        else:
            used, self.engineNotice = prepare_engine(ExtractionSettings.from_dict(model.extraction), engine)
            options = {"engine": used, "threads": case_threads()}
        prediction, _regions, _row = predict_case(model, mammogram, lesion, clinical or {}, exclude, **options)
        self._lastPrediction = (prediction, model, volumeNode.GetScene())
        return prediction

    def showPrediction(self, prediction, picture=True, modelPath=None):
        """Put the selected features into a table node, and draw the nomogram with the case marked on it.

        Parameters
        ----------
        prediction : Prediction
        picture : bool or path-like
            Whether to draw the nomogram (needs matplotlib), or the file to draw it to.
        modelPath : str, optional
            Model of a prediction that this logic did not make last.

        Returns
        -------
        dict
            ``"tableNode"`` and ``"picturePath"`` (None without a picture).
        """
        made, _model, mrmlScene = self._lastPrediction
        node = scene.prediction_table(mrmlScene if made is prediction else slicer.mrmlScene, prediction)
        path = None
        if picture:
            folder = Path(tempfile.mkdtemp(prefix="HER2Nomogram-")) if picture is True else None
            path = self.drawNomogram(prediction, folder / "nomogram.png" if folder else picture, modelPath)
        return {"tableNode": node, "picturePath": path}

    def drawNomogram(self, prediction, path, modelPath=None, width=7.0):
        """Draw the nomogram with the case marked on it to a PNG or SVG file, so many inches wide; returns its path."""
        from HER2NomogramLib.drawing import save_figure
        from HER2NomogramLib.nomogram_plot import nomogram_figure

        made, model, _scene = self._lastPrediction
        if made is not prediction:
            model = self.loadModel(modelPath)
        if model.digest != prediction.model_digest:
            raise InputError(f"The prediction was made by model '{prediction.model_name}': give its file as modelPath.")
        return save_figure(nomogram_figure(model.nomogram, prediction, model.name, width=width), path)

    def runBatch(self, casesPath, modelPath, outputDirectory, jobs=1, engine=None):
        """Apply a model to all cases of a table.

        Parameters
        ----------
        casesPath : path
            cases.csv.
        modelPath : path or None
            By default the demonstration model.
        outputDirectory : path
            Where predictions.csv is written.
        jobs : int
            Processes.
        engine : str, optional
            ``"fast"``, the default, or ``"pyradiomics"``. Where the fast one cannot be used, pyradiomics takes over;
            the result's ``notice`` says why, or what slowed the engine down.

        Returns
        -------
        HER2NomogramLib.batch.BatchResult
        """
        from HER2NomogramLib.batch import predict_cases
        from HER2NomogramLib.cases import read_cases

        out = Path(outputDirectory) / "predictions.csv"
        return predict_cases(read_cases(casesPath), self.loadModel(modelPath), out, jobs=jobs, engine=engine)

    @staticmethod
    def associate(tablePath, outcome, predictors, reportPath=None, table=None, **options):
        """Study which clinical variables of a cohort go with an outcome.

        Parameters
        ----------
        tablePath : path
            CSV, .xlsx or .xlsm file, one row per patient or lesion.
        outcome : str
            Column or derived variable.
        predictors : sequence of str
        reportPath : path, optional
            HTML file of the report; its figures and tables go beside it.
        table : dict, optional
            How the table is read: ``sheet``, ``columns`` (own column by known name), ``missing_words``,
            ``ki67_threshold``; see HER2NomogramLib.cohort.read_cohort.
        **options
            Of HER2NomogramLib.association.StudyOptions, such as ``strata="dense_breast"`` or ``per={"age": 10}``.

        Returns
        -------
        HER2NomogramLib.association.AssociationResult

        Raises
        ------
        InputError
            Also where a package is missing, with how to install it: a call asks nobody.
        """
        needed = ("scikit-learn",) if reportPath is None else ("scikit-learn", "jinja2", "matplotlib")
        lines = command.requirements(Path(__file__).parent / "Resources" / "requirements.txt")
        of_table = (OPENPYXL,) if is_workbook(tablePath) else ()
        command.check_installed([*(line for line in lines if line.startswith(needed)), *of_table])

        from HER2NomogramLib.association import StudyOptions, associate
        from HER2NomogramLib.cohort import read_cohort
        from HER2NomogramLib.report import write_association_report

        cohort = read_cohort(tablePath, **(table or {}))
        result = associate(cohort, StudyOptions(outcome, tuple(predictors), **options))
        if reportPath is not None:
            write_association_report(result, reportPath)
        return result

    @staticmethod
    def startEnginePreparation():
        """Compile the fast feature engine, where it never was on this computer, in a process of Slicer's own Python.

        Returns
        -------
        HER2NomogramLib.preparation.EnginePreparation
            ``update()`` says whether it is still running, ``stop()`` ends it.
        """
        return EnginePreparation()

    @staticmethod
    def startCohort(choices):
        """Train a model on a cohort, validate one, or study associations, in a process of Slicer's own Python.

        Parameters
        ----------
        choices : HER2NomogramLib.command.CohortChoices

        Returns
        -------
        HER2NomogramLib.command.CohortRun
            ``update()`` reads how far it has come, ``cancel()`` ends it.
        """
        return command.CohortRun(choices)


class HER2NomogramTest(ScriptedLoadableModuleTest):
    """Self test, to be run inside Slicer."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all tests."""
        for test in (self.test_regions, self.test_prediction, self.test_bad_input, self.test_process):
            self.setUp()
            test()

    def _phantom(self):
        """A synthetic mammogram with its lesion outlined: volume node, segmentation node, segment ID, phantom."""
        from HER2NomogramLib.mammogram import Mammogram
        from HER2NomogramLib.phantom import make_phantom

        phantom = make_phantom(seed=1)
        mammogram = Mammogram.from_array(phantom.pixels, phantom.spacing_mm, "phantom")
        volume = scene.add_volume(slicer.mrmlScene, mammogram.image, "Phantom")
        volume.SetAttribute(scene.KIND_ATTRIBUTE, "recombined")
        segmentation = scene.add_segmentation(slicer.mrmlScene, {"Lesion": phantom.lesion}, volume, "Outlines")
        return volume, segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), phantom

    def test_regions(self):
        """Regions are written beside the lesion, once, and leave it alone."""
        self.delayDisplay("Regions of a phantom")
        volume, segmentation, lesion, phantom = self._phantom()
        logic = HER2NomogramLogic()
        first = logic.createRegionSegments(segmentation, lesion, volume)
        again = logic.createRegionSegments(segmentation, lesion, volume)
        self.assertEqual(first, again)
        self.assertEqual(segmentation.GetSegmentation().GetNumberOfSegments(), 5)
        self.assertTrue((scene.segment_mask(segmentation, lesion, volume) == phantom.lesion).all())
        ring = scene.segment_mask(segmentation, first["peritumoral_5mm"], volume)
        self.assertFalse((ring & phantom.lesion).any())

    def test_prediction(self):
        """The demonstration model gives a probability, where pyradiomics is installed."""
        self.delayDisplay("Prediction for a phantom")
        volume, segmentation, lesion, phantom = self._phantom()
        logic = HER2NomogramLogic()
        if importlib.util.find_spec("radiomics") is None:
            with self.assertRaisesRegex(InputError, "SlicerRadiomics"):
                logic.predict(volume, segmentation, lesion)
            return
        prediction = logic.predict(volume, segmentation, lesion, clinical=phantom.clinical)
        low, high = prediction.interval
        self.assertTrue(0 < low <= prediction.probability <= high < 1)
        shown = logic.showPrediction(prediction, picture=False)
        self.assertEqual(shown["tableNode"].GetNumberOfRows(), len(prediction.selectedFeatures))

    def test_bad_input(self):
        """What cannot be used is refused with a reason."""
        self.delayDisplay("Bad input")
        volume, segmentation, lesion, _phantom = self._phantom()
        logic = HER2NomogramLogic()
        with self.assertRaisesRegex(InputError, "no segment"):
            logic.createRegionSegments(segmentation, "nothing", volume)
        empty = segmentation.GetSegmentation().AddEmptySegment("", "Empty")
        with self.assertRaisesRegex(InputError, "empty"):
            logic.createRegionSegments(segmentation, empty, volume)
        volume.SetSpacing(1.0, 1.0, 1.0)
        with self.assertRaisesRegex(InputError, "spacing"):
            logic.createRegionSegments(segmentation, lesion, volume)

    def test_process(self):
        """The command line runs beside Slicer, in its own Python, and answers with a line of its own."""
        self.delayDisplay("A process of Slicer's Python")
        with tempfile.TemporaryDirectory() as folder:
            cases = Path(folder) / "cases.csv"
            cases.write_text("case_id\n", encoding="utf-8")
            run = HER2NomogramLogic().startCohort(command.CohortChoices(command.Mode.TRAIN, str(cases), folder))
            while run.update():
                slicer.app.processEvents()
                time.sleep(0.05)
        # That there are no cases, or that a package is not installed.
        self.assertEqual(run.state, command.FAILED)
        self.assertNotIn("unexpectedly", run.message)
        self.delayDisplay("Tests passed")
