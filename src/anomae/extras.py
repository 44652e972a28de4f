"""Optional packages, imported where they are needed, with a sentence naming the extra where they are missing."""

import importlib
from types import ModuleType

from anomae.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, an optional package.

    Raises MissingExtra, naming `extra`, where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"This needs the package {module!r}: pip install 'anomae[{extra}]'.") from error
