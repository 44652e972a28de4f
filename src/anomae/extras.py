"""Optional packages, imported where they are needed, with a sentence naming the extra where they are missing."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from anomae.errors import MissingExtra

REPORTERS = {"openvino": "openvino_telemetry"}  # what tells the makers of a package that it is used; it runs without


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, an optional package, so that nobody is told of its use.

    Raises MissingExtra, naming `extra`, where it is not installed.
    """
    try:
        with _hidden(REPORTERS.get(module)):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"This needs the package {module!r}: pip install 'anomae[{extra}]'.") from error


@contextmanager
def _hidden(package: str | None) -> Iterator[None]:
    """As if `package` were not installed, unless it is imported already."""
    if package is None or package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def installed_file(module: str, path: str, extra: str) -> Path:
    """A file of `module`, an optional package that ships data, found without importing the package.

    extra: "" for a package that anomae itself depends on.  Raises MissingExtra, naming `extra`, where the package or
    the file is not installed.
    """
    found = importlib.util.find_spec(module)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / path).is_file():
            return Path(folder) / path
    wanted = f"anomae[{extra}]" if extra else "anomae"
    raise MissingExtra(f"This needs {path} of the package {module!r}: pip install '{wanted}'.")
