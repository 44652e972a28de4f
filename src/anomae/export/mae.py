"""How the masked autoencoder is exported: hidden patches from visible ones; masks, pasting and errors left outside."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.mae.detector import FittedMaskedAutoencoder
from anomae.export.traceable import Traceable, TraceableNetwork
from anomae.models.transformer.masked_autoencoder import Block, MaskedAutoencoder, visible_count
from anomae.seeds import derive_seed

EIGHT_BIT = ("Conv", "MatMul", "Gemm")  # those with weights; attention multiplies what it computed itself


def traceable(fitted: FittedMaskedAutoencoder) -> Traceable:
    """The network of a masked autoencoder that judges alone, by one of its errors."""
    numbers = drawn_masks(fitted)
    return Traceable(
        networks={"reconstruct": reconstruct_network(fitted.network, numbers)},
        runner={"kind": "masked", "score": fitted.settings.autoencoder.error, **numbers},
        batch=USE_BATCH["cpu"],
    )


def drawn_masks(fitted: FittedMaskedAutoencoder) -> dict[str, int | float | bool]:
    """How masks are drawn and used, as `FittedMaskedAutoencoder.reconstruct` does."""
    network, settings = fitted.network, fitted.settings.autoencoder
    ratio = settings.mask_ratio if settings.use_mask_ratio is None else settings.use_mask_ratio
    seen = visible_count(network.patch_count, ratio)
    hides = seen < network.patch_count
    return {
        "patch": settings.patch,
        "visible": seen,
        "passes": settings.passes if hides else 1,
        "covering": settings.masks == "covering",
        "paste": settings.paste and hides,
        "seed": derive_seed(fitted.seed, "masks", 0),
        "ssim_range": settings.ssim_range,
    }


def reconstruct_network(network: MaskedAutoencoder, numbers: dict[str, int | float | bool]) -> TraceableNetwork:
    """What predicts hidden patches, by `numbers` as `drawn_masks` gives them."""
    count, passes, patches = int(numbers["visible"]), int(numbers["passes"]), network.patch_count
    rows = torch.arange(2)[:, None]
    visible = torch.arange(count).expand(2, -1).contiguous()
    whole = torch.full((2, 1 + patches), count + 1)
    whole[:, : 1 + count] = torch.arange(1 + count)
    inputs = {
        "patches": torch.rand(2, count, network.patch**2 * network.channels),
        "visible": visible,
        "whole": whole + rows * (count + 2),
    }
    if numbers["paste"]:
        inputs["hidden"] = 1 + torch.arange(count, patches) + rows * (1 + patches)
    return TraceableNetwork(_Reconstruct(network), inputs, ("predicted",), rows=passes, eight_bit=EIGHT_BIT)


class _Reconstruct(nn.Module):
    """Visible patches (B, K, P*P*C), which they are (B, K), and where each token stands -> the patches predicted.

    whole: (B, 1+N), for every token of the decoder its row among all B * (K + 2) of the encoder (class token, visible
    patches, mask token).  hidden: (B, N-K), rows among all B * (1 + N), what is predicted: (B, N-K, P*P*C); without it
    all patches are, (B, N, P*P*C).
    """

    def __init__(self, network: MaskedAutoencoder) -> None:
        super().__init__()
        self.network = network.cpu().eval()

    def forward(self, patches: Tensor, visible: Tensor, whole: Tensor, hidden: Tensor | None = None) -> Tensor:
        net, batch = self.network, patches.shape[0]
        tokens = net.patch_embed(patches) + net.pos_embed[0, 1:][visible]
        first = (net.cls_token + net.pos_embed[:, :1]).expand(batch, -1, -1)
        tokens = torch.cat([first, tokens], dim=1)  # (B, 1+K, D)
        for block in net.blocks:
            tokens = block(tokens)
        tokens = net.decoder_embed(net.norm(tokens))
        tokens = torch.cat([tokens, net.mask_token.expand(batch, -1, -1)], dim=1)  # (B, K+2, D)
        full = _rows(tokens, whole) + net.decoder_pos_embed  # (B, 1+N, D)
        *before, last = net.decoder_blocks
        for block in before:
            full = block(full)
        full = last(full)[:, 1:] if hidden is None else _last(last, full, hidden)  # type: ignore[arg-type]
        predicted: Tensor = net.decoder_pred(net.decoder_norm(full))
        return predicted


def _rows(tokens: Tensor, rows: Tensor) -> Tensor:
    """Of tokens (B, T, D) those at rows (B, M) among all B * T: (B, M, D)."""
    taken = tokens.flatten(0, 1).index_select(0, rows.flatten())
    return taken.reshape(rows.shape[0], rows.shape[1], tokens.shape[2])


def _last(block: Block, tokens: Tensor, wanted: Tensor) -> Tensor:
    """What a block makes of the wanted tokens only, as `Block.forward` does, by rows among all of them."""
    attention, heads = block.attn, block.attn.heads
    width, normed = tokens.shape[2], block.norm1(tokens)
    weight, bias = attention.qkv.weight, attention.qkv.bias

    def by_head(projected: Tensor) -> Tensor:
        return projected.reshape(projected.shape[0], projected.shape[1], heads, width // heads).transpose(1, 2)

    queries = by_head(F.linear(_rows(normed, wanted), weight[:width], bias[:width]))
    keys, values = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=2)
    mixed = F.scaled_dot_product_attention(queries, by_head(keys), by_head(values))  # (B, heads, M, D/heads)
    chosen = _rows(tokens, wanted) + attention.proj(mixed.transpose(1, 2).flatten(2))
    given: Tensor = chosen + block.mlp(block.norm2(chosen))
    return given
