"""Print a software bill of materials of an installed anomae, CycloneDX 1.5 JSON: what it needs, and in which version.

python deploy/sbom.py [EXTRA ...]            of the extras serve and dicom where none is named
python deploy/sbom.py --bounds [EXTRA ...]   a line for each requirement of anomae itself: lower bound, version here
"""

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement


def main() -> None:
    """Print what was asked for."""
    arguments = sys.argv[1:]
    extras = [word for word in arguments if not word.startswith("--")] or ["serve", "dicom"]
    if "--bounds" in arguments:
        for need in needs(distribution("anomae"), extras):
            lower = [str(bound) for bound in need.specifier if bound.operator in (">=", "==", "~=")]
            print(f"{need.name:34} {', '.join(lower) or 'none':14} {version_of(need.name) or 'not installed'}")
        return
    print(json.dumps(bill(extras), indent=2))


def bill(extras: list[str]) -> dict[str, object]:
    """The whole bill: each package once, in the order of its name, and what each needs."""
    found: dict[str, Distribution] = {}
    edges: dict[str, set[str]] = {}
    todo, seen = [("anomae", extras)], set[tuple[str, ...]]()
    while todo:
        name, wanted = todo.pop()
        key = plain(name)
        if (key, *wanted) in seen:
            continue
        seen.add((key, *wanted))
        own = found.setdefault(key, distribution(name))
        for need in needs(own, wanted):
            if version_of(need.name) is None:
                continue
            edges.setdefault(key, set()).add(plain(need.name))
            todo.append((need.name, sorted(need.extras)))
    refs = {key: f"pkg:pypi/{key}@{one.version}" for key, one in found.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**component("anomae", found["anomae"], refs["anomae"]), "type": "application"}},
        "components": [component(key, found[key], refs[key]) for key in sorted(found) if key != "anomae"],
        "dependencies": [
            {"ref": refs[key], "dependsOn": sorted(refs[other] for other in edges.get(key, ()))}
            for key in sorted(found)
        ],
    }


def component(name: str, own: Distribution, ref: str) -> dict[str, object]:
    """One package; its licence as it states it."""
    stated = own.metadata.get("License-Expression") or own.metadata.get("License") or ""
    kinds = [
        line.split(" :: ")[-1] for line in own.metadata.get_all("Classifier") or () if line.startswith("License ::")
    ]
    licence = stated if stated and len(stated) < 80 else ", ".join(kinds)
    told = {"licenses": [{"license": {"name": licence}}]} if licence else {}
    return {"type": "library", "bom-ref": ref, "name": name, "version": own.version, "purl": ref, **told}


def needs(own: Distribution, extras: list[str]) -> list[Requirement]:
    """What a package needs on this machine, with these extras of it."""
    listed = [Requirement(text) for text in own.requires or ()]
    environments = [{"extra": extra} for extra in ["", *extras]]
    return [one for one in listed if one.marker is None or any(one.marker.evaluate(env) for env in environments)]


def version_of(name: str) -> str | None:
    """The installed version; None where it is not installed."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def plain(name: str) -> str:
    """The name of a package as indices have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
