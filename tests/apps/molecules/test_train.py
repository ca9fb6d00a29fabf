"""Training: batches, the ramp of beta, presets that build, a run that resumes, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import torch_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.bank import Strings
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.model import build, load_model
from emulant_apps.molecules.networks import Sizes
from emulant_apps.molecules.train import PRESETS, Ramp, train
from emulant_apps.molecules.vocabulary import END, PAD, START, Vocabulary

STRINGS = corpus.test_set()[:500]
VOCABULARY = Vocabulary.of(STRINGS)
ROWS = VOCABULARY.encode(STRINGS).rows


def test_a_batch_is_of_similar_length_and_whole() -> None:
    bank = Strings(ROWS, size=16, latent=4, noisy=0.5)
    batch = bank.batch(0, torch_rng(0, "batch"))
    assert batch.c is not None
    assert batch.c.shape == (16, 5)
    assert bool((batch.x[:, 0] == START).all())
    assert bool(((batch.x == END).sum(1) == 1).all())
    assert batch.x.shape[1] == int((batch.x != PAD).sum(1).max())
    assert torch.equal(batch.x, bank.batch(7, torch_rng(0, "batch")).x)  # chance alone decides


def test_the_share_of_noisy_rows() -> None:
    bank = Strings(ROWS, size=400, latent=2, noisy=0.4)
    c = bank.batch(0, torch_rng(0, "noise")).c
    assert c is not None
    assert float((c[:, 0] > 0).float().mean()) == pytest.approx(0.4, abs=0.1)
    assert Strings(ROWS, 4, 2).batch(0, torch_rng(0, "noise")).c is None


def test_a_latent_becomes_noise() -> None:
    """z_s has the variance of z where both are standard normal, and is e at s = 1."""
    decoder = build(Sizes("positions", VOCABULARY.words, VOCABULARY.length, 8, 16)).decoder
    rng = torch_rng(0, "latents")
    z, e = torch.randn(20_000, 8, generator=rng), torch.randn(20_000, 8, generator=rng)
    s = torch.full((20_000, 1), 0.6)
    zs = decoder.noisy(z, torch.cat([s, e], 1))  # type: ignore[attr-defined]  # of the app
    assert float(zs[:, :-1].std()) == pytest.approx(1.0, abs=0.01)
    assert float((zs[:, :-1] * z).mean()) == pytest.approx(0.8, abs=0.02)
    noise = decoder.noisy(z, torch.cat([torch.ones(20_000, 1), e], 1))  # type: ignore[attr-defined]  # of the app
    assert torch.allclose(noise[:, :-1], e)


@pytest.mark.parametrize("kind", ["positions", "cdn"])
def test_a_likelihood_is_that_of_its_own_words(kind) -> None:
    """Teacher forcing and saying token by token agree; probabilities of one token sum to one."""
    sizes = Sizes(kind, VOCABULARY.words, VOCABULARY.length, 8, 16)
    vae = build(sizes, seed=1).eval()
    x = torch.from_numpy(ROWS[:6]).long()
    z = torch.randn(6, 8, generator=torch_rng(0, "z"))
    told: list[torch.Tensor] = []

    def choose(t: int, logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        told.append(logits.log_softmax(1).gather(1, x[:, t + 1 : t + 2])[:, 0])
        return x[:, t + 1]

    with torch.no_grad():
        vae.decoder.say(z, choose)  # type: ignore[attr-defined]  # of the app
        scored = vae.decoder.log_likelihood(x, z)
    words = torch.stack(told, 1)
    said = x[:, 1 : words.shape[1] + 1] != PAD
    assert torch.allclose((words * said).sum(1), scored, atol=1e-3)


def test_the_published_configuration() -> None:
    recipe = PRESETS["cdn"]
    assert (recipe.latent, recipe.beta, recipe.batch) == (300, 1e-5, 64)
    vae = build(Sizes("cdn", VOCABULARY.words, VOCABULARY.length, recipe.latent))
    assert vae.autoencoder["decoder"].cells.hidden_size == 150
    assert len(vae.autoencoder["encoder"].near) == 4


def test_the_ramp_rises() -> None:
    ramp = Ramp(1000, ((0.25, 0.25), (0.5, 1.0)))
    values = [ramp(step) for step in range(1000)]
    assert values[0] == 0
    assert np.all(np.diff(values) >= 0)
    assert values[-1] == 1


def test_a_run_learns_resumes_and_is_not_overwritten(tmp_path: Path) -> None:
    data, out = tmp_path / "a.smi", tmp_path / "run"
    data.write_text("\n".join(STRINGS[:200]) + "\n")
    config = TrainConfig(out=out, data=data, steps=3, rare=1, device="cpu", workers=1)
    train(config)
    model = load_model(out)
    assert model.codes is not None
    assert model.sizes.vocabulary.encode(STRINGS[:50]).unknown == ()
    with pytest.raises(InputError, match="holds files already"):
        train(config)
    again = TrainConfig(out=out, data=data, steps=3, rare=1, device="cpu", workers=1, resume=True)
    train(again)  # there is nothing left to do
    assert load_model(out).content == model.content
    other = TrainConfig(
        out=tmp_path / "b", data=data, steps=3, rare=1, device="cpu", workers=1, start=out
    )
    train(other)
    assert load_model(tmp_path / "b").content != model.content
