"""The masked autoencoder: it sees what it is shown and nothing else; eq. (1) and the passes against slow loops."""

from typing import Literal

import numpy as np
import pytest
import torch

from anomae.models.transformer.masked_autoencoder import (
    MaskedAutoencoder,
    averaged_reconstruction,
    masked_error,
    patchify,
    random_visible,
    training_visible,
    unpatchify,
)
from anomae.models.transformer.sizes import SIZES, Size

PATCH, COUNT = 4, 48


def made_up(batch: int, generator: torch.Generator, channels: int = 1) -> torch.Tensor:
    return torch.rand(batch, channels, 24, 32, generator=generator)


def hidden_patches(visible: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(visible), COUNT, dtype=torch.bool).scatter(1, visible, False)


def test_predictions_do_not_depend_on_hidden_pixels(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    images, visible = made_up(3, rng, small_mae.channels), training_visible(3, COUNT, 12, rng)
    cut = patchify(images, PATCH)
    other = torch.where(hidden_patches(visible)[..., None], torch.full_like(cut, float("nan")), cut)
    with torch.no_grad():
        before = small_mae(images, visible)
        after = small_mae(unpatchify(other, (24, 32), PATCH), visible)
    assert before.shape == (3, COUNT, PATCH * PATCH * small_mae.channels)
    assert torch.equal(before, after)


def test_no_gradient_reaches_hidden_pixels(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    images, visible = made_up(2, rng, small_mae.channels).requires_grad_(), training_visible(2, COUNT, 12, rng)
    (gradient,) = torch.autograd.grad(small_mae(images, visible).square().sum(), images)
    touched = patchify(gradient, PATCH).abs().sum(dim=2) > 0
    assert torch.equal(touched, ~hidden_patches(visible))


@pytest.mark.parametrize("channel", range(3))
def test_every_channel_is_seen_and_predicted(channel: int, rng: torch.Generator) -> None:
    network = MaskedAutoencoder((24, 32), PATCH, Size(16, 2, 2), Size(8, 1, 2), rng, channels=3).eval()
    images, visible = made_up(2, rng, 3), training_visible(2, COUNT, 12, rng)
    other = images.clone()
    other[:, channel] += 1
    with torch.no_grad():
        before, after = (unpatchify(network(shown, visible), (24, 32), PATCH) for shown in (images, other))
    assert before.shape == images.shape
    assert (before - after).abs().amax(dim=(2, 3)).min() > 1e-3


def test_the_order_within_visible_does_not_matter(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    images, visible = made_up(3, rng, small_mae.channels), training_visible(3, COUNT, 12, rng)
    with torch.no_grad():
        torch.testing.assert_close(small_mae(images, visible), small_mae(images, visible.flip(1)), rtol=1e-4, atol=1e-6)


def test_where_a_patch_stands_matters(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    patches = torch.rand(1, 12, 16 * small_mae.channels, generator=rng)
    visible = training_visible(1, COUNT, 12, rng)
    with torch.no_grad():
        here, there = small_mae.predict(patches, visible), small_mae.predict(patches, (visible + 1) % COUNT)
    assert not torch.allclose(here, there, atol=1e-3)


def test_one_sample_does_not_feel_its_companions(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    images, visible = made_up(5, rng, small_mae.channels), training_visible(5, COUNT, 12, rng)
    with torch.no_grad():
        together = small_mae(images, visible)
        for index in range(5):
            alone = small_mae(images[index : index + 1], visible[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-6)


def test_all_patches_may_be_visible(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    every = torch.arange(COUNT).expand(2, -1)
    with torch.no_grad():
        assert small_mae(made_up(2, rng, small_mae.channels), every).isfinite().all()


def test_pasted_patches_are_the_originals(small_mae: MaskedAutoencoder, rng: torch.Generator) -> None:
    images, visible = made_up(3, rng, small_mae.channels), training_visible(3, COUNT, 12, rng)
    with torch.no_grad():
        predictions = small_mae(images, visible)
        pasted = patchify(averaged_reconstruction(small_mae, images, visible[:, None]), PATCH)
    hidden = hidden_patches(visible)
    assert torch.equal(pasted[~hidden], patchify(images, PATCH)[~hidden])
    torch.testing.assert_close(pasted[hidden], predictions[hidden], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("paste", [True, False])
@pytest.mark.parametrize("covering", [True, False])
def test_the_averaged_reconstruction_is_the_mean_of_single_passes(
    small_mae: MaskedAutoencoder, rng: torch.Generator, paste: bool, covering: bool
) -> None:
    images, visible = made_up(3, rng, small_mae.channels), random_visible([1, 2, 3], COUNT, 12, 4, covering)
    with torch.no_grad():
        found = averaged_reconstruction(small_mae, images, visible, paste=paste)
        passes = []
        for turn in range(4):
            predictions = small_mae(images, visible[:, turn])
            pasted = torch.where(hidden_patches(visible[:, turn])[..., None], predictions, patchify(images, PATCH))
            passes.append(unpatchify(pasted if paste else predictions, (24, 32), PATCH))
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.stack(passes).mean(0), rtol=1e-4, atol=1e-6)


def test_with_everything_visible_the_pasted_reconstruction_is_the_image(
    small_mae: MaskedAutoencoder, rng: torch.Generator
) -> None:
    images = made_up(2, rng, small_mae.channels)
    with torch.no_grad():
        found = averaged_reconstruction(small_mae, images, torch.arange(COUNT).expand(2, 1, -1))
    assert torch.equal(found, images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("on", ["masked", "all"])
def test_the_error_equals_a_slow_loop(on: Literal["masked", "all"], channels: int, rng: torch.Generator) -> None:
    images, visible = made_up(3, rng, channels), training_visible(3, COUNT, 12, rng)
    predictions = torch.randn(3, COUNT, 16 * channels, generator=rng)
    total, counted = 0.0, 0
    for sample in range(3):
        image, shown = images[sample].double().numpy(), set(visible[sample].tolist())
        for index in range(COUNT):
            if on == "masked" and index in shown:
                continue
            row, column = divmod(index, 8)
            wanted = image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            predicted = predictions[sample, index].double().numpy().reshape(4, 4, channels)
            total += float(np.mean((predicted.transpose(2, 0, 1) - wanted) ** 2))
            counted += 1
    found = masked_error(predictions, images, visible, PATCH, on=on)
    assert counted == (3 * 36 if on == "masked" else 3 * 48)
    assert float(found) == pytest.approx(total / counted, rel=1e-5)


def test_the_error_ignores_what_is_predicted_for_visible_patches(rng: torch.Generator) -> None:
    images, visible = made_up(2, rng), training_visible(2, COUNT, 12, rng)
    cut = patchify(images, PATCH)
    wrong = torch.where(hidden_patches(visible)[..., None], cut, cut + 100)
    assert float(masked_error(wrong, images, visible, PATCH)) == 0
    assert float(masked_error(wrong, images, visible, PATCH, on="all")) == pytest.approx(100**2 / 4, rel=1e-4)


def test_autocast_gives_float32_predictions_near_the_exact_ones(
    small_mae: MaskedAutoencoder, rng: torch.Generator
) -> None:
    images, visible = made_up(2, rng, small_mae.channels), training_visible(2, COUNT, 12, rng)
    with torch.no_grad():
        exact = small_mae(images, visible)
        with torch.autocast("cpu", torch.bfloat16):
            low = small_mae(images, visible)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, exact, rtol=0, atol=0.03 * float(exact.std()) + 0.02)


def test_weights_depend_on_the_generator_alone() -> None:
    def build(seed: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return MaskedAutoencoder((8, 8), 4, Size(8, 1, 2), Size(8, 1, 2), generator).state_dict()

    torch.manual_seed(1)
    first = build(5)
    torch.manual_seed(2)
    second, other = build(5), build(6)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize("channels", [1, 3])
def test_it_learns(channels: int, rng: torch.Generator) -> None:
    network = MaskedAutoencoder((16, 16), 4, Size(32, 2, 2), Size(16, 1, 2), rng, channels)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    ramp = torch.linspace(0, 1, 16) * torch.rand(16, channels, 1, 1, generator=rng)
    images = ramp.expand(16, channels, 16, 16).contiguous()
    losses = []
    for _ in range(60):
        visible = training_visible(16, 16, 4, rng)
        loss = masked_error(network(images, visible), images, visible, 4)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.1 * np.mean(losses[:3])


def test_every_learned_weight_gets_a_gradient(rng: torch.Generator) -> None:
    network = MaskedAutoencoder((8, 12), 4, Size(8, 1, 2), Size(8, 1, 2), rng)
    images, visible = torch.rand(2, 1, 8, 12, generator=rng), training_visible(2, 6, 2, rng)
    masked_error(network(images, visible), images, visible, 4).backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {"pos_embed", "decoder_pos_embed"}


@pytest.mark.parametrize("size", [(10, 12), (12, 10)])
def test_an_image_that_cannot_be_cut_is_refused(size: tuple[int, int], rng: torch.Generator) -> None:
    with pytest.raises(ValueError, match="patches of 4"):
        MaskedAutoencoder(size, 4, Size(8, 1, 2), Size(8, 1, 2), rng)


def test_the_papers_network_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network = MaskedAutoencoder((224, 224), 16, *SIZES["base"], None)  # type: ignore[arg-type]
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    decoder = sum(count for name, count in counts.items() if name.startswith("decoder") or name == "mask_token")
    block = 12 * 768**2 + 13 * 768  # qkv, projection, two linear layers and two norms, with their biases
    encoder = 12 * block + (256 + 1) * 768 + 768 + 197 * 768 + 2 * 768
    assert sum(counts.values()) - decoder == encoder
    assert encoder / 1e6 == pytest.approx(85.4, abs=0.05)
    assert decoder / 1e6 == pytest.approx(25.8, abs=0.05)
    assert sum(counts.values()) == 111_251_968


@pytest.mark.parametrize("shown", [1, 12, 47, 48])
def test_work_for_visible_patches_may_be_left_out(
    shown: int, small_mae: MaskedAutoencoder, rng: torch.Generator
) -> None:
    images, visible = made_up(3, rng, small_mae.channels), training_visible(3, COUNT, shown, rng)
    hidden = hidden_patches(visible)
    with torch.no_grad():
        whole, part = small_mae(images, visible), small_mae(images, visible, everywhere=False)
    assert part.shape == whole.shape
    torch.testing.assert_close(part[hidden], whole[hidden], rtol=1e-4, atol=1e-6)
    assert not part[~hidden].any()


def test_leaving_it_out_changes_no_gradient(rng: torch.Generator) -> None:
    network = MaskedAutoencoder((16, 24), 4, Size(16, 2, 2), Size(8, 2, 2), rng)
    images, visible = torch.rand(3, 1, 16, 24, generator=rng), training_visible(3, 24, 6, rng)
    learned = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    gradients = []
    for everywhere in (True, False):
        loss = masked_error(network(images, visible, everywhere=everywhere), images, visible, 4)
        gradients.append(torch.autograd.grad(loss, list(learned.values())))
    for name, one, other in zip(learned, *gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6, msg=name)
