"""What a run was begun with: written once, and the same of every fit that goes on with it."""

from collections.abc import Mapping
from typing import Any

from anomae.errors import UserError
from anomae.files import write_json
from anomae.locks import holds_anything
from anomae.runs.run import Run

# How often to keep a checkpoint, and the kind of device, may change between two halves of one fit; COMPUTED may not.
CHANGEABLE = {"device"}
COMPUTED = ("precision", "devices", "nodes")


def begin(run: Run, facts: dict[str, Any]) -> bool:
    """Write run.json, or check that an earlier one says the same; whether it was written."""
    refuse_other(run, facts)
    new = not (run.folder / "run.json").exists()
    if new:
        write_json(run.folder / "run.json", facts)
    return new


def refuse_other(run: Run, facts: dict[str, Any]) -> None:
    """Raises UserError where the folder holds another run, or something else."""
    if not (run.folder / "run.json").exists():
        if run.folder.exists() and not run.folder.is_dir():
            raise UserError(f"{run.folder} is a file; name a folder for the run.")
        if holds_anything(run.folder):
            raise UserError(f"{run.folder} is not empty and is not a run; name a new folder.")
        return
    earlier = run.facts()
    changed = [
        key for key in ("store_fingerprint", "detector", "recipe", "profile", "seed") if earlier.get(key) != facts[key]
    ]
    before, after = (_compared(settings) for settings in (earlier["settings"], facts["settings"]))
    changed += [part for part in after if before.get(part) != after[part]]
    if changed:
        raise UserError(
            f"{run.folder} was begun with other {', '.join(changed)}; name a new folder, or give the same again."
        )
    if not run.is_fitted:
        _refuse_other_computing(run, earlier, facts["computed"])
        if earlier.get("left_out") != facts.get("left_out"):
            raise UserError(
                f"{run.folder} was begun by another version, which learned from other slices; name a new folder."
            )


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What may not change between two halves of one fit, of the members of an ensemble as well."""
    kept = {part: value for part, value in settings.items() if part not in CHANGEABLE}
    return {part: _compared(value) if isinstance(value, Mapping) else value for part, value in kept.items()}


def _refuse_other_computing(run: Run, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Half a fit in one precision and half in another is neither; a run of before this was kept says what was asked."""
    before = earlier.get("computed") or earlier["settings"].get("device") or {}
    other = [name for name in COMPUTED if before.get(name, "auto") not in ("auto", now.get(name, "auto"))]
    if other and now:
        began = ", ".join(f"{name}={before[name]}" for name in other)
        goes_on = ", ".join(f"{name}={now[name]}" for name in other)
        again = " ".join(f"--set device.{name}={before[name]}" for name in other)
        raise UserError(
            f"{run.folder} was begun with {began} and would go on with {goes_on}; add {again}, or name a new folder."
        )
