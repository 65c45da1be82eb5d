"""Typed parameters in a script node, connected to widgets by their property SlicerParameterName.

Values are kept in the MRML node, so that saving and closing the scene does to them what it does in Slicer.
"""

from __future__ import annotations

import enum
import json
import typing

import slicer
import vtk


class Choice:
    def __init__(self, choices):
        self.choices = choices

    def check(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class WithinRange:
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def check(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


class _Parameter:
    """One typed attribute of a parameter node class."""

    def __init__(self, name, annotation, default):
        self.name = name
        self.annotations = getattr(annotation, "__metadata__", ())
        plain = typing.get_args(annotation)[0] if self.annotations else annotation
        self.type = typing.get_origin(plain) or plain
        self.is_node = issubclass(self.type, slicer.vtkMRMLNode)
        self.is_enum = issubclass(self.type, enum.Enum)
        self.default = default if default is not None or self.is_node else self.type()

    def __get__(self, wrapper, owner=None):
        node = wrapper.parameterNode
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not node.HasParameter(self.name):
            return self.default
        text = node.GetParameter(self.name)
        return self.type[text] if self.is_enum else json.loads(text)

    def __set__(self, wrapper, value):
        if not isinstance(value, self.type) and not (self.is_node and value is None):
            raise ValueError(f"{self.name}: {value!r} is not of type {self.type.__name__}")
        for annotation in self.annotations:
            annotation.check(value)
        if self.is_node:
            wrapper.parameterNode.SetNodeReferenceID(self.name, value.GetID() if value else None)
        else:
            wrapper.parameterNode.SetParameter(self.name, value.name if self.is_enum else json.dumps(value))


def parameterNodeWrapper(cls):
    """Turn the annotations of a class into parameters of the node that it wraps."""
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.parameters = {name: _Parameter(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    for name, parameter in cls.parameters.items():
        setattr(cls, name, parameter)
    for method in (__init__, connectGui, disconnectGui, AddObserver, RemoveObserver, StartModify, EndModify):
        setattr(cls, method.__name__, method)
    return cls


def __init__(self, parameterNode):  # noqa: N807 - becomes the method of the wrapped class
    self.parameterNode = parameterNode
    self._tags, self._connected, self._writing = [], [], False


def connectGui(self, ui):
    def write():
        self._writing = True
        for widget, parameter, _signal, _slot in self._connected:
            _set_value(widget, getattr(self, parameter.name), parameter)
        self._writing = False

    for widget in vars(ui).values():
        name = widget.property("SlicerParameterName")
        if not name:
            continue
        parameter = self.parameters[name]

        def read(*args, widget=widget, parameter=parameter):
            if not self._writing:
                setattr(self, parameter.name, _value(widget, parameter))

        _prepare(widget, parameter)
        signal = _changed(widget)
        self._connected.append((widget, parameter, signal, read))
    write()
    for _widget, _parameter, signal, read in self._connected:
        signal.connect(read)
    self._tags.append(self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: write()))
    return 0


def disconnectGui(self, tag):
    for _widget, _parameter, signal, read in self._connected:
        signal.disconnect(read)
    for observer in self._tags:
        self.RemoveObserver(observer)
    self._tags, self._connected = [], []


def AddObserver(self, event, callback, priority=0.0):
    return self.parameterNode.AddObserver(event, callback, priority)


def RemoveObserver(self, tag):
    self.parameterNode.RemoveObserver(tag)


def StartModify(self):
    return self.parameterNode.StartModify()


def EndModify(self, was_modified):
    return self.parameterNode.EndModify(was_modified)


def _prepare(widget, parameter):
    for annotation in parameter.annotations:
        if isinstance(annotation, WithinRange):
            widget.minimum, widget.maximum = annotation.minimum, annotation.maximum
        elif isinstance(annotation, Choice):
            widget.clear()
            widget.addItems(annotation.choices)
    if parameter.is_enum:
        widget.clear()
        widget.addItems([member.label() for member in parameter.type])


def _changed(widget):
    names = ("currentNodeChanged", "currentTextChanged", "valueChanged", "toggled", "textChanged")
    return next(getattr(widget, name) for name in names if hasattr(widget, name))


def _value(widget, parameter):
    if parameter.is_node:
        return widget.currentNode()
    if parameter.is_enum:
        return list(parameter.type)[widget.currentIndex]
    return next(getattr(widget, name) for name in ("checked", "value", "currentText", "text") if hasattr(widget, name))


def _set_value(widget, value, parameter):
    if parameter.is_node:
        widget.setCurrentNode(value)
    elif hasattr(widget, "checked"):
        widget.checked = value
    elif hasattr(widget, "value"):
        widget.value = value
    elif parameter.is_enum:
        widget.setCurrentIndex(list(parameter.type).index(value))
    elif not hasattr(widget, "currentText"):
        if widget.text != value:
            widget.setText(value)
    else:
        widget.setCurrentIndex(widget.findText(value))
