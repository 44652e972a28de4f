"""Several devices are refused in a sentence that names the detector, on one machine and on several."""

import pytest

from anomae.errors import UserError
from anomae.training.one_device import refuse_several_devices
from anomae.training.settings import DeviceSettings


@pytest.mark.parametrize("several", [{"devices": 2}, {"nodes": 2}, {"devices": 2, "nodes": 2}])
def test_several_devices_are_refused(several: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"^pca trains on one device; .*devices=1 and device\.nodes=1\.$"):
        refuse_several_devices("pca", DeviceSettings(**several))


def test_one_device_is_not() -> None:
    refuse_several_devices("pca", DeviceSettings())
