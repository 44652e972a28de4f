"""The model card of an exported model: card.json for programs, MODEL_CARD.md for people."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomae import __version__
from anomae.files import write_json, write_text
from anomae.inference.exported.engines import ENGINES, engine_version, multiplies_bf16
from anomae.inference.exported.folder import CARD, FORMAT, HEALTHY
from anomae.processor import bf16_is_faster


def card_of(fitted: Any, traced: Any, networks: Mapping[str, Any], to: str, precision: str) -> dict[str, Any]:
    """card.json, but for what was measured."""
    import torch

    engine = ENGINES[to]
    with_bf16 = some_in_bf16(to, precision)
    if not with_bf16:  # what was not measured in bf16 is not computed in it elsewhere
        networks = {
            name: {**facts, "computed": facts["computed"].replace("bf16", "fp32")} for name, facts in networks.items()
        }
    return {
        "format": FORMAT,
        "detector": fitted.name,
        "map_name": fitted.map_name,
        "description": fitted.description,
        "channels": int(traced.facts["channels"]),
        "image_size": list(traced.facts["image_size"]),
        "needs_neighbours": bool(getattr(fitted, "needs_neighbours", False)),
        "engine": engine,
        "precision": precision,
        "bf16": with_bf16,
        "batch": traced.batch,
        "runner": dict(traced.runner),
        "networks": dict(networks),
        "versions": {"anomae": __version__, "torch": torch.__version__, engine: engine_version(engine).split()[1]},
        "python": platform.python_version(),
    }


def some_in_bf16(to: str, precision: str) -> bool:
    """Whether a model exported in `precision` computes in bf16 what may be; of int8, where that is faster than fp32."""
    asked = precision == "bf16" or (precision == "int8" and bf16_is_faster())
    return asked and ENGINES[to] == "openvino" and multiplies_bf16()


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write card.json and MODEL_CARD.md."""
    write_json(folder / CARD, card)
    write_text(folder / "MODEL_CARD.md", _page(card))


def _page(card: Mapping[str, Any]) -> str:
    height, width = card["image_size"]
    parity, precision, engine = card["parity"], card["precision"], card["engine"]
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    worst = _worst(parity["fp32"])
    lines = [
        f"# {card['detector']}, exported for {engine} in {precision}",
        "",
        "Not a medical device. It says how far a slice is from the healthy ones that it learned from.",
        "",
        f"- Detector: {card['detector']}" + (f" ({card['description']})" if card["description"] else ""),
        f"- Images: {card['channels']} channel(s) of {height} x {width} pixels, prepared as prepare.json says",
        f"- Map: {card['map_name'] or 'none'}",
        f"- Made with {versions}",
        "",
        "## Agreement with torch",
        f"Compared with torch's fp32 on {parity['source']}.",
        "",
        f"- fp32, {_images(parity['fp32'])} in batches of {', '.join(_batches(parity['fp32']))}: the largest "
        f"difference of any score, map or reconstruction is {worst:.2g} of its range "
        f"({parity['fp32']['tolerance']:g} is allowed)",
    ]
    if precision != "fp32":
        reduced = parity[precision]
        lines.append(
            f"- {precision}, {reduced['slices']} slices: rank correlation of the scores "
            f"{reduced['rank_correlation']:.5f}"
            + (
                f", with altered slices {reduced['rank_correlation_with_altered']:.5f}"
                if "rank_correlation_with_altered" in reduced
                else ""
            )
            + f" ({reduced['wanted_rank_correlation']:g} is wanted)"
        )
        if "pretext_auroc" in reduced:
            lines.append(
                f"- {precision}, AUROC of the pretext task: {reduced['pretext_auroc']:.4f}; torch's fp32: "
                f"{reduced['pretext_auroc_torch']:.4f}"
            )
        else:
            lines.append("- This detector has no pretext task, whose AUROC could be judged")
        lines += [
            f"- {precision}, slices with pseudo-lesions whose {what} is {level} of normal slices: "
            f"{share:.1%}; torch's fp32: {theirs:.1%} ({reduced['wanted_share_difference']:g} apart is allowed)"
            for what, of in reduced["altered_above"].items()
            for level, (share, theirs) in of.items()
        ]
    if "rank_correlation_of_maps" in parity[precision]:
        lines.append(
            f"- {precision}, rank correlation of the maps: {parity[precision]['rank_correlation_of_maps']:.5f}"
        )
    lines += [
        "",
        *_quantised(card),
        "## Use",
        "`anomae score THIS_FOLDER scan.nii.gz --out RESULTS`. torch is not needed: in an environment without it, "
        f"`pip install --no-deps anomae` and `pip install {_needed(engine)}`. What needs torch is the look of a scan "
        "beside those of the training scans, one of the checks on whether the model was made for it; without torch the "
        "notes say that this one is not made.",
        "",
        "Every file is checked against checksums.json when the model is loaded. In calibration/ cases and patients are "
        "numbers.",
        "",
        _thresholds(card),
        "",
    ]
    return "\n".join(lines)


def _thresholds(card: Mapping[str, Any]) -> str:
    """Whose scores of healthy people they come from."""
    kept = card[HEALTHY]
    if kept["of"] == "none":
        return f"Thresholds: none, so nothing is flagged without `--threshold`, since {kept['why']}."
    if kept["of"] == "torch":
        return "Thresholds come from what torch gave to healthy people; they were copied from the run."
    return (
        f"Thresholds come from what this model itself, in {card['precision']}, gave to the normal validation slices of "
        "the run's store; torch's hold in fp32 alone."
    )


def _quantised(card: Mapping[str, Any]) -> list[str]:
    if "quantised_on" not in card:
        return []
    of = {name: facts["computed"] for name, facts in card["networks"].items()}
    eight = ", ".join(name for name, computed in of.items() if computed == "int8")
    rest = ", ".join(f"{name} in {computed}" for name, computed in of.items() if computed != "int8")
    return [
        f"- In int8: {eight}, its ranges taken from {card['quantised_on']}" + (f"; {rest}" if rest else ""),
        "",
    ]


def _needed(engine: str) -> str:
    packages = "numpy scipy pydantic typer rich jinja2 matplotlib pillow simpleitk pydicom pylibjpeg h5py"
    return f"{engine} {packages}"


def _images(fp32: Mapping[str, Any]) -> str:
    """How many slices were compared; cards of earlier versions do not say how many images were made of them."""
    more = fp32["slices"] < fp32.get("images", 0)
    return f"{fp32['slices']} slices" + (f", again and darker up to {fp32['images']} images," if more else "")


def _batches(fp32: Mapping[str, Any]) -> list[str]:
    return list(fp32["largest_difference_by_batch"])


def _worst(fp32: Mapping[str, Any]) -> float:
    return max(float(share) for of in fp32["largest_difference_by_batch"].values() for share in of.values())
