"""AST's networks: the flow is invertible and knows its own determinant; both have the original's sizes."""

import pytest
import torch
from torch import nn

from anomae.models.conditional_flow import KERNELS, ConditionalFlow, flow_loss
from anomae.models.student import Student


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_both_have_the_parameters_of_the_original() -> None:
    """As in the released code: teacher 3.25 M, student 81.4 M, for 304 channels and 32 of position."""
    with torch.device("meta"):
        student = Student(304, 32, 1024, torch.Generator("cpu"))
    flow = ConditionalFlow(304, 32, torch.Generator())
    expected = 0
    for kernel in KERNELS:
        taps = kernel * kernel
        expected += 2 * (184 * 64 * taps + 64 + 64 * 304 * taps + 304 + 1)
    assert count(flow) == expected == 3_251_080
    assert count(student) == 81_421_616


@pytest.fixture(params=[6, 7])
def lively(request: pytest.FixtureRequest, rng: torch.Generator) -> ConditionalFlow:
    """A flow that does something (its gammas start at 0), in double precision; channels even and odd."""
    flow = ConditionalFlow(request.param, 4, rng, hidden=5)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(1.5)
    return flow


def test_it_starts_as_a_permutation(rng: torch.Generator) -> None:
    flow = ConditionalFlow(6, 4, rng, hidden=5)
    features, where = torch.randn(2, 6, 3, 4, generator=rng), torch.randn(2, 4, 3, 4, generator=rng)
    z, log_det = flow(features, where)
    assert torch.equal(z.sort(dim=1).values, features.sort(dim=1).values)
    assert not torch.equal(z, features)
    assert torch.equal(log_det, torch.zeros(2, 3, 4))


def test_the_permutations_are_fixed_and_differ(rng: torch.Generator) -> None:
    first, second = ConditionalFlow(8, 4, rng, hidden=5), ConditionalFlow(8, 4, rng, hidden=5)
    orders = [coupling.order for coupling in first.couplings]
    assert all(torch.equal(a, b.order) for a, b in zip(orders, second.couplings, strict=True))
    assert len({tuple(order.tolist()) for order in orders}) == len(KERNELS)


def test_inverse_gives_the_features_back(lively: ConditionalFlow, rng: torch.Generator) -> None:
    channels = len(lively.couplings[0].order)
    features = torch.randn(2, channels, 3, 4, generator=rng)
    where = torch.randn(2, 4, 3, 4, generator=rng)
    z, _ = lively(features, where)
    assert not torch.allclose(z.sort(dim=1).values, features.sort(dim=1).values, atol=0.05)
    assert torch.allclose(lively.inverse(z, where), features, atol=1e-4)


def test_the_log_determinant_is_that_of_autograd(lively: ConditionalFlow, rng: torch.Generator) -> None:
    channels = len(lively.couplings[0].order)
    features, where = torch.randn(1, channels, 2, 3, generator=rng), torch.randn(1, 4, 2, 3, generator=rng)
    jacobian = torch.autograd.functional.jacobian(lambda x: lively(x, where)[0], features)
    _, expected = torch.linalg.slogdet(jacobian.reshape(features.numel(), features.numel()).double())
    _, log_det = lively(features, where)
    assert log_det.shape == (1, 2, 3)
    assert abs(float(expected)) > 0.1
    assert abs(float(log_det.detach().sum()) - float(expected)) < 1e-3


def test_log_scales_are_softly_clamped(lively: ConditionalFlow, rng: torch.Generator) -> None:
    """|log-scale| < 1.9 * 0.636 * pi / 2 of each channel, whatever the features."""
    channels = len(lively.couplings[0].order)
    _, log_det = lively.couplings[0](1e4 * torch.randn(1, channels, 3, 3, generator=rng), torch.zeros(1, 4, 3, 3))
    assert float(log_det.detach().abs().max()) < channels * 1.9 * 0.636 * 1.5708


def test_the_flow_loss_by_hand() -> None:
    z = torch.tensor([[[[1.0, 0.0]], [[2.0, 0.0]]]])  # two channels, two positions
    log_det = torch.tensor([[[0.5, 1.0]]])
    assert float(flow_loss(z, log_det)) == pytest.approx(((0.5 * 5 - 0.5) + (0 - 1.0)) / 2)


def test_the_student_is_told_where_it_is(rng: torch.Generator) -> None:
    student = Student(6, 4, 8, rng).eval()
    features = torch.randn(2, 6, 3, 4, generator=rng)
    here, there = torch.zeros(2, 4, 3, 4), torch.ones(2, 4, 3, 4)
    assert student(features, here).shape == features.shape
    assert not torch.allclose(student(features, here), student(features, there))
