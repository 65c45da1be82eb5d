"""CTK's widgets, as far as the panel uses them."""

from widgets import ctkCollapsibleButton, ctkPathLineEdit  # noqa: F401
