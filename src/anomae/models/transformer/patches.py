"""Images cut into patches, and put together again."""

from torch import Tensor


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, H, W) -> (B, N, P*P): patches row by row, pixels within a patch row by row.

    Raises ValueError where a side is not a multiple of `patch`.
    """
    batch, height, width = images.shape
    if height % patch or width % patch:
        raise ValueError(f"{height}x{width} pixels cannot be cut into patches of {patch}")
    rows, columns = height // patch, width // patch
    cut = images.reshape(batch, rows, patch, columns, patch).permute(0, 1, 3, 2, 4)
    return cut.reshape(batch, rows * columns, patch * patch)  # (B, N, P*P)


def unpatchify(patches: Tensor, image_size: tuple[int, int], patch: int) -> Tensor:
    """(B, N, P*P) -> (B, H, W): the inverse of `patchify`."""
    rows, columns = image_size[0] // patch, image_size[1] // patch
    laid = patches.reshape(len(patches), rows, columns, patch, patch).permute(0, 1, 3, 2, 4)
    return laid.reshape(len(patches), *image_size)  # (B, H, W)
