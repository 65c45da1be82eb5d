"""PySide6 as PythonQt shows it: Qt properties of widgets are attributes, and ``name`` is the object's name."""

from __future__ import annotations

import functools
from xml.etree import ElementTree

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import *  # noqa: F403
from PySide6.QtWidgets import QApplication  # noqa: F401


def __getattr__(name):
    for source in (QtWidgets, QtGui, QtCore):
        found = getattr(source, name, None)
        if found is not None:
            is_widget = isinstance(found, type) and issubclass(found, QtWidgets.QWidget)
            return with_properties(found) if is_widget else found
    raise AttributeError(name)


@functools.cache
def with_properties(widget_class):
    """Subclass of a Qt widget class whose Qt properties are Python properties."""
    meta = widget_class.staticMetaObject
    names = [meta.property(number).name() for number in range(meta.propertyCount())]
    members = {name: _qt_property(name) for name in names}
    members["name"] = _qt_property("objectName")
    return type(widget_class.__name__, (widget_class,), members)


def _qt_property(name):
    return property(
        lambda self: QtCore.QObject.property(self, name),
        lambda self, value: QtCore.QObject.setProperty(self, name, value),
    )


class QUiLoader(QtUiTools.QUiLoader):
    """Loads .ui files with the stand-ins for Slicer's widgets, and makes the connections written in the file."""

    def createWidget(self, className, parent=None, name=""):
        import widgets

        made = (getattr(widgets, className, None) or __getattr__(className))(parent)
        made.setObjectName(name)
        return made

    def load(self, file, parent=None):
        import widgets

        tree = ElementTree.fromstring(bytes(file.readAll()))
        own = {}
        for element in tree.iter("widget"):
            if hasattr(widgets, element.get("class")):
                own[element.get("name")] = _take_properties(element, getattr(widgets, element.get("class")))
        connections = [{part.tag: part.text for part in c} for c in tree.iter("connection")]
        for unknown_to_qt in ("customwidgets", "connections"):
            tree.remove(tree.find(unknown_to_qt))
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        loaded = super().load(buffer, parent)
        everything = [loaded, *loaded.findChildren(QtWidgets.QWidget)]
        found = {QtCore.QObject.property(child, "objectName"): child for child in everything}
        for name, values in own.items():
            for attribute, value in values.items():
                setattr(found[name], attribute, value)
        for c in connections:
            signal = getattr(found[c["sender"]], c["signal"].partition("(")[0])
            signal.connect(getattr(found[c["receiver"]], c["slot"].partition("(")[0]))
        return loaded


def _take_properties(element, widget_class):
    """Take the properties that only Slicer's widgets have out of the file, as Python values."""
    values = {}
    for item in list(element.findall("property")):
        name = item.get("name")
        if name in widget_class.own_properties:
            element.remove(item)
            values[name] = _python_value(item[0])
    return values


def _python_value(element):
    if element.tag == "bool":
        return element.text == "true"
    if element.tag == "stringlist":
        return [part.text for part in element]
    return element.text
