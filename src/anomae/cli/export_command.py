"""The command that writes a fitted run for another engine."""

from pathlib import Path
from typing import Annotated

import typer

from anomae.cli.app import app
from anomae.cli.options import MovedStore, RunFolder


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder; below RUN/exported, `score` may choose it.")],
    to: Annotated[str, typer.Option(help="onnx (ONNX Runtime) or openvino.")],
    precision: Annotated[str, typer.Option(help="fp32, int8, or bf16 for openvino.")] = "fp32",
    store: MovedStore = None,
) -> None:
    """Write the fitted detector as networks that score without torch, once they are seen to say what torch says."""
    from anomae.export.export import export as exported
    from anomae.files import read_json
    from anomae.inference.exported.folder import CARD

    written = exported(run, out, to=to, precision=precision, store=store)
    card = read_json(written / CARD)
    typer.echo(f"Compared with torch on {card['parity']['source']}.")
    speeds = dict(card["slices_per_s"])
    typer.echo(f"Slices per second here: {speeds.pop('exported'):g}; {_said(speeds)}.")
    typer.echo(f"Exported: {written}")


def _said(speeds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in speeds.items())
