"""Images that a detector is handed, checked against what it was fitted on; without torch."""

import numpy as np
import numpy.typing as npt

from anomae.errors import UserError


def check_images(images: npt.NDArray[np.float32], channels: int, image_size: tuple[int, int]) -> None:
    """Raises UserError, one sentence, where `images` are not (n, c, h, w) as fitted, are none, or not all finite."""
    if images.ndim != 4:
        raise UserError(f"Images are (n, channels, height, width); these have the shape {images.shape}.")
    if len(images) == 0:
        raise UserError("There is no image to look at (n is 0).")
    if images.shape[1] != channels:
        raise UserError(f"This detector was fitted on {channels} channel(s); these images have {images.shape[1]}.")
    if images.shape[2:] != tuple(image_size):
        raise UserError(
            f"This detector was fitted on images of {image_size[0]}x{image_size[1]} pixels; these have "
            f"{images.shape[2]}x{images.shape[3]}: prepare them alike."
        )
    if not np.isfinite(images).all():
        raise UserError("The images hold values that are not finite (NaN or infinity); prepare them anew.")


def stacked(images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """Images (n, c, h, w) and their neighbours (n, 2, c, h, w) as stacks (n, 3, c, h, w); without them as they are.

    Raises UserError where the neighbours are not of these images' shape, or not all finite.
    """
    if neighbours is None:
        return images
    if neighbours.shape != (len(images), 2, *images.shape[1:]):
        raise UserError(
            f"Neighbours of images {images.shape} are two of the same shape each; these have the shape "
            f"{neighbours.shape}."
        )
    if not np.isfinite(neighbours).all():
        raise UserError("The neighbours hold values that are not finite (NaN or infinity); prepare them anew.")
    return np.concatenate([images[:, None], neighbours], axis=1)
