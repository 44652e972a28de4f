"""How an ensemble is exported: the networks of every member, named by member, and the healthy scale of each."""

from dataclasses import asdict
from typing import Any

from anomae.detectors.ensemble.detector import FittedEnsemble
from anomae.export.registry import traceable_of
from anomae.export.traceable import Traceable, TraceableNetwork, altered_slices


def traceable(fitted: FittedEnsemble) -> Traceable:
    """The networks of a fitted ensemble.  Raises UserError where a member cannot be exported."""
    networks: dict[str, TraceableNetwork] = {}
    members: dict[str, Any] = {}
    batches = []
    for name, member in fitted.members.items():
        traced = traceable_of(member)
        called = {own: f"{name}.{own}" for own in traced.networks}
        networks |= {called[own]: network for own, network in traced.networks.items()}
        members[name] = {
            "runner": dict(traced.runner),
            "networks": called,
            "scale": asdict(fitted.scales[name]),
            "needs_neighbours": bool(getattr(member, "needs_neighbours", False)),
        }
        batches.append(traced.batch)
    return Traceable(
        networks=networks,
        runner={"kind": "ensemble", "members": members},
        batch=min(batches),
        pretext=altered_slices(fitted) if hasattr(fitted, "pretext_images") else None,
    )
