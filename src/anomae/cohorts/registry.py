"""Cohorts by name, opened with their options."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.benchmark_pictures import Bmad, MedIAnomaly
from anomae.cohorts.brats import Brats, Brats2020
from anomae.cohorts.case import Cohort
from anomae.cohorts.covid_radiography import CovidRadiography
from anomae.cohorts.folder import Folder
from anomae.cohorts.lgg import Lgg
from anomae.cohorts.luna16 import Luna16
from anomae.cohorts.medmnist import MedMnist
from anomae.cohorts.phantom_cohort import Phantoms
from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

# Each takes SOURCE and its options by keyword; what stages need to know of it are its attributes, see Cohort.
COHORTS: dict[str, type[Cohort]] = {
    "brats": Brats,
    "brats2020": Brats2020,
    "luna16": Luna16,
    "lgg": Lgg,
    "folder": Folder,
    "arrays": Arrays,
    "bmad": Bmad,
    "medianomaly": MedIAnomaly,
    "medmnist": MedMnist,
    "covid-radiography": CovidRadiography,
    "phantom": Phantoms,
}


def open_cohort(name: str, source: Path | str, **options: Any) -> Cohort:
    """The cohort `name` at `source`.

    options: as cohort_options(name) lists them; texts are read as the type that the option has.  Raises UserError for
    an unknown cohort or option, naming near misses, for a value that does not fit, and for a source that is none.
    """
    known = cohort_options(name)
    for key in options:
        if key not in known:
            raise UserError(f"The cohort {name!r} has no option {key!r}. {nearest_sentence(key, known)}")
    opened: Callable[..., Cohort] = cohort_named(name)
    types = get_type_hints(COHORTS[name].__init__)
    return opened(Path(source), **{key: _read_as(types[key], key, value) for key, value in options.items()})


def cohort_named(name: str) -> type[Cohort]:
    """The class of a cohort.  Raises UserError, naming near misses, where there is no such cohort."""
    if name not in COHORTS:
        raise UserError(f"There is no cohort {name!r}. {nearest_sentence(name, COHORTS)}")
    return COHORTS[name]


def cohort_options(name: str) -> tuple[str, ...]:
    """The options of a cohort, in order.  Raises UserError, naming near misses, where there is no such cohort."""
    return tuple(inspect.signature(cohort_named(name)).parameters)[1:]


def text_options(name: str) -> tuple[str, ...]:
    """The options of a cohort whose value is a text, whatever it looks like.  Raises UserError as `cohort_options`."""
    types = get_type_hints(cohort_named(name).__init__)
    return tuple(key for key in cohort_options(name) if types[key] is str)


def _read_as(wanted: Any, key: str, value: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if not isinstance(value, str | int | float | bool | None):
        return value
    try:
        return TypeAdapter(wanted, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
    except ValidationError as error:
        raise UserError(f"The option {key} cannot be {value!r}: {error.errors()[0]['msg']}.") from error
