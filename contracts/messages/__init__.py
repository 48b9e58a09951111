"""All messages by context: one file each. Whatever file stands here is loaded, so ``message_types()`` gives every class
by its type name."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from contracts.messages.base import Message, message_types

__all__ = ["RETIRED", "Message", "message_types"]

RETIRED: Final[frozenset[str]] = frozenset()
"""Type names that were published once and are gone. None is ever used again."""

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
