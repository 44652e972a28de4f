"""Commands that list what there is: recipes with their settings, detectors."""

from typing import Annotated

import typer

from anomae.cli.app import app
from anomae.cli.options import DetectorName, Profile


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this recipe.")] = None,
    detector: DetectorName = "anomae",
    profile: Profile = "paper",
    side: Annotated[int, typer.Option(min=8, help="Image side in pixels; some recipes depend on it.")] = 96,
) -> None:
    """List the recipes, or with NAME every setting of a detector that --set can change."""
    from anomae.cli.summaries import list_recipes, show_recipe

    if name is None:
        list_recipes()
    else:
        show_recipe(name, detector, profile, side)


@app.command()
def detectors() -> None:
    """List the detectors that `anomae fit --detector` takes."""
    from anomae.cli.summaries import list_detectors

    list_detectors()
