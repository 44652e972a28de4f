"""What a detector that trains on one device says where several are asked for."""

from anomae.errors import UserError
from anomae.training.settings import DeviceSettings


def refuse_several_devices(detector: str, settings: DeviceSettings) -> None:
    """Raises UserError, naming the detector, where more than one device or machine is asked for."""
    if settings.devices * settings.nodes > 1:
        raise UserError(f"{detector} trains on one device; use --set device.devices=1 and device.nodes=1.")
