"""docs/notebook.ipynb is run from the first cell to the last, in a kernel of its own."""

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"


def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (the extra `dev`)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (the extra `dev`)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (the extra `dev`)")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    page = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in page.cells), "commit the notebook without outputs"
    client = nbclient.NotebookClient(
        page, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    texts = [output.get("text", "") for cell in page.cells for output in cell.get("outputs", ())]
    drawn = [
        output for cell in page.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert any("higher than" in text for text in texts)
    assert len(drawn) == 1
    assert (tmp_path / "map.nii.gz").exists()
