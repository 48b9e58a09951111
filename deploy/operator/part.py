"""The operators' page as one part of a process in which other parts of a linkage run too."""

from __future__ import annotations

from deploy.operator.settings import OperatorSettings
from deploy.web.part import PagePart

__all__ = ["OperatorPart"]


class OperatorPart(PagePart[OperatorSettings]):
    """The page under an environment of its own."""

    kind = OperatorSettings
