"""The masked autoencoder of features: what is hidden is never seen, and is predicted from what is around it."""

import torch

from anomae.models.feature_autoencoder import FeatureAutoencoder, hidden_error, hidden_residual
from anomae.models.transformer.feature_masks import complementary_masks, training_masks
from anomae.models.transformer.sizes import Size

CHANNELS, GRID = 6, (4, 5)


def drawn(seed: int = 0, depth: int = 2) -> FeatureAutoencoder:
    return FeatureAutoencoder(CHANNELS, GRID, Size(32, depth, 2), torch.Generator().manual_seed(seed))


def smooth_fields(count: int, generator: torch.Generator) -> torch.Tensor:
    """Features of one unknown an image: (B, C, gh, gw), each channel a wave whose phase all patches share."""
    phase = 6.28 * torch.rand(count, 1, 1, 1, generator=generator)
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in GRID), indexing="ij")
    return torch.sin(phase + 0.4 * x + 0.3 * y + torch.arange(CHANNELS, dtype=torch.float32)[:, None, None]) * 3 + 5


def test_no_prediction_depends_on_a_hidden_feature(rng: torch.Generator) -> None:
    network, features = drawn(), torch.randn(3, CHANNELS, *GRID, generator=rng)
    masks = training_masks(3, GRID, 0.5, 1, rng)
    other = torch.where(masks[:, None], torch.randn(features.shape, generator=rng) * 1e6, features)
    with torch.no_grad():
        assert torch.equal(network(features, masks), network(other, masks))
        shown = torch.where(masks[:, None], features, features + 1)
        assert not torch.allclose(network(features, masks), network(shown, masks))


def test_the_loss_is_of_hidden_patches_alone(rng: torch.Generator) -> None:
    truth = torch.randn(2, CHANNELS, *GRID, generator=rng)
    masks = training_masks(2, GRID, 0.5, 1, rng)
    predicted = truth + torch.where(masks[:, None], 3.0, 100.0)
    assert abs(float(hidden_error(predicted, truth, masks)) - 2.5) < 1e-5  # |3| - 1/2


def test_weights_come_from_the_generator_alone() -> None:
    one, again, other = drawn(0).state_dict(), drawn(0).state_dict(), drawn(1).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["embed.weight"], other["embed.weight"])


def test_statistics_do_not_depend_on_how_the_images_are_cut(rng: torch.Generator) -> None:
    features = torch.randn(20, CHANNELS, *GRID, generator=rng) * 4 + 50
    features[:, 2] = 7.0  # a channel that never changes
    network, apart = drawn(), drawn()
    network.measure([features])
    apart.measure(features.split(3))
    scaled = network.scaled(features)
    assert torch.allclose(scaled, apart.scaled(features), atol=1e-4)
    kept = [0, 1, 3, 4, 5]
    assert torch.allclose(scaled.mean((0, 2, 3)), torch.zeros(CHANNELS), atol=1e-3)
    assert torch.allclose(scaled.std((0, 2, 3), correction=0)[kept], torch.ones(5), atol=1e-3)
    away = network.deviations(scaled)
    assert torch.allclose(away.mean(0), torch.zeros(CHANNELS, *GRID), atol=1e-3)
    assert torch.allclose(away.std(0, correction=0)[kept], torch.ones(5, *GRID), atol=1e-3)
    assert torch.isfinite(away).all()


def test_a_short_training_predicts_hidden_patches_better_than_their_mean(rng: torch.Generator) -> None:
    network = drawn()
    network.measure([smooth_fields(500, rng)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(150):
        scaled, masks = network.scaled(smooth_fields(16, rng)), training_masks(16, GRID, 0.5, 1, rng)
        hidden_error(network(scaled, masks), scaled, masks).backward()
        optimizer.step()
        optimizer.zero_grad()
    new = network.scaled(smooth_fields(50, rng))
    with torch.no_grad():
        residual = hidden_residual(network, new, complementary_masks(list(range(50)), GRID, 2))
    of_mean = new - network.place_mean
    assert float(residual.square().mean()) < 0.2 * float(of_mean.square().mean())


def test_the_residual_is_of_the_pass_in_which_a_patch_is_hidden(rng: torch.Generator) -> None:
    network, scaled = drawn(), torch.randn(2, CHANNELS, *GRID, generator=rng)
    masks = complementary_masks([5, 6], GRID, 3)
    with torch.no_grad():
        residual = hidden_residual(network, scaled, masks)
        for hidden in masks:
            expected = scaled - network(scaled, hidden)
            assert torch.equal(
                residual[hidden[:, None].expand_as(residual)], expected[hidden[:, None].expand_as(expected)]
            )
