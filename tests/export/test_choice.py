"""Which engine scores: what the choice itself costs.  What it chooses is tried in test_export.py."""

import subprocess
import sys

SLOW_TO_IMPORT = ("anomae.export.export", "anomae.phantoms", "scipy", "torch")


def test_a_scoring_that_has_no_exported_model_imports_nothing_of_the_export():
    code = "import sys, anomae.export.choice; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "anomae.export.choice" in loaded
    assert not [name for name in SLOW_TO_IMPORT if name in loaded]
