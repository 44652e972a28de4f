"""The folder of an exported model: what is in it, and that it is what was written.

EXPORTED/
  card.json                      detector, engine, precision, networks, what the runner does with them, parity
  MODEL_CARD.md                  the same for people
  <network>.onnx | .xml, .bin    the networks
  prepare.json, fitted.json ...  what lay beside the weights of the fitted detector
  calibration/                   scores of normal validation slices, cases and patients by number alone
  checksums.json                 SHA-256 of every other file; written last: its presence means "complete"
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.files import read_json, write_json

CARD, CHECKSUMS, FORMAT = "card.json", "checksums.json", "anomae export 2"
HEALTHY = "healthy_scores"  # of the card: whose scores of healthy people lie beside it; see anomae.export.card


def is_exported(folder: Path) -> bool:
    """Whether `folder` holds an exported model, whole or not."""
    return (folder / CARD).exists() or (folder / CHECKSUMS).exists()


def read_card(folder: Path) -> dict[str, Any]:
    """card.json, once every file of the folder has been compared with its checksum.

    Raises UserError where there is none, the version is another, or a file is missing or not as it was written.
    """
    if not (folder / CHECKSUMS).exists() or not (folder / CARD).exists():
        raise UserError(f"{folder} holds no whole exported model; export it again with `anomae export`.")
    sums = read_json(folder / CHECKSUMS).get("sha256")
    if not isinstance(sums, dict):
        raise UserError(f"{folder / CHECKSUMS} holds no checksums; export the model again with `anomae export`.")
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing from the exported model; copy the whole folder, or export it again.")
        if _sha256(path) != expected:
            raise UserError(f"{path} is not as it was exported (its checksum differs); copy it or export it again.")
    card: dict[str, Any] = read_json(folder / CARD)
    if card.get("format") != FORMAT:
        raise UserError(f"{folder} was exported by another version ({card.get('format')}); export it again.")
    if not is_current(card):
        raise UserError(
            f"{folder} was exported in {card.get('precision')} by an earlier version, with the thresholds of torch, "
            "which it may never reach; export it again."
        )
    return card


def is_current(card: Mapping[str, Any]) -> bool:
    """Whether this version scores with a model of this card: of its format, and in bf16 or int8 with own thresholds."""
    return card.get("format") == FORMAT and (card.get("precision") == "fp32" or HEALTHY in card)


def write_checksums(folder: Path) -> None:
    """Write checksums.json over every file of `folder`; the last thing that is written there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    write_json(folder / CHECKSUMS, {"sha256": sums})


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
