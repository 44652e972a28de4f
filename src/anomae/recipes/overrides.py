"""Settings changed by the user: `--set key=value` and TOML files, with near misses named for unknown keys."""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from anomae.errors import UserError
from anomae.nested import flat_settings
from anomae.suggestions import nearest_sentence

Model = TypeVar("Model", bound=BaseModel)
# Of each pair exactly one holds: setting one unsets the other.
EXCLUSIVE = (("epochs", "steps"), ("warmup_epochs", "warmup_steps"))


def parse_assignments(assignments: Sequence[str], as_text: Collection[str] = ()) -> dict[str, Any]:
    """ "key=value" texts as a mapping; values are read as TOML (numbers, true, [1, 2]), `none` as None, else as text.

    as_text: keys whose value is a text, so that a class called none, nan or true is called that.
    Raises UserError where there is no "=".
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {assignment!r} is not of the form key=value.")
        read = _value(value.strip())
        kept = key.strip() in as_text and not isinstance(read, str | list | dict)
        parsed[key.strip()] = value.strip() if kept else read
    return parsed


def read_overrides(path: Path) -> dict[str, Any]:
    """The settings of a TOML file, tables as dotted keys.  Raises UserError where it is missing or not TOML."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as TOML settings ({error}).") from error
    return dict(flat_settings(content))


def overridden(settings: Model, overrides: Mapping[str, Any], *, also_known: Sequence[str] = ()) -> Model:
    """`settings` with dotted keys replaced.  also_known: further keys that a near miss may be of.

    A key may be shortened to an ending that only one key has (`mask_ratio`).  Raises UserError for keys that do not
    exist (near misses named), have no effect, are ambiguous, or whose value is not of the type or range, and for both
    of a pair of which one holds.  Keys that the settings' class names in `shaping` say which others there are, or what
    these are (`reshaped`, of the dumped settings), and are replaced first.
    """
    shaping = {key: overrides[key] for key in getattr(type(settings), "shaping", ()) if key in overrides}
    if shaping and len(overrides) > len(shaping):
        shaped = overridden(settings, shaping)
        rest = {key: value for key, value in overrides.items() if key not in shaping}
        return overridden(shaped, rest, also_known=also_known)
    content = settings.model_dump()
    known, kept = settable(settings), _kept_keys(settings)
    given = {_full_key(short, known, kept, also_known): value for short, value in overrides.items()}
    for key, value in given.items():
        *path, last = key.split(".")
        table = content
        for part in path:
            table = table[part]
        table[last] = value
        counterpart = counterpart_of(key)
        if value is not None and counterpart is not None:
            if given.get(counterpart) is not None:
                raise UserError(f"Set one of {key} and {counterpart}, not both.")
            table[counterpart.rpartition(".")[2]] = None
    if shaping:
        content = getattr(type(settings), "reshaped", dict)(content)
    try:
        return type(settings).model_validate(content)
    except ValidationError as error:
        raise UserError(f"These settings do not hold: {validation_sentence(error)}") from error


def layered(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Both overrides in one, `later` winning: what it sets unsets the other of the pair in `earlier`.

    Keys may be shortened in either.  What is unset stays in it as None, so that a key that does not exist is told.
    """
    unset = [counterpart for key, value in later.items() if value is not None and (counterpart := counterpart_of(key))]
    kept = {key: None if any(_may_be_one(key, other) for other in unset) else value for key, value in earlier.items()}
    return kept | dict(later)


def counterpart_of(key: str) -> str | None:
    """The dotted key that is unset where `key` is set; None: there is none."""
    table, dot, last = key.rpartition(".")
    pair = next((pair for pair in EXCLUSIVE if last in pair), None)
    return None if pair is None else table + dot + pair[1 - pair.index(last)]


def settable(settings: BaseModel) -> list[str]:
    """The dotted keys that `--set` takes: all but those that a class, or one within it, names in `not_settable`.

    These have no effect there, or follow from others.
    """
    kept = set(_kept_keys(settings))
    return [key for key, _ in flat_settings(settings.model_dump()) if key not in kept]


def validation_sentence(error: ValidationError) -> str:
    """What pydantic found, on one line: key, complaint; key, complaint."""
    complaints = []
    for entry in error.errors():
        key = ".".join(str(part) for part in entry["loc"])
        given = "" if isinstance(entry["input"], dict) else f" (given: {entry['input']!r})"
        message = entry["msg"].removeprefix("Value error, ")  # pydantic's own, before our sentences
        complaints.append(f"{key + ': ' if key else ''}{message}{given}")
    return "; ".join(complaints) + "."


def _kept_keys(settings: BaseModel) -> list[str]:
    kept = tuple(_not_settable(settings))
    return [key for key, _ in flat_settings(settings.model_dump()) if f"{key}.".startswith(kept or "\0")]


def _not_settable(settings: BaseModel, before: str = "") -> Iterator[str]:
    """Beginnings of dotted keys, of the settings and of all within; `settings_within`: those that are no fields."""
    yield from (f"{before}{name}." for name in getattr(settings, "not_settable", ()))
    within = {name: getattr(settings, name) for name in type(settings).model_fields}
    for name, part in {**within, **getattr(settings, "settings_within", {})}.items():
        if isinstance(part, BaseModel):
            yield from _not_settable(part, f"{before}{name}.")


def _full_key(short: str, known: Sequence[str], kept: Sequence[str], also_known: Sequence[str]) -> str:
    if short in known:
        return short
    endings = [key for key in known if key.endswith("." + short)]
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise UserError(f"The setting {short!r} is ambiguous: {', '.join(endings)}.")
    if any(f".{key}".endswith(f".{short}") for key in kept):
        raise UserError(f"There is no setting {short!r} to be set here: it has no effect, or follows from others.")
    raise UserError(f"There is no setting {short!r}. {nearest_sentence(short, [*known, *also_known])}")


def _may_be_one(key: str, other: str) -> bool:
    """Whether two dotted keys are the same, as far as they are spelled out."""
    return f".{key}".endswith(f".{other}") or f".{other}".endswith(f".{key}")


def _value(text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # no TOML, or a number or a nest that is too large for Python
        return {"True": True, "False": False}.get(text, text)
