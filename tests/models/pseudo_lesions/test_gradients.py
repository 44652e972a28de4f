"""Blending in the gradient domain, against a direct solution of the same equations."""

import numpy as np
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from anomae.models.pseudo_lesions.apply import apply_lesions
from anomae.models.pseudo_lesions.draws import draw_lesions
from anomae.models.pseudo_lesions.gradients import membrane


def solved(values: np.ndarray, inside: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Laplace's equation inside, values (h, w) fixed elsewhere in the extent, by a direct solver."""
    at = {tuple(pixel): row for row, pixel in enumerate(np.argwhere(inside))}
    matrix, right = lil_matrix((len(at), len(at))), np.zeros(len(at))
    for (y, x), row in at.items():
        for beside in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= beside[0] < inside.shape[0] and 0 <= beside[1] < inside.shape[1] and extent[beside]:
                matrix[row, row] += 1
                if beside in at:
                    matrix[row, at[beside]] -= 1
                else:
                    right[row] += values[beside]
    out = values.copy()
    out[inside] = spsolve(matrix.tocsr(), right)
    return out


def test_the_membrane_is_the_solution_of_laplaces_equation() -> None:
    for side, radius in ((64, 5), (64, 13), (128, 27)):
        values = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(side + radius))
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        inside = torch.stack([torch.hypot(y - 30.0, x - 30.0) < radius, (y - 30).abs() + (x - 20).abs() < radius])
        inside[1, 0:4, 0:9] = True  # at the border of the image nothing is hung
        extent = torch.ones_like(inside)
        extent[1, 28:33, 24:] = False  # nor where tissue ends
        inside &= extent
        found = membrane(values, inside, extent)
        for one, of, where, there in zip(found[:, 0], values[:, 0], inside, extent, strict=True):
            assert np.abs(one.numpy() - solved(of.double().numpy(), where.numpy(), there.numpy())).max() < 1e-3


def test_a_membrane_on_one_value_is_flat_and_what_is_known_stays() -> None:
    values = torch.full((1, 2, 32, 32), 0.3)
    inside = torch.zeros(1, 32, 32, dtype=torch.bool)
    inside[:, 8:20, 10:25] = True
    values[:, :, 8:20, 10:25] = 9.0
    everywhere = torch.ones_like(inside)
    assert torch.allclose(membrane(values, inside, everywhere), torch.tensor(0.3), atol=1e-5)
    assert torch.allclose(membrane(values, inside, inside)[:, :, 8:20, 10:25], torch.tensor(9.0), atol=1e-3)
    known = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(membrane(known, inside, everywhere)[:, 0][~inside], known[:, 0][~inside])
    assert torch.equal(membrane(known, inside & False, everywhere), known)


def test_there_is_no_seam_and_an_image_in_itself_is_itself() -> None:
    """Tissue that differs from this one by a constant leaves no trace, however large the constant."""
    side = 64
    y, x = torch.meshgrid(torch.arange(side) / side - 0.5, torch.arange(side) / side - 0.5, indexing="ij")
    structure = 0.4 + 0.1 * torch.sin(30 * x)
    tissue = torch.where(torch.hypot(x, y) < 0.4, structure, 0.0)
    brighter = torch.where(torch.hypot(x, y) < 0.4, structure + 0.25, 0.0)
    images = torch.stack([tissue, brighter] * 8)[:, None]
    lesions = draw_lesions(images, (1.0,), torch.Generator().manual_seed(0))
    lesions.other[:] = torch.arange(len(images)).roll(1)
    lesions.shift.zero_()
    assert torch.allclose(apply_lesions(images, lesions, ("poisson",)), images, atol=2e-3)


def test_no_membrane_depends_on_the_others_of_its_batch() -> None:
    """They are solved in windows of one size; one without any unknown and one that is all unknown lie among them."""
    side = 48
    drawn = torch.Generator().manual_seed(2)
    values, extent = torch.rand(5, 1, side, side, generator=drawn), torch.rand(5, side, side, generator=drawn) > 0.02
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    discs = [torch.hypot(y - at, x - 2.0 * at + 9) < radius for at, radius in ((0, 9), (20, 3), (30, 0), (24, 99))]
    inside = torch.stack([*discs, torch.hypot(y - 47.0, x - 47.0) < 6])
    together = membrane(values, inside, extent)
    for row in range(5):
        rows = slice(row, row + 1)
        assert torch.equal(together[rows], membrane(values[rows], inside[rows], extent[rows]))
