"""An exported model as a fitted detector: what `inspect` gives is what torch gives, as the parity gate measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.checked_images import check_images, stacked
from anomae.detectors.protocol import Findings
from anomae.errors import UserError
from anomae.files import copy_file, read_json
from anomae.inference.exported.batches import in_batches
from anomae.inference.exported.engines import Network, engine_version, multiplies_bf16, open_network, threads_to_use
from anomae.inference.exported.folder import CARD, CHECKSUMS, read_card
from anomae.inference.exported.runners import RUNNERS, findings_of

Images = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ExportedDetector:
    """Networks of an exported model, opened; see anomae.detectors.protocol.FittedDetector.

    card: of the folder.  networks: by name, for batches of the card's size.  precision: what is computed in, which is
    fp32 where the card says bf16 and this machine has none.  threads: batches that are looked at at once.
    """

    folder: Path
    card: Mapping[str, Any]
    networks: Mapping[str, Network]
    precision: str
    threads: int

    @property
    def name(self) -> str:
        """Of the detector that was exported."""
        return str(self.card["detector"])

    @property
    def map_name(self) -> str:
        """What a map's numbers are; "" without maps."""
        return str(self.card["map_name"])

    @property
    def description(self) -> str:
        """What a table must say of it."""
        return str(self.card["description"])

    @property
    def needs_neighbours(self) -> bool:
        """Whether `inspect` looks at the slices below and above too."""
        return bool(self.card["needs_neighbours"])

    @property
    def own_calibration(self) -> Path | None:
        """Its folder where its precision has thresholds of its own; None in fp32, where torch's hold."""
        return None if self.card["precision"] == "fp32" else self.folder

    @property
    def at_once(self) -> int:
        """How many calls of `inspect` pay at the same time: its threads are busy while what they made is joined."""
        return 2 if self.threads > 1 else 1

    @property
    def engine(self) -> str:
        """What computes, such as "openvino 2026.4.1, bf16"."""
        return f"{engine_version(str(self.card['engine']))}, {self.precision}"

    def inspect(self, images: Images, neighbours: Images | None = None) -> Findings:
        """Judge images (n, c, h, w), as the detector that was exported does.

        neighbours: (n, 2, c, h, w), where it looks at them; None: each stands for its own.  Raises UserError for images
        unlike those that were fitted on.
        """
        return self.inspect_in(int(self.card["batch"]), images, neighbours)

    def inspect_in(
        self, batch: int, images: Images, neighbours: Images | None = None, *, fixed: bool = True
    ) -> Findings:
        """The same in batches of another size; fixed: as in `in_batches`.  For networks opened for any batch."""
        height, width = self.card["image_size"]
        check_images(images, int(self.card["channels"]), (height, width))
        if self.needs_neighbours:
            beside = np.stack([images, images], axis=1) if neighbours is None else neighbours
            images = stacked(images, beside)
        runner = self.card["runner"]
        look = partial(RUNNERS[runner["kind"]], self.networks, runner)
        return findings_of(in_batches(images, batch, self.threads, look, fixed=fixed))

    def save(self, folder: Path) -> None:
        """Copy the exported folder into `folder`, which exists; the checksums last."""
        names = [*read_json(self.folder / CHECKSUMS)["sha256"], CHECKSUMS]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy_file(self.folder / name, folder / name)


def load_exported(folder: Path | str, *, threads: int | None = None) -> ExportedDetector:
    """The exported model in `folder`, its files checked, ready to inspect.

    threads: None: `threads_to_use`.  Raises UserError where it is not whole or not as it was exported, MissingExtra
    where its engine is not installed.
    """
    card = read_card(Path(folder))
    return opened(Path(folder), card, threads=threads)


def opened(
    folder: Path,
    card: Mapping[str, Any],
    *,
    any_batch: bool = False,
    precision: str | None = None,
    threads: int | None = None,
) -> ExportedDetector:
    """The networks that `card` names, opened.

    any_batch: not for the card's batch alone.  precision: fp32 instead of the card's; not of what is in int8.  Raises
    MissingExtra, and UserError where the card has a runner that this version does not know.
    """
    kind, engine = card["runner"]["kind"], str(card["engine"])
    if kind not in RUNNERS:
        raise UserError(f"{folder / CARD} needs a runner {kind!r} that this version does not have; update anomae.")
    computed = precision or str(card["precision"])
    with_bf16 = computed != "fp32" and bool(card["bf16"]) and multiplies_bf16()
    if computed == "bf16" and not with_bf16:
        computed = "fp32"  # what bf16 was measured against
    count = threads or threads_to_use()
    networks = {
        name: open_network(
            engine,
            folder / facts["file"],
            "bf16" if with_bf16 and facts["computed"] != "fp32" else "fp32",
            None if any_batch else card["batch"] * facts["rows"],
            count,
        )
        for name, facts in card["networks"].items()
    }
    return ExportedDetector(folder, card, networks, computed, count)
