"""How AnoVAEGAN and f-AnoGAN are exported: scale, encoder and generator, scores."""

import torch
from torch import Tensor, nn

from anomae.detectors.anovaegan.detector import FittedAnoVaeGan
from anomae.detectors.fanogan.detector import FittedFAnoGan
from anomae.detectors.fitted_scale import FittedScale
from anomae.detectors.inference import USE_BATCH
from anomae.errors import UserError
from anomae.export.one_network import Shown, Unlike
from anomae.export.residuals import median_filtered
from anomae.export.traceable import EXACT, Step, Traceable, traced_in_turn
from anomae.models.gan.residual_scores import MEDIAN, RESIDUALS

Fitted = FittedAnoVaeGan | FittedFAnoGan
OF_FEATURES = ("features", "latent", "residual_and_features")


def traceable(fitted: Fitted) -> Traceable:
    """The networks of either.  Raises UserError where each image's latent is drawn in use."""
    networks, scale = fitted.fitted, fitted.fitted.scale
    names: tuple[str, ...] = RESIDUALS
    compare: _Features | None = None
    if isinstance(fitted, FittedAnoVaeGan):
        if fitted.settings.test_latent == "sample":
            raise UserError(
                "An anovaegan of test_latent=sample cannot be exported, since torch draws the latent of each image; "
                "fit one of test_latent=mean, or score with torch."
            )
        chosen: str = fitted.settings.score
    else:
        names, compare = (*RESIDUALS, *OF_FEATURES), _Features(fitted)
        chosen = "mse" if fitted.settings.score == "residual" else "residual_and_features"
    scores = [f"score_{name}" for name in names]
    given = ["images", "shown", "rebuilt", *([] if compare is None else ["latent"])]
    steps: list[Step] = [
        ("show", Shown(scale), ["images"], ["shown"], EXACT),
        ("rebuild", _Rebuild(fitted), ["shown"], ["rebuilt", "latent"], {}),
        ("finish", _Finish(scale, compare), given, ["map", "reconstruction", *scores], EXACT),
    ]
    outputs = {name: name for name in ("map", "reconstruction", *scores)}
    runner = {
        "kind": "chain",
        "chain": [[name, list(inputs)] for name, _, inputs, _, _ in steps],
        "outputs": {"score": f"score_{chosen}", **outputs},
    }
    images = torch.rand(2, networks.channels, *networks.image_size)
    return Traceable(traced_in_turn(steps, {"images": images}), runner, USE_BATCH["cpu"])


class _Rebuild(nn.Module):
    """Images as the networks see them -> what is rebuilt of them, and from what (B, Z)."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        networks = fitted.fitted.networks
        self.encoder, self.generator = networks["encoder"].cpu().eval(), networks["generator"].cpu().eval()
        self.squashed = isinstance(fitted, FittedFAnoGan)

    def forward(self, shown: Tensor) -> tuple[Tensor, Tensor]:
        found: Tensor = self.encoder(shown)[0]
        latent = found.tanh() if self.squashed else found
        return self.generator(latent), latent


class _Finish(nn.Module):
    """Images as prepared and as the networks see them, what was rebuilt, and where it counts the latent -> all said."""

    def __init__(self, scale: FittedScale, compare: "_Features | None") -> None:
        super().__init__()
        self.unlike, self.compare = Unlike(scale), compare

    def forward(
        self, images: Tensor, shown: Tensor, rebuilt: Tensor, latent: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        residual = shown - rebuilt
        peak = median_filtered(residual.abs(), MEDIAN).mean(dim=1).amax(dim=(1, 2))
        measured = (residual.abs(), residual.square(), residual.clamp(min=0))
        absolute, square, positive = (values.mean(dim=(1, 2, 3)) for values in measured)
        further = () if self.compare is None else self.compare(shown, rebuilt, latent, square)
        return *self.unlike(images, shown, rebuilt), absolute, square, positive, peak, *further


class _Features(nn.Module):
    """How far an image and its reconstruction are apart in the critic's features and in the latent."""

    def __init__(self, fitted: FittedFAnoGan) -> None:
        super().__init__()
        networks = fitted.fitted.networks
        self.encoder, self.critic = networks["encoder"].cpu().eval(), networks["critic"].cpu().eval()
        self.kappa = fitted.settings.kappa

    def forward(self, shown: Tensor, rebuilt: Tensor, latent: Tensor, mse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        away: Tensor = self.critic.features(shown) - self.critic.features(rebuilt)  # type: ignore[operator]
        features = away.square().mean(dim=(1, 2, 3))
        again: Tensor = self.encoder(rebuilt)[0]
        return features, (latent - again.tanh()).square().mean(dim=1), mse + self.kappa * features
