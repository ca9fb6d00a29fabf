"""Beam search, the prior of codes of what a char-RNN says, and properties that are asked of it."""

import itertools
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import torch_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.char_rnn import CharSizes, build_char, load_char, save_char
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.config import SampleConfig
from emulant_apps.molecules.decoding import Drawn, Mode, is_molecule
from emulant_apps.molecules.emulators import any_emulator
from emulant_apps.molecules.generate import run_sample
from emulant_apps.molecules.model import build, load_model
from emulant_apps.molecules.networks import Kind, Sizes, StringDecoder
from emulant_apps.molecules.sample import Emulator
from emulant_apps.molecules.targets import numbers_of
from emulant_apps.molecules.vocabulary import END, PAD, SPECIAL, START

SHIPPED = Path(corpus.__file__).parent / "pretrained"


@cache
def emulator() -> Emulator:
    return Emulator.pretrained()


def small(kind: Kind) -> StringDecoder:
    """Return an untaught decoder of two tokens and at most three of them."""
    sizes = Sizes(kind, ("C", "O"), 3, latent=8, width=16)
    decoder = cast(StringDecoder, build(sizes, 3).decoder)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(3)  # further from the law that knows no tokens apart
        decoder.head.bias[:END] = -40.0  # type: ignore[index,operator]  # neither PAD nor START
    return decoder.eval()


@pytest.mark.parametrize("kind", ["positions", "cdn"])
def test_a_wide_beam_finds_the_likeliest_of_all_strings(kind: Kind) -> None:
    """Of two tokens, strings of at most three can be counted: exact maxima of the law."""
    decoder, z = small(kind), torch.randn(20, 8, generator=torch_rng(0, "beam"))
    words = range(SPECIAL, SPECIAL + 2)
    every = [w for n in range(4) for w in itertools.product(words, repeat=n)]
    rows = [[START, *w, END] + [PAD] * (3 - len(w)) for w in every]
    with torch.no_grad():
        law = torch.stack([decoder.log_likelihood(torch.tensor([r] * 20), z) for r in rows], 1)
        said, score = decoder.search(z, 40)
        greedy, _ = decoder.search(z, 1)
        assert torch.equal(greedy, decoder.mean(z))
    assert torch.allclose(score.float(), law.max(1).values, atol=1e-4)
    assert said.tolist() == [rows[k][1:] for k in law.argmax(1).tolist()]
    assert bool((score >= -20).all())


def test_the_beam_says_likelier_strings_and_more_molecules() -> None:
    greedy, beam = (emulator().sample(300, 0, Mode(prior="flow", beam=b)) for b in (1, 4))
    assert beam.valid > greedy.valid
    assert np.mean(beam.log_likelihood >= greedy.log_likelihood - 1e-3) > 0.95
    assert beam.log_likelihood.mean() > greedy.log_likelihood.mean()


class Talker(CharEmulator):
    """Says molecules, what is none, and what the VAE cannot read, by turns."""

    def draw(
        self,
        count: int,
        rng: torch.Generator,
        mode: Mode,
        asked: np.ndarray | None = None,
    ) -> Drawn:
        del mode, asked
        words = ("CCO", "C1CC", "C[N+](C)(C)C", "c1ccccc1O")
        chosen = torch.randint(len(words), (count,), generator=rng).tolist()
        return Drawn(tuple(words[k] for k in chosen), np.zeros(count))


def test_the_language_prior_is_codes_of_molecules_that_were_said(char_model) -> None:
    model = load_model(SHIPPED)
    talking = Emulator(model, Talker(char_model))
    z = talking.latents(60, torch_rng(0, "talk"))
    known = talking.codes(model.sizes.vocabulary.encode(["CCO", "c1ccccc1O"]).rows)
    near = torch.cdist(z, known, compute_mode="donot_use_mm_for_euclid_dist")
    assert float(near.min(1).values.max()) < 1e-4  # nothing else
    assert 10 < int((near[:, 0] < 1e-4).sum()) < 50  # and both
    assert talking.prior_of(Mode()) == "language"
    assert talking.doubt_of(Mode()) == 0
    assert talking.doubt_of(Mode(prior="flow")) == model.doubt
    assert talking.content not in (model.content, emulator().content)


def test_a_network_that_says_no_molecules_is_reported(char_model) -> None:
    class Mute(Talker):
        def draw(self, count: int, *rest: object, **more: object) -> Drawn:
            del rest, more
            return Drawn(("C1CC",) * count, np.zeros(count))

    with pytest.raises(InputError, match="too few molecules that this model can read"):
        Emulator(load_model(SHIPPED), Mute(char_model)).latents(5, torch_rng(0, "mute"))


def test_the_language_prior_draws_more_molecules_than_the_flow() -> None:
    language, flow = (emulator().sample(500, 1, Mode(prior=p)) for p in ("language", "flow"))
    assert language.valid > flow.valid
    assert language.valid > 0.9


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_asked_properties_are_obtained(guidance: float) -> None:
    """Medians of 200 of each; between them lie four standard errors and more."""
    low, high = np.full(5, np.nan), np.full(5, np.nan)
    low[1:3], high[1:3] = (1.5, 85.0), (3.5, 45.0)
    talker = emulator().language
    assert talker is not None
    makers = [(talker, Mode(1.0, guidance=guidance))]
    if guidance > 1:
        makers.append((emulator(), Mode(guidance=guidance)))  # type: ignore[arg-type]  # alike
    for maker, mode in makers:
        few, many = (
            np.nanmedian(numbers_of(maker.sample(200, 0, mode, asked=asked).strings), axis=0)
            for asked in (low, high)
        )
        assert many[1] - few[1] > 0.7 * guidance**0.5
        assert few[2] - many[2] > 15 * guidance**0.5


def test_what_it_was_told_survives_the_file(tmp_path: Path) -> None:
    sizes = CharSizes(("C", "N"), 5, width=8, asked=True)
    told = torch.arange(5.0), torch.arange(5.0) + 7
    provenance = load_char(SHIPPED, "char_rnn.safetensors").provenance
    assert provenance is not None
    save_char(tmp_path, build_char(sizes, 1, told), sizes, provenance)
    context = load_char(tmp_path).rnn.net.context
    assert context is not None
    assert torch.equal(context.told.mean, told[0])
    assert torch.equal(context.told.scale, told[1])


def test_nothing_told_is_the_order_alone() -> None:
    rnn = build_char(CharSizes(("C", "N"), 5, width=8, asked=True), 1).eval()
    x = torch.tensor([[0, 1, -1]])
    nothing = torch.cat([torch.zeros(1, 1), torch.full((1, 5), torch.nan)], 1)
    asked = torch.cat([torch.zeros(1, 1), torch.ones(1, 5)], 1)
    with torch.no_grad():
        plain, same, other = (rnn.log_prob(x, c) for c in (torch.zeros(1, 1), nothing, asked))
    assert torch.equal(plain, same)
    assert not torch.equal(plain, other)


def test_what_cannot_be(tmp_path: Path, char_weights: Path) -> None:
    out = tmp_path / "a.csv"
    with pytest.raises(InputError, match="--beam: looks for the likeliest"):
        SampleConfig(out=out, beam=3, temperature=1.0)
    with pytest.raises(InputError, match="--beam: must be at least 1"):
        SampleConfig(out=out, beam=0)
    with pytest.raises(InputError, match="--beam: a char-RNN would say one"):
        run_sample(SampleConfig(out=out, beam=3, generator="char-rnn"))
    with pytest.raises(InputError, match="--language: is for --model"):
        run_sample(SampleConfig(out=out, language=char_weights))
    with pytest.raises(InputError, match="--language: a char-RNN has no latent"):
        any_emulator(char_weights, None, char_weights)
    with pytest.raises(InputError, match="--prior language: needs a char-RNN"):
        run_sample(SampleConfig(out=out, model=SHIPPED, prior="language"))
    with pytest.raises(InputError, match="cannot be asked of this char-RNN"):
        run_sample(SampleConfig(out=out, model=char_weights, qed=0.8))
    beside = Emulator.load(SHIPPED, char_weights)
    assert beside.prior_of(Mode()) == "language"
    assert beside.prior_of(Mode(), np.ones(5)) == "flow"  # its char-RNN knows of no properties
    assert not out.exists()
    assert is_molecule("C")
