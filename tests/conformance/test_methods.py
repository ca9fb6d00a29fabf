"""Laws that every method obeys. A new method adds one entry to ``CASES``."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from emulant.conditions import ContinuousEmbedding
from emulant.latents import Normal, Pushforward
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods import (
    ACGAN,
    ALI,
    GAN,
    M1,
    M1M2,
    M2,
    R1,
    R2,
    VAE,
    Additive,
    AdversarialAutoencoder,
    AdversarialVariationalBayes,
    Autoregressive,
    DenoisingAutoencoder,
    Diffusion,
    EnergyDistance,
    EvolutionStrategies,
    FlowMatching,
    Generative,
    GradientPenalty,
    Growth,
    Hinge,
    ImplicitVariationalInference,
    Likelihood,
    Masking,
    MaximumLikelihood,
    Method,
    NonSaturating,
    NormalisingFlow,
    Pix2PixHD,
    ProgressiveGAN,
    Relativistic,
    Scores,
    StackedDenoisingAutoencoder,
    WarmUp,
    Wasserstein,
)
from emulant.nets.classifying import ClassifyingCritic
from emulant.nets.coarse_to_fine import CoarseToFine, PatchCritic
from emulant.nets.conv import ConvCritic, ConvGenerator
from emulant.nets.embed import ContextMLP, OneHotClasses, TimeMLP
from emulant.nets.initial import initial_parameters
from emulant.nets.joint import Joint
from emulant.nets.mlp import MLP, MLPCritic
from emulant.nets.progressive import ProgressiveCritic, ProgressiveGenerator
from emulant.nets.recurrent import GRU
from emulant.nets.transformer import Transformer
from emulant.nets.unet import UNet
from emulant.rng import torch_rng
from emulant.store.tensors import load_tensors, save_tensors
from emulant.train import Optimiser, Plan, Resampled, fit
from emulant.train.players import only, seat
from emulant.types import Batch


class Bell(nn.Module):
    """x | c normal with mean and log deviation from a network: it draws and scores."""

    def __init__(self):
        super().__init__()
        self.net = MLP(1, 4, (8,))

    def _law(self, c):
        if c is None:
            raise ValueError("'c' must be given, got None")
        mean, log_deviation = self.net(c).chunk(2, 1)
        return torch.distributions.Normal(mean, log_deviation.exp())

    def draw(self, n, rng, c=None):
        law = self._law(c)
        return law.mean + law.stddev * torch.randn(n, 2, generator=rng, device=rng.device)

    def log_prob(self, x, c=None):
        return self._law(c).log_prob(_pairs(x)).sum(1)


def _pairs(x):
    if x.shape[1:] != (2,):
        raise ValueError(f"'x' must have shape (B, 2), got {tuple(x.shape)}")
    return x


class BellByPart(Bell):
    def nll_terms(self, x, c=None):
        first, second = (-self._law(c).log_prob(_pairs(x))).unbind(1)
        return {"first": first, "second": second}


def vector_gan(*args, context=1, **options):
    generator = Pushforward(MLP(2, 2, (8,), context=context), Normal((2,)))
    return GAN(generator, MLPCritic(2, (8,), context=context), *args, **options)


def conv_gan(norm):
    def context():
        return ContinuousEmbedding([0.0], [1.0], 4)

    generator = ConvGenerator(
        (4, 4), 1, (8, 4), (2, 1), context=context(), embedded=4, latent=2, norm=norm
    )
    critic = ConvCritic(2, 1, (4, 8), context=context(), embedded=4, group=4, norm=norm)
    return GAN(generator, critic, Relativistic(), (R1(0.1, every=2), R2(0.1, every=2)))


def timed_net(kind=TimeMLP, *args, **options):
    """A network of events, time and a context that may be missing."""
    context = ContinuousEmbedding([0.0], [1.0], 4, missing=True)
    return kind(*(args or (2, 2, (8,))), context=context, embedded=4, **options)


def token_net(kind, **options):
    context = ContinuousEmbedding([0.0], [1.0], 4)
    return kind(4, 4, width=8, context=context, embedded=4, **options)


def class_gan():
    net = ContextMLP(MLP(2, 2, (8,), context=2), OneHotClasses(2))
    critic = ClassifyingCritic(MLP(2, 3, (8,)))
    return ACGAN(Pushforward(net, Normal((2,))), critic, regularisers=(R1(every=2),))


def growing_gan(*args):
    """At the second of two stages, half faded in, after the few steps of a law."""
    generator = ProgressiveGenerator((4, 4), 1, (8, 4), 3, ContinuousEmbedding([0.0], [1.0], 4), 4)
    critic = ProgressiveCritic((4, 4), 1, (8, 4), ContinuousEmbedding([0.0], [1.0], 4), 4)
    return ProgressiveGAN(generator, critic, Growth(settle=1, fade=5), *args)


def image_gan(*args):
    critics = [PatchCritic(2, 1, 1, (4, 8)) for _ in range(2)]
    return Pix2PixHD(CoarseToFine(2, 1, 1, (4, 8), blocks=1), critics, *args)


def maps(c):
    """The contexts of (N, 1) numbers spread over a grid."""
    return c[:, :, None, None].expand(-1, -1, 4, 4).contiguous()


def sequences(x):
    """Symbols 0, 1, 2, and nothing after the first number above 1."""
    ended = (x > 1).cumsum(1) > 0
    return (x.clamp(-1.4, 1.4).round().long() + 1).masked_fill(ended, -1)


class Written(nn.Module):
    """A model without parameters: x | z, c is normal around z + c."""

    def mean(self, z, c=None):
        if c is None:
            raise ValueError("'c' must be given, got None")
        return z + c

    def log_likelihood(self, x, z, c=None):
        return torch.distributions.Normal(self.mean(z, c), 1.0).log_prob(x).sum(1)

    def draw(self, z, rng, c=None):
        return self.mean(z, c) + torch.randn(z.shape, generator=rng, device=z.device)


def decoder(latent=3, context=1, event=2):
    return Decoder(MLP(latent, event, (8,), context=context), Gaussian((event,)))


def vae(context=1, **options):
    return VAE(MLP(2, 6, (8,), context=context), decoder(context=context), latent=3, **options)


def m2(event=2):
    encoder = MLP(event, 6, (8,), context=2)
    return M2(MLP(event, 2, (8,)), encoder, decoder(context=2, event=event), latent=3, classes=2)


def some_classes(c):
    """Classes 0 and 1, and -1 for numbers near 0."""
    return torch.where(c.abs() < 0.5, -1, (c > 0).long())


def adversarial_bayes(**options):
    encoder, critic = MLP(4, 3, (8,), context=1), MLPCritic(5, (8,), context=1)
    return AdversarialVariationalBayes(
        Joint(encoder), decoder(), Joint(critic), Normal((3,)), noise=2, **options
    )


def implicit_inference(contrast):
    posterior, critic = MLP(4, 2, (8,), context=1), MLPCritic(4, (8,), context=1)
    return ImplicitVariationalInference(
        Joint(posterior), Joint(critic), Written(), Normal((2,)), noise=2, contrast=contrast
    )


def adversarial_autoencoder(encoded=3, **options):
    critic = MLPCritic(3, (8,), context=1)
    encoder = MLP(2, encoded, (8,), context=1)
    return AdversarialAutoencoder(encoder, decoder(), critic, Normal((3,)), latent=3, **options)


def stacked():
    encoders = [MLP(2, 4, (8,), context=1), MLP(4, 3, (8,), context=1)]
    decoders = [MLP(4, 2, (8,), context=1), MLP(3, 4, (8,), context=1)]
    return StackedDenoisingAutoencoder(encoders, decoders, Masking(0.3), (2,), chain=3)


@dataclass(frozen=True)
class Case:
    """A method small enough for a law, and the shape of its events."""

    name: str
    make: Callable[[], Method]
    event: tuple[int, ...] = (2,)
    conditional: bool = True
    flat: tuple[str, ...] = ()
    """Parameters that no bill depends on, by the method's own theory."""
    events: Callable[[Tensor], Tensor] = lambda x: x
    """Turns standard normal numbers into events."""
    contexts: Callable[[Tensor], Tensor] = lambda c: c
    """Turns numbers, shape (N, 1), into contexts."""
    judges_shapes: bool = True
    """Whether the method itself, not a function that it is given, knows the shape of events."""
    needs: str = ""
    """Optional package without which the method cannot be had."""

    def __str__(self) -> str:
        return self.name


CONSTANT = ("critic.layers.2.bias",)
"""The critic's last bias: differences of logits do not see a constant, nor does the hinge
where all events lie within its margin."""

CASES = [
    Case("gan", vector_gan),
    Case("gan-unconditional", lambda: vector_gan(context=0), conditional=False),
    Case("gan-hinge", lambda: vector_gan(Hinge(), critic_turns=2), flat=CONSTANT),
    Case("gan-wasserstein", lambda: vector_gan(Wasserstein(), (GradientPenalty(),)), flat=CONSTANT),
    Case("gan-relativistic", lambda: vector_gan(Relativistic(), (R1(), R2())), flat=CONSTANT),
    Case(
        "gan-companions",
        lambda: GAN(
            Bell(),
            MLPCritic(2, (8,), context=1),
            companions=(Likelihood(0.5), EnergyDistance(lambda x, _: x, group=4)),
        ),
    ),
    Case("gan-conv", lambda: conv_gan("none"), event=(1, 4, 4), flat=("critic.head.2.bias",)),
    Case(
        "gan-conv-batchnorm",
        lambda: conv_gan("batch"),
        event=(1, 4, 4),
        # batch normalisation subtracts the bias of the convolution before it
        flat=(
            "critic.head.2.bias",
            *(f"critic.levels.{k}.conv.bias" for k in range(2)),
            *(f"generator.levels.{k}.{p}.conv.bias" for k in range(2) for p in ("first", "second")),
        ),
    ),
    Case("maximum-likelihood", lambda: MaximumLikelihood(Bell())),
    Case("maximum-likelihood-parts", lambda: MaximumLikelihood(BellByPart())),
    Case("flow-matching", lambda: FlowMatching(timed_net(), (2,), drop=0.5, steps=2)),
    Case(
        "flow-matching-optimal",
        lambda: FlowMatching(TimeMLP(2, 2, (8,)), (2,), "optimal", steps=2),
        conditional=False,
    ),
    Case(
        "flow-matching-unet",
        lambda: FlowMatching(timed_net(UNet, 2, 1, 1, (4, 8)), (1, 4, 4), drop=0.5, steps=2),
        event=(1, 4, 4),
    ),
    Case("diffusion", lambda: Diffusion(timed_net(), (2,), drop=0.5, steps=3)),
    Case("normalising-flow", lambda: NormalisingFlow(2, 1, hidden=(8,)), needs="zuko"),
    Case(
        "autoregressive",
        lambda: Autoregressive(token_net(GRU), 3, 5),
        event=(5,),
        events=sequences,
    ),
    Case(
        "autoregressive-transformer",
        lambda: Autoregressive(token_net(Transformer, length=5, heads=2), 3, 5),
        event=(5,),
        events=sequences,
    ),
    Case("ac-gan", class_gan, contexts=lambda c: (c > 0).long()),
    Case(
        "progressive-gan",
        growing_gan,
        event=(1, 4, 4),
        flat=("critic.last.2.layer.bias",),
    ),
    Case("progressive-gan-logistic", lambda: growing_gan(NonSaturating()), event=(1, 4, 4)),
    Case("pix2pixhd", image_gan, event=(1, 4, 4), contexts=maps),
    Case("pix2pixhd-means", lambda: image_gan(1.0, "means"), event=(1, 4, 4), contexts=maps),
    Case(
        "ali",
        lambda: ALI(
            MLP(2, 6, (8,), context=1),
            MLP(3, 2, (8,), context=1),
            MLPCritic(2, (8,), context=4),
            Normal((3,)),
            regularisers=(R1(every=2),),
        ),
    ),
    Case(
        "ali-relativistic",
        lambda: ALI(
            MLP(2, 6, (8,)),
            MLP(3, 2),
            MLPCritic(2, (8,), context=3),
            Normal((3,)),
            0.1,
            Relativistic(),
        ),
        conditional=False,
        flat=CONSTANT,
    ),
    Case(
        "evolution-strategies",
        lambda: EvolutionStrategies(
            lambda x, batch: (x[:, None] - batch.x).abs().mean((1, 2)).ceil(),
            [1.0, 2.0],
            scale=1.0,
            learn_scale=True,
        ),
        conditional=False,
        judges_shapes=False,
    ),
    Case("vae", vae),
    Case("vae-unconditional", lambda: vae(context=0), conditional=False),
    Case("vae-weighted-kl", lambda: vae(beta=2.0, free_bits=1e-3, schedule=WarmUp(2))),
    Case("vae-importance", lambda: vae(importance=3)),
    Case("m1", lambda: M1(vae(context=0), MLP(3, 2, (8,)), 2), contexts=some_classes),
    Case("m2", m2, contexts=some_classes),
    Case("m1-m2", lambda: M1M2(vae(context=0), m2(event=3)), contexts=some_classes),
    Case("adversarial-autoencoder", adversarial_autoencoder),
    Case(
        "adversarial-autoencoder-stochastic",
        lambda: adversarial_autoencoder(6, stochastic=True, regularisers=(R1(every=2),)),
    ),
    Case("adversarial-variational-bayes", adversarial_bayes),
    Case("adaptive-contrast", lambda: adversarial_bayes(draws=8, adaptive=True, critic_turns=2)),
    Case("implicit-inference-prior", lambda: implicit_inference("prior")),
    Case("implicit-inference-joint", lambda: implicit_inference("joint")),
    Case(
        "denoising-autoencoder",
        lambda: DenoisingAutoencoder(
            MLP(2, 2, (8,), context=1), Gaussian((2,)), Additive(0.5), chain=3
        ),
    ),
    Case("stacked-denoising-autoencoder", stacked),
]
EVENTS = 64

every_method = pytest.mark.parametrize("case", CASES, ids=str)


def build(case: Case, seed: int = 0) -> Method:
    if case.needs:
        pytest.importorskip(case.needs)
    with initial_parameters(torch_rng(seed, "nets")):
        return case.make()


def source(case: Case, seed: int = 0) -> Resampled:
    rng = torch_rng(seed, "data")
    x = case.events(torch.randn(EVENTS, *case.event, generator=rng))
    c = case.contexts(torch.randn(EVENTS, 1, generator=rng)) if case.conditional else None
    return Resampled(x, c, size=8)


def contexts(case: Case, n: int) -> Tensor | None:
    return case.contexts(torch.linspace(-1, 1, n)[:, None]) if case.conditional else None


def train(method: Method, case: Case, steps: int = 3, seed: int = 0) -> Method:
    optimisers = {name: Optimiser(1e-2) for name in method.players()}
    plan = Plan(optimisers, steps=steps, seed=seed)
    fit(method, source(case), plan, device="cpu", progress=lambda *_: None)
    return method


@every_method
def test_each_parameter_has_one_owner(case):
    method = build(case)
    owned = [p for module in method.players().values() for p in module.parameters()]
    assert len({id(p) for p in owned}) == len(owned)
    assert {id(p) for p in owned} == {id(p) for p in method.parameters()}


@every_method
def test_every_player_takes_a_turn_and_every_turn_has_a_player(case):
    method = build(case)
    assert set(method.turns) == set(method.players())


@every_method
def test_gradients_reach_every_parameter_of_the_player_and_no_other(case):
    method = train(build(case), case)  # a few steps, so that layers that start at zero have moved
    players = seat(method, {name: Optimiser() for name in method.players()})
    batch = source(case).batch(0, torch_rng(0))
    for name in dict.fromkeys(method.turns):
        method.zero_grad()
        with only(players[name], players):
            method.loss(name, batch, torch_rng(0)).total.backward()
        for parameter_name, parameter in method.named_parameters():
            if parameter_name not in players[name].parameters:
                assert parameter.grad is None, f"{name} moved {parameter_name}"
            else:
                assert parameter.grad is not None, f"{name} does not reach {parameter_name}"
                reached = float(parameter.grad.abs().max()) > 0
                assert reached or parameter_name in case.flat, parameter_name
    assert all(p.requires_grad for p in method.parameters())


@every_method
def test_the_bill_is_a_finite_scalar_with_named_scalar_parts(case):
    method = build(case)
    batch = source(case).batch(0, torch_rng(0))
    for name in method.turns:
        terms = method.loss(name, batch, torch_rng(0))
        assert terms.total.shape == ()
        assert terms.parts
        for part in (terms.total, *terms.parts.values()):
            assert part.shape == ()
            assert bool(torch.isfinite(part))


@every_method
def test_the_same_seed_gives_the_same_method_and_another_seed_another(case):
    runs = [train(build(case), case, seed=seed).state_dict() for seed in (0, 0, 1)]
    same, different = (
        [torch.equal(value, other[name]) for name, value in runs[0].items()] for other in runs[1:]
    )
    assert all(same)
    assert not all(different)


@every_method
def test_samples_have_the_shape_and_type_of_events(case):
    method = build(case)
    assert isinstance(method, Generative)
    x = method.sample(5, torch_rng(0), contexts(case, 5))
    assert x.shape == (5, *case.event)
    assert x.dtype == source(case).x.dtype
    assert not x.requires_grad
    assert method.training
    assert torch.equal(x, method.sample(5, torch_rng(0), contexts(case, 5)))
    assert not torch.equal(x, method.sample(5, torch_rng(1), contexts(case, 5)))


@every_method
def test_a_saved_method_draws_the_same_bytes(case, tmp_path):
    method = train(build(case), case)
    save_tensors(tmp_path / "model.safetensors", method.state_dict(), {})
    other = build(case, seed=1)
    other.load_state_dict(load_tensors(tmp_path / "model.safetensors").tensors)
    first, second = (m.sample(5, torch_rng(0), contexts(case, 5)) for m in (method, other))
    assert first.numpy().tobytes() == second.numpy().tobytes()


@every_method
def test_scores_where_there_are_any_are_one_number_an_event(case):
    method, batch = build(case), source(case).batch(0, torch_rng(0))
    assert not isinstance(method, Scores) or method.log_prob(batch.x, batch.c).shape == (8,)


@every_method
def test_half_precision_is_finite(case):
    method = build(case)
    batch = source(case).batch(0, torch_rng(0))
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    for name in method.turns:
        method.zero_grad()
        with fabric.autocast():
            total = method.loss(name, batch, torch_rng(0)).total
        total.backward()
        gradients = [p.grad for p in method.players()[name].parameters() if p.grad is not None]
        assert gradients
        assert all(bool(torch.isfinite(g).all()) for g in gradients)


@every_method
def test_what_cannot_be_is_refused(case):
    method = build(case)
    with pytest.raises(ValueError, match="'player' must be"):
        method.loss("nobody", source(case).batch(0, torch_rng(0)), torch_rng(0))
    with pytest.raises(ValueError, match="'c' must"):
        method.sample(5, torch_rng(0), torch.zeros(3, 1))
    if case.conditional:
        with pytest.raises(ValueError, match="'c' must"):
            method.sample(5, torch_rng(0), None)


def shortened(x):
    """Events that lack one number of their last dimension."""
    return x[..., :-1].contiguous()


@every_method
def test_a_batch_of_the_wrong_shape_is_refused(case):
    method, good = build(case), source(case).batch(0, torch_rng(0))
    for name in dict.fromkeys(method.turns):
        if case.judges_shapes:
            with pytest.raises(ValueError, match=r"'[a-z_.]+' must"):
                method.loss(name, Batch(shortened(good.x), good.c), torch_rng(0))
        if case.conditional:
            for wrong in (None, torch.cat([good.c, good.c], 1)):
                with pytest.raises(ValueError, match=r"'[a-z_.]+' must"):
                    method.loss(name, Batch(good.x, wrong), torch_rng(0))


@every_method
def test_a_condition_that_no_one_would_look_at_is_refused(case):
    method, good = build(case), source(case).batch(0, torch_rng(0))
    if not case.conditional and case.judges_shapes:
        with pytest.raises(ValueError, match=r"'[a-z_.]+' must"):
            method.loss(method.turns[0], Batch(good.x, torch.zeros(len(good), 1)), torch_rng(0))


@every_method
def test_events_that_are_not_numbers_are_refused(case):
    class Spoilt:
        fingerprint = "spoilt"

        def batch(self, step, rng):
            good = source(case).batch(step, rng)
            good.x[1] = float("nan")
            return good

    method = build(case)
    plan = Plan({name: Optimiser(1e-2) for name in method.players()}, steps=1)
    if source(case).x.is_floating_point():
        with pytest.raises(ValueError, match=r"'batch.x' must be finite.* row 1 of .* step 0"):
            fit(method, Spoilt(), plan, device="cpu", progress=lambda *_: None)


def test_a_batch_has_one_context_and_one_weight_an_event():
    for rows in ({"c": torch.zeros(3, 1)}, {"weight": torch.zeros(3)}):
        with pytest.raises(ValueError, match=f"'{next(iter(rows))}' must have 4 rows"):
            Batch(torch.zeros(4, 2), **rows)
