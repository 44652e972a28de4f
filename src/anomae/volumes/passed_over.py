"""What a search for scans passed over, and why: told by kind, so that nothing is ignored without a word."""

from collections import Counter
from pathlib import Path

from anomae.volumes.detached import PAIR_HEADERS, PAIR_VOXELS, beside
from anomae.volumes.nifti_pair import is_nifti_pair

_CONVERT = "convert them to .nii.gz"
# Endings of images that are not read, with what to do.
NOT_READ = {
    ".mgz": f"FreeSurfer volumes are not read; {_CONVERT} (mri_convert)",
    ".mgh": f"FreeSurfer volumes are not read; {_CONVERT} (mri_convert)",
    **dict.fromkeys(
        (".img", ".img.gz", ".hdr", ".hdr.gz"),
        f"pairs of .hdr and .img are read only where the header is NIfTI's (not of Analyze 7.5); {_CONVERT}",
    ),
    ".mnc": f"MINC volumes are not read; {_CONVERT}",
    ".head": f"AFNI volumes are not read; {_CONVERT}",
    ".brik": f"AFNI volumes are not read; {_CONVERT}",
    ".par": f"Philips PAR/REC volumes are not read; {_CONVERT}",
    ".rec": f"Philips PAR/REC volumes are not read; {_CONVERT}",
    **dict.fromkeys((".svs", ".ndpi", ".mrxs"), "whole slide images are not read; cut them into pictures"),
    **dict.fromkeys((".heic", ".jp2", ".j2k", ".jfif", ".ppm", ".pgm"), "such pictures are not read; save them as PNG"),
    **dict.fromkeys((".avi", ".mp4", ".mov"), "films are not read; save their pictures as PNG"),
    **dict.fromkeys((".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z"), "archives are not opened; unpack them"),
    **dict.fromkeys((".mat", ".h5", ".hdf5"), "of such files only some cohorts read; convert them to .npy or .nii.gz"),
}
NO_SCAN = "no scan"
# Not passed over, but counted with it: series whose slices are parted.
SCATTERED = (
    "DICOM series lie in several folders each, and every folder counts as a scan of its own; where these are parts of "
    "one scan, put the files of a series into one folder"
)
UNREAD = "Not read: "  # how a sentence begins that names images which were passed over
_VOXELS = {".raw": (".mhd", ".nhdr"), ".zraw": (".mhd",), ".raw.gz": (".nhdr",)}


def why_passed_over(file: Path) -> str | None:
    """Why a file that no reader claims is no scan, with its ending; None for the voxels of a header beside it."""
    name = file.name.lower()
    for ending, headers in _VOXELS.items():
        stem = file.name[: -len(ending)]
        if name.endswith(ending) and any((file.parent / f"{stem}{header}").exists() for header in headers):
            return None
    if name.endswith(PAIR_VOXELS) and any(map(is_nifti_pair, beside(file, PAIR_HEADERS))):
        return None
    fits = [ending for ending in NOT_READ if name.endswith(ending)]
    if fits:
        ending = max(fits, key=len)
        return f"{ending}: {NOT_READ[ending]}"
    return f"{file.suffix.lower() or 'without an ending'}: {NO_SCAN}"


def told(passed_over: Counter[str]) -> list[str]:
    """Sentences on what was passed over: one for each kind of image that is not read, one for all that are no scans."""
    images, others = [], []
    for reason, count in sorted(passed_over.items()):
        if reason.endswith(f": {NO_SCAN}"):
            others.append(f"{count} {reason.removesuffix(f': {NO_SCAN}')}")
        elif reason == SCATTERED:
            images.append(f"{count} {reason}.")
        elif reason.startswith("."):
            images.append(f"{UNREAD}{count} file(s), {reason}.")
        else:
            images.append(f"Passed over: {count}, {reason}.")
    return [*images, *([f"Passed over as no scans: {', '.join(others)}."] if others else [])]
