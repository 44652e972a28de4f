"""The names of the package: all there, all explained, and none imported before it is asked for."""

import inspect
import subprocess
import sys

import pytest

import anomae


def test_importing_the_package_is_light():
    heavy = "torch lightning_fabric numpy scipy SimpleITK pydicom pydantic PIL matplotlib"
    code = (
        f"import anomae, sys; dir(anomae); heavy = [name for name in {heavy.split()} if name in sys.modules]; "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["read_volume", "prepare", "score_volume", "Volume", "load_preparation", "UserError"])
def test_what_needs_no_network_imports_no_torch(name):
    code = f"import anomae, sys; anomae.{name}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", anomae.__all__)
def test_every_name_is_there_and_explained(name):
    found = getattr(anomae, name)
    assert (inspect.getdoc(found) or "").strip()
    assert name in dir(anomae)
    if inspect.isfunction(found) or inspect.isclass(found):
        assert found.__name__ == name


def test_an_unknown_name_is_no_name():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = anomae.fitt
    assert anomae.__version__
