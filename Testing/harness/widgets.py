"""Stand-ins for the widgets of Slicer and CTK in the panel: same names, signals, methods and properties."""

from __future__ import annotations

import re

import qt
import slicer
from PySide6.QtCore import Signal

_QWidget, _QToolButton, _QComboBox = qt.QWidget, qt.QToolButton, qt.QComboBox


class qMRMLWidget(_QWidget):
    mrmlSceneChanged = Signal(object)
    own_properties = ()
    isEntered = False
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(_QComboBox):
    """Lists the nodes of its types; without ``noneEnabled`` it chooses the first one that there is."""

    currentNodeChanged = Signal(object)
    own_properties = (
        "nodeTypes", "showChildNodeTypes", "hideChildNodeTypes", "addEnabled", "removeEnabled", "noneEnabled",
    )  # fmt: skip

    def __init__(self, parent=None):
        super().__init__(parent)
        self.nodeTypes, self.hideChildNodeTypes = [], []
        self.showChildNodeTypes = self.addEnabled = self.removeEnabled = True
        self.noneEnabled = False
        self._scene, self._tags, self._ids, self._current = None, [], [], None
        self.activated.connect(lambda index: self.setCurrentNodeID(self._ids[index]))

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is None:
            return
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
        self._tags = [scene.AddObserver(event, self._update) for event in events]
        self._update()

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node else "")

    def setCurrentNodeID(self, node_id):
        node_id = node_id if node_id in self._ids else ""
        self.setCurrentIndex(self._ids.index(node_id) if node_id in self._ids else -1)
        if node_id != (self._current or ""):
            self._current = node_id or None
            self.currentNodeChanged.emit(self.currentNode())

    def _accepts(self, node):
        if any(node.IsA(name) for name in self.hideChildNodeTypes) or node.GetHideFromEditors():
            return False
        fits = node.IsA if self.showChildNodeTypes else lambda name: node.GetClassName() == name
        return any(fits(name) for name in self.nodeTypes)

    def _update(self, caller=None, event=None):
        nodes = [self._scene.GetNthNode(number) for number in range(self._scene.GetNumberOfNodes())]
        nodes = [node for node in nodes if self._accepts(node)]
        self._ids = [""] * self.noneEnabled + [node.GetID() for node in nodes]
        self.clear()
        self.addItems(["None"] * self.noneEnabled + [node.GetName() for node in nodes])
        gone = self._current not in self._ids
        self.setCurrentNodeID(next(iter(self._ids), "") if gone else self._current)


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation and one of its segments, or several. Goes on naming a segment when its segmentation is gone."""

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal(list)
    own_properties = ("noneEnabled", "multiSelection", "segmentationNodeSelectorVisible")

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._nodes, self._segments = qMRMLNodeComboBox(), qt.QComboBox()
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        row = qt.QHBoxLayout()
        row.addWidget(qt.QLabel("Segment: "))
        row.addWidget(self._segments, 1)
        layout.addWidget(self._nodes)
        layout.addLayout(row)
        self.noneEnabled = self.multiSelection = False
        self._ids, self._current, self._selected, self._watched = [], "", [], (None, ())
        self._nodes.currentNodeChanged.connect(self._node_changed)
        self._segments.currentIndexChanged.connect(self._index_changed)
        self._segments.activated.connect(self._toggle)

    segmentationNodeSelectorVisible = property(
        lambda self: self._nodes.visible, lambda self, visible: self._nodes.setVisible(visible)
    )

    def setMRMLScene(self, scene):
        self._nodes.setMRMLScene(scene)
        super().setMRMLScene(scene)

    def currentNode(self):
        return self._nodes.currentNode()

    def setCurrentNode(self, node):
        self._nodes.setCurrentNode(node)

    def currentSegmentID(self):
        return self._current

    def setCurrentSegmentID(self, segment_id):
        if segment_id in self._ids:
            self._segments.setCurrentIndex(self._ids.index(segment_id))

    def selectedSegmentIDs(self):
        return tuple(self._selected)

    def setSelectedSegmentIDs(self, segment_ids):
        if self.currentNode() is None:
            return
        chosen = [segment_id for segment_id in segment_ids if segment_id in self._ids]
        changed, self._selected = chosen != self._selected, chosen
        self._show_selection()
        if changed:
            self.segmentSelectionChanged.emit(chosen)

    def _node_changed(self, node):
        segmentation, tags = self._watched
        for tag in tags:
            segmentation.RemoveObserver(tag)
        segmentation = node.GetSegmentation() if node else None
        names = ("SegmentAdded", "SegmentRemoved", "SegmentModified") if node else ()
        tags = [segmentation.AddObserver(getattr(slicer.vtkSegmentation, name), self._populate) for name in names]
        self._watched = (segmentation, tags)
        self._populate()
        self.currentNodeChanged.emit(node)

    def _populate(self, caller=None, event=None):
        segmentation = self._watched[0]
        self._ids = list(segmentation.GetSegmentIDs()) if segmentation else []
        self._segments.blockSignals(True)
        self._segments.clear()
        self._segments.addItems([segmentation.GetSegment(segment_id).GetName() for segment_id in self._ids])
        self._segments.setCurrentIndex(self._ids.index(self._current) if self._current in self._ids else -1)
        self._segments.blockSignals(False)
        if self.multiSelection:
            self._selected = [segment_id for segment_id in self._selected if segment_id in self._ids]
            self._show_selection()
        elif self._ids and self._current not in self._ids:
            self._segments.setCurrentIndex(0)

    def _index_changed(self, index):
        if not self.multiSelection and index >= 0:
            self._current = self._ids[index]
            self.currentSegmentChanged.emit(self._current)

    def _toggle(self, index):
        if self.multiSelection:
            self.setSelectedSegmentIDs([s for s in self._ids if (s in self._selected) != (s == self._ids[index])])

    def _show_selection(self):
        names = [self._segments.itemText(self._ids.index(segment_id)) for segment_id in self._selected]
        self._segments.setCurrentIndex(-1)
        self._segments.placeholderText = ", ".join(names) or " "


class ctkCollapsibleButton(_QWidget):
    own_properties = ("text", "collapsed")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._button = _QToolButton(self)
        self._button.toolButtonStyle = qt.Qt.ToolButtonTextBesideIcon
        self._button.clicked.connect(lambda: setattr(self, "collapsed", not self.collapsed))
        self._button.move(0, 0)
        self._collapsed = False
        self.setContentsMargins(0, 26, 0, 0)
        self.setStyleSheet("QToolButton { border: 1px solid #c8c8c8; background: #e9e9e9; text-align: left; }")
        self._show()

    def resizeEvent(self, event):
        self._button.resize(self.width, 24)

    @property
    def text(self):
        return self._button.text

    @text.setter
    def text(self, text):
        self._button.text = text

    @property
    def collapsed(self):
        return self._collapsed

    @collapsed.setter
    def collapsed(self, collapsed):
        self._collapsed = collapsed
        for child in self.children():
            if child.isWidgetType() and child is not self._button:
                child.setVisible(not collapsed)
        self._show()

    def _show(self):
        self._button.setArrowType(qt.Qt.RightArrow if self._collapsed else qt.Qt.DownArrow)


class ctkPathLineEdit(_QWidget):
    currentPathChanged = Signal(str)
    own_properties = ("filters", "nameFilters", "showHistoryButton")
    nameFilters = ()

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit, browse = qt.QLineEdit(), qt.QToolButton()
        browse.setText("...")
        layout.addWidget(self._edit)
        layout.addWidget(browse)
        self._edit.className = lambda: "QLineEdit"  # what slicer.util.findChildren asks for
        self._edit.textChanged.connect(self._say_if_valid)

    def _say_if_valid(self, text):
        # The name filter is a validator too, and what it refuses is not told.
        endings = re.findall(r"\*\.(\w+)", " ".join(self.nameFilters))
        if not endings or re.fullmatch(rf".*\.({'|'.join(endings)})?", text):
            self.currentPathChanged.emit(text)

    @property
    def currentPath(self):
        return self._edit.text

    @currentPath.setter
    def currentPath(self, path):
        self._edit.setText(path)
