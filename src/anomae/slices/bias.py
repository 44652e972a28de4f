"""The uneven sensitivity of MRI coils taken out of a scan: N4 (Tustison et al. 2010), as SimpleITK has it."""

import numpy as np
import numpy.typing as npt

# The field is smooth: it is estimated where a slice has about so many pixels a side, and a scan so many slices at most.
_PIXELS, _SLICES = 64, 64
# Fewer voxels than these tell no field, and N4 fits splines to no fewer slices.
_FEWEST, _FEWEST_SIDE = 1000, 4
_ITERATIONS = (30, 30, 20)  # at most, at each of three scales


def correct_bias(voxels: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Voxels (n, h, w), 0 and more, divided by the bias field that is estimated `where` (n, h, w) the tissue is.

    The field has mean 1 within the tissue.  One thread, so the same every time; some seconds a scan.  Where hardly any
    tissue is seen (fewer than 1000 voxels once shrunk), or all is 0, the voxels are returned as they are.
    """
    import SimpleITK as sitk

    depth, height, width = voxels.shape
    shrink = [max(1, width // _PIXELS), max(1, height // _PIXELS), -(-depth // _SLICES)]
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels, dtype=np.float32))
    mask = sitk.GetImageFromArray((where & (voxels > 0)).astype(np.uint8))
    small_image, small_mask = sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink)
    if min(small_image.GetSize()) < _FEWEST_SIDE or sitk.GetArrayViewFromImage(small_mask).sum() < _FEWEST:
        return voxels
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(_ITERATIONS)
    n4.SetNumberOfThreads(1)
    n4.Execute(small_image, small_mask)
    field = np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)))
    inside = where & (voxels > 0)
    return np.asarray(voxels / (field / field[inside].mean()), dtype=np.float32)
