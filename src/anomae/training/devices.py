"""The Fabric that a run computes on: device, precision, number of processes."""

import logging
from typing import Any

import torch

from anomae.errors import UserError
from anomae.processor import bf16_is_faster
from anomae.training.settings import DeviceSettings


def chosen_device(settings: DeviceSettings) -> str:
    """ "cuda" or "cpu".  Raises UserError where CUDA is asked for and there is none."""
    if settings.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "No CUDA device is to be seen; use --device cpu (of a fit --set device.accelerator=cpu), or auto."
        )
    if settings.accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return settings.accelerator


def chosen_precision(settings: DeviceSettings) -> str:
    """ "bf16" or "fp32": "auto" is bf16 on a GPU that has it, and on a processor that is faster in it."""
    if settings.precision != "auto":
        return settings.precision
    device = chosen_device(settings)
    faster = torch.cuda.is_bf16_supported() if device == "cuda" else bf16_is_faster()
    return "bf16" if faster else "fp32"


def computed_on(settings: DeviceSettings) -> str:
    """Kind of device and precision, such as "cpu fp32": scores repeat exactly only where these are the same."""
    return f"{chosen_device(settings)} {chosen_precision(settings)}"


def make_fabric(settings: DeviceSettings) -> Any:
    """A Lightning Fabric; with several devices its processes are started here (`launch`)."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it says its precision at each start
    several = settings.devices * settings.nodes > 1
    strategy: Any = settings.strategy if several else "auto"
    if strategy == "fsdp":
        from anomae.training.shards import ShardedStrategy

        strategy = ShardedStrategy()
    device, precision = chosen_device(settings), "bf16-mixed" if chosen_precision(settings) == "bf16" else "32-true"
    # A fit on one device asks no launcher: Fabric would refuse tasks of Slurm that are none of its own processes.
    alone = [] if several else [LightningEnvironment()]
    computed: dict[str, Any] = {"precision": precision, "plugins": alone}
    if device == "cpu" and not several and precision == "bf16-mixed":
        from anomae.training.precision import Bfloat16

        computed = {"plugins": [Bfloat16("bf16-mixed", "cpu"), *alone]}
    fabric = Fabric(
        accelerator=device, devices=settings.devices, num_nodes=settings.nodes, strategy=strategy, **computed
    )
    if several:
        fabric.launch()
    return fabric
