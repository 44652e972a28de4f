"""The program `anomae`; its commands are in the other files of this folder."""

from typing import Annotated

import typer

from anomae import __version__

app = typer.Typer(
    name="anomae",
    help="Anomaly detection in medical images, trained on healthy images only.  Not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anomae {__version__}")
        raise typer.Exit


@app.callback()
def _anomae(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from; also with ANOMAE_DEBUG=1.")
    ] = False,
) -> None:
    """debug: listed here for the help; anomae.cli.main acts on it, wherever it stands."""
