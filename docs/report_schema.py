"""Print docs/report.md from the classes that every report is made of: python docs/report_schema.py."""

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from anomae.reports.comparison_schema import ComparisonContent
from anomae.reports.schema import ReportContent
from anomae.reports.schema_values import MetricFigures, Share
from anomae.statistics.metric_specs import METRICS

HEAD = """# report.json and compare.json

Every key, what it holds, and its range. `anomae evaluate` writes `report.json` (schema version 3), `anomae compare`
writes `compare.json` (schema version 2), each made of the classes below. Printed by
`python docs/report_schema.py > docs/report.md` from `anomae.reports.schema` and `comparison_schema`; what a figure
*means* stands in the file itself, under `definitions`.

Conventions: numbers are finite; `null` means that a figure cannot be given, and a sentence in `notes`, `warnings` or
beside it says why. A score is higher where something is more anomalous. "Flagged" is above a threshold, not at it.
Metrics stand in one list, `anomae.statistics.metric_specs`; what is added there is a key here.
Keys may be added within a schema version; none is renamed or removed."""


def tables() -> str:
    """The whole page."""
    parts, seen = [HEAD], set[type[BaseModel]]()
    for root in (ReportContent, ComparisonContent):
        waiting: list[type[BaseModel]] = [root]
        while waiting:
            model = waiting.pop(0)
            if model in seen:
                continue
            seen.add(model)
            parts.append(_table(model))
            waiting += [Share] * issubclass(model, MetricFigures)
            waiting += [inner for field in model.model_fields.values() for inner in _models(field.annotation)]
    return "\n\n".join(parts) + "\n"


def _table(model: type[BaseModel]) -> str:
    rows = [
        f"## {model.__name__}",
        "",
        (model.__doc__ or "").strip(),
        "",
        "| key | type | what |",
        "| --- | --- | --- |",
    ]
    if issubclass(model, MetricFigures):
        rows += [
            f"| `{spec.name}` | [Share](#share) or null | {spec.title}; {spec.direction}. {spec.definition} |"
            for spec in METRICS.values()
        ]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {_kind(field.annotation, field.metadata)} | {field.description} |")
    return "\n".join(rows)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _kind(annotation: Any, limits: Any = ()) -> str:
    """A type in words; limits: pydantic's metadata of the field."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0], inner[1].metadata)
    if origin in (Union, UnionType):
        return " or ".join(_kind(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{one!r}`" for one in inner)
    if origin is list:
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        keys = "" if inner[0] is str else f" ({_kind(inner[0])})"
        return f"object{keys} of {_kind(inner[1])}"
    if annotation is Any:
        return "anything"
    ends = {side: round(getattr(limit, side)) for limit in limits for side in ("ge", "le") if hasattr(limit, side)}
    words = {float: "number", int: "whole number", str: "text", bool: "true or false", type(None): "null"}
    name = words.get(annotation) or f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if "le" in ends:
        return f"{name} {ends['ge']}..{ends['le']}"
    return f"{name} from {ends['ge']}" if "ge" in ends else name


if __name__ == "__main__":
    print(tables(), end="")
