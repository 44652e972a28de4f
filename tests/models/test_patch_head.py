"""The head over patches: shapes, mirror, centre, and what is dropped."""

import torch

from anomae.models.patch_head import PatchHead, central_third

EVIDENCE = torch.randn(3, 5, 6, 6, generator=torch.Generator().manual_seed(0))


def head(**given: bool) -> PatchHead:
    kinds = {"mirror": False, "centre": False, **given}
    return PatchHead(5, (6, 6), width=16, blocks=2, generator=torch.Generator().manual_seed(1), **kinds)


def test_a_logit_a_patch_and_one_an_image_where_the_centre_counts() -> None:
    patches, image = head()(EVIDENCE)
    assert patches.shape == (3, 6, 6)
    assert image is None
    patches, image = head(centre=True)(EVIDENCE)
    assert image is not None
    assert image.shape == (3,)


def test_with_mirror_a_symmetric_image_has_no_difference() -> None:
    network = head(mirror=True)
    symmetric = EVIDENCE + EVIDENCE.flip(-1)
    assert network.across is not None
    with torch.no_grad():
        alike, other = network(symmetric)[0], network(EVIDENCE)[0]
        network.across.weight.zero_()  # what is learned of differences does not matter where there are none
        assert torch.allclose(alike, network(symmetric)[0], atol=1e-5)
        assert not torch.allclose(other, network(EVIDENCE)[0], atol=1e-3)


def test_differences_to_the_mirrored_place_are_seen_as_such() -> None:
    """Against the convolution of the differences themselves."""
    network = head(mirror=True)
    assert network.across is not None
    plain = network.embed(EVIDENCE) + network.across(EVIDENCE - EVIDENCE.flip(-1))
    assert torch.allclose(network.look(EVIDENCE), plain, atol=1e-5)


def test_mirrored_evidence_is_evidence_mirrored() -> None:
    network = head(mirror=True)
    assert torch.allclose(network.look(EVIDENCE.flip(-1)), network.look(EVIDENCE).flip(-1), atol=1e-5)
    some = torch.tensor([True, False, True])
    expected = torch.where(some[:, None, None, None], EVIDENCE.flip(-1), EVIDENCE)
    assert torch.allclose(network(EVIDENCE, some)[0], network(expected)[0], atol=1e-5)


def test_the_generator_decides_weights_and_what_is_dropped() -> None:
    assert all(torch.equal(a, b) for a, b in zip(head().parameters(), head().parameters(), strict=True))
    network = head()
    one, same, other = (network(EVIDENCE, None, 0.3, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    network(EVIDENCE, None, 0.3, torch.Generator().manual_seed(1))
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_central_third() -> None:
    assert [central_third(count) for count in (1, 3, 12, 16)] == [(0, 1), (1, 2), (4, 8), (5, 11)]
