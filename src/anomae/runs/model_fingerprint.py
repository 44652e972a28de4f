"""What tells one fitted model from another, wherever its folder lies and whatever it was calibrated on since."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from anomae.files import is_left_by_system
from anomae.runs.healthy_file import NAME as HEALTHY_SCORES

REFERENCE, REFERENCE_FEATURES = "reference.json", "reference_features.npz"
BESIDE = (HEALTHY_SCORES, REFERENCE, REFERENCE_FEATURES)  # no score depends on these


def files_of_model(folder: Path) -> Iterator[Path]:
    """The files of a fitted or exported model, sorted; not what a file manager or a tool for copying left there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(map(is_left_by_system, path.relative_to(folder).parts)):
            yield path


def fingerprint(fitted: Path, engine: str = "torch") -> str:
    """A text that depends on the content of the files of `fitted` that scores depend on: equal for equal models.

    engine: what scores with it; scores of two engines differ in their last digits, and are not mixed.
    """
    seen = hashlib.blake2b(digest_size=16)
    for file in files_of_model(fitted):
        name = file.relative_to(fitted).as_posix()
        if name not in BESIDE:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "blake2b").hexdigest()
            seen.update(f"{name}\n{digest}\n".encode())
    if engine != "torch":
        seen.update(engine.encode())
    return seen.hexdigest()
