"""The folder a cohort is read from: there, or refused with a sentence that says what was expected in it."""

from pathlib import Path

from anomae.errors import UserError


def existing_folder(source: Path, expected: str) -> Path:
    """`source` where it is a folder; else raises UserError telling what is `expected` there."""
    if source.is_dir():
        return source
    kind = "is a file, not a folder" if source.exists() else "does not exist"
    raise UserError(f"{source} {kind}; expected a folder with {expected}.")


def existing_file(path: Path, expected: str) -> Path:
    """`path` where it is a file; else raises UserError telling what is `expected` there."""
    if path.is_file():
        return path
    kind = "is a folder, not a file" if path.exists() else "does not exist"
    raise UserError(f"{path} {kind}; expected {expected}.")
