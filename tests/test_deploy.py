"""What lies in deploy/: the bill of materials is one, and neither container nor unit has rights it does not need."""

import configparser
import json
import subprocess
import sys
from pathlib import Path

import anomae

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


def test_the_bill_names_what_is_installed():
    told = subprocess.run(
        [sys.executable, str(DEPLOY / "sbom.py")], capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    bill = json.loads(told.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["version"] == anomae.__version__
    names = [one["name"] for one in bill["components"]]
    assert {"numpy", "torch", "pydicom"} <= set(names)
    assert len(names) == len(set(names))
    refs = {one["bom-ref"] for one in (*bill["components"], bill["metadata"]["component"])}
    assert all({one["ref"], *one["dependsOn"]} <= refs for one in bill["dependencies"])


def test_the_unit_has_no_rights():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "anomae.service")
    service = unit["Service"]
    assert service["DynamicUser"] == service["NoNewPrivileges"] == service["PrivateDevices"] == "yes"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    assert "--token-file ${CREDENTIALS_DIRECTORY}/token" in service["ExecStart"]


def test_the_container_is_not_root():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert "--token-file" in next(line for line in lines if line.startswith("ENTRYPOINT"))
