"""The char-RNN: its likelihood, its orders, what it draws, how it is taught, its file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emulant.cli import main
from emulant.errors import BAD_INPUT, PASS, InputError
from emulant.rng import torch_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.char_rnn import CharSizes, build_char, load_char, symbols_of
from emulant_apps.molecules.char_sample import SHIPPED, CharEmulator, token_scores
from emulant_apps.molecules.char_train import CHAR_PRESETS, Lines, shuffle_some, train_char
from emulant_apps.molecules.chemistry.parse import canonical, shuffled
from emulant_apps.molecules.config import FinetuneConfig, TrainConfig
from emulant_apps.molecules.decoding import CHUNK, Mode, is_molecule
from emulant_apps.molecules.emulators import any_emulator
from emulant_apps.molecules.finetune import CharPupil, Guard, tune
from emulant_apps.molecules.model import load_model
from emulant_apps.molecules.vocabulary import DRUG_LIKE, START, Vocabulary

STRINGS = corpus.test_set()[:200]


def test_all_short_strings_and_the_long_ones_together_have_probability_one() -> None:
    """Of three tokens and a greatest length of two, every string can be counted."""
    rnn = build_char(CharSizes(("C", "N", "O"), 2, width=8), seed=3).eval()
    rows = [[-1, -1], *([a, -1] for a in range(3)), *([a, b] for a in range(3) for b in range(3))]
    with torch.no_grad():
        for order in (0.0, 1.0):
            p = rnn.log_prob(torch.tensor(rows), torch.full((13, 1), order)).exp()
            assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_cut_batch_has_the_likelihood_of_a_whole_one(char_model) -> None:
    rows = char_model.sizes.vocabulary.encode(STRINGS[:20]).rows
    whole = symbols_of(torch.from_numpy(rows))
    cut = whole[:, : int((whole >= 0).sum(1).max()) + 1]
    c = torch.zeros(20, 1)
    with torch.no_grad():
        a, b = char_model.rnn.log_prob(whole[:, :120], c), char_model.rnn.log_prob(cut, c)
    assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("order", [0.0, 1.0])
def test_what_is_said_is_paid(char_model, order: float) -> None:
    """The account of the drawing, the law, and the sum over tokens are one number."""
    emulator = CharEmulator(char_model)
    rng = torch_rng(0, "said")
    drawn = emulator.go_on(["C"] * 200, rng, Mode(temperature=1.0))
    kept = [k for k, s in enumerate(drawn.strings) if s in STRINGS or 1 < len(s) < 60]
    assert len(kept) > 20
    whole = token_scores(char_model, [drawn.strings[k] for k in kept], 1.0)
    paid = drawn.log_likelihood[kept]
    assert np.allclose([x[1:].sum() for x in whole], paid, atol=1e-3)  # "C" was given
    x = symbols_of(torch.from_numpy(char_model.sizes.vocabulary.encode(STRINGS[:9]).rows))
    with torch.no_grad():
        law = char_model.rnn.log_prob(x, torch.full((9, 1), order))
    told = [x.sum() for x in token_scores(char_model, STRINGS[:9], order)]
    assert np.allclose(law.numpy(), told, atol=1e-3)


def test_an_opening_is_kept_and_the_first_token_can_be_asked_for(char_model) -> None:
    emulator = CharEmulator(char_model)
    given = ["c1ccccc1", "CC(=O)N"] * 20
    drawn = emulator.go_on(given, torch_rng(1, "go"), Mode(temperature=1.0), frozenset({"O", "N"}))
    pairs = list(zip(drawn.strings, given, strict=True))
    assert all(text.startswith(opening) for text, opening in pairs)
    assert {text[len(opening)] for text, opening in pairs} == {"O", "N"}


def test_fewer_strings_are_the_first_of_more_whatever_the_workers(char_model) -> None:
    emulator = CharEmulator(char_model)
    alone = emulator.sample(CHUNK + 40, 3, workers=1)
    assert emulator.sample(40, 3).strings == alone.strings[:40]
    assert emulator.sample(CHUNK + 40, 3, workers=2).strings == alone.strings
    assert emulator.sample(40, 3, start=CHUNK).strings == alone.strings[CHUNK:]
    assert emulator.sample(40, 4).strings != alone.strings[:40]


def test_masked_talk_of_an_untaught_network_is_mostly_molecules(char_model) -> None:
    emulator, rng = CharEmulator(char_model), torch_rng(0, "talk")
    raw, masked = (emulator.draw(80, rng, Mode(1.0, masked=m)) for m in (False, True))
    assert masked.valid > max(0.6, raw.valid + 0.3)


def test_a_random_order_is_the_same_molecule() -> None:
    others = [shuffled(text, seed) for seed, text in enumerate(STRINGS)]
    assert [canonical(text) for text in others] == list(STRINGS)
    assert sum(a != b for a, b in zip(others, STRINGS, strict=True)) > 150
    assert others == [shuffled(text, seed) for seed, text in enumerate(STRINGS)]


def test_the_share_of_random_orders() -> None:
    more, of = shuffle_some(STRINGS, 0.2, 0)
    assert len(more) / (len(more) + len(STRINGS)) == pytest.approx(0.2, abs=0.01)
    assert [canonical(text) for text in more] == [STRINGS[k] for k in of]
    vocabulary = Vocabulary.wide(STRINGS, 120)
    rows = np.concatenate([vocabulary.encode(some).rows for some in (STRINGS, more)])
    order = np.repeat(np.array([0, 1], dtype=np.float32), [len(STRINGS), len(more)])
    batch = Lines(rows, order, 2000).batch(0, torch_rng(0, "lines"))
    assert batch.c is not None
    assert float(batch.c.mean()) == pytest.approx(0.2, abs=0.04)
    assert bool((batch.x[:, -1] == -1).all())  # every row ends within the batch
    said = vocabulary.decode((batch.x + 3).clamp(min=2).numpy())
    plain = [text for text, c in zip(said, batch.c[:, 0].tolist(), strict=True) if c == 0]
    assert set(plain) <= set(STRINGS)


def test_the_wide_vocabulary_reads_charges_and_stereochemistry() -> None:
    vocabulary = Vocabulary.wide(STRINGS, 120)
    drugs = [drug.smiles for drug in corpus.drugs()]
    lost = vocabulary.encode(drugs).unknown
    assert len(lost) < 0.03 * len(drugs)
    assert set(DRUG_LIKE) <= set(vocabulary.words)
    ((_, why),) = vocabulary.encode(["C[Te]C[Zn]C"]).unknown
    assert why == "tokens outside the vocabulary: [Te] [Zn]"


def test_a_run_learns_resumes_and_can_be_drawn_from(tmp_path: Path) -> None:
    data, out = tmp_path / "a.smi", tmp_path / "run"
    data.write_text("\n".join(STRINGS) + "\n")
    asked = {"data": data, "rare": 1, "device": "cpu", "workers": 1, "preset": "char-rnn-quick"}
    config = TrainConfig(out=out, steps=3, **asked)
    train_char(config)
    model = load_char(out)
    assert model.provenance is not None
    train_char(TrainConfig(out=out, steps=3, resume=True, **asked))  # there is nothing left to do
    assert load_char(out).content == model.content
    assert isinstance(any_emulator(out), CharEmulator)
    with pytest.raises(InputError, match="holds a char-RNN, which has no codes"):
        load_model(out)
    with pytest.raises(InputError, match="--start: is for the VAE"):
        train_char(TrainConfig(out=tmp_path / "b", start=out, **asked))


def test_a_vae_is_no_char_rnn() -> None:
    shipped = Path(corpus.__file__).parent / "pretrained"
    with pytest.raises(InputError, match="holds no char-RNN, but a molecules prototype VAE"):
        load_char(shipped)


def test_the_published_sizes_fit_the_wheel() -> None:
    sizes = CharSizes(Vocabulary.wide(STRINGS, 120).words, width=CHAR_PRESETS["char-rnn"].width)
    halves = sum(p.numel() for p in build_char(sizes).parameters())
    assert 2 * halves < 4_000_000


def test_tuning_lowers_the_misfit_of_the_handful_and_the_guard_stops_it(char_model) -> None:
    vocabulary = char_model.sizes.vocabulary
    own = vocabulary.encode(["CCCCCCO", "CCCCCCN", "CCCCCCCl"]).rows
    held = vocabulary.encode(["CCCCCCF"]).rows
    assert own[0, 0] == START
    config = FinetuneConfig(
        data=Path("a.smi"), out=Path("b"), rate=3e-3, steps=60, patience=0.5, device="cpu"
    )
    pupil = CharPupil(char_model, 0)
    before = pupil.misfit(own)
    tuned = tune(pupil, vocabulary, own, held, config)
    assert pupil.misfit(own) < before - 1
    assert tuned.last.held is not None
    assert tuned.first.held is not None
    assert tuned.last.held < tuned.first.held
    first = Guard(20.0, 10.0)
    assert Guard(21.5, 9.0).objection(first, first, 0.05) == "forgets the corpus"
    assert Guard(20.0, 10.5).objection(first, first, 0.05) == "learns by heart"
    assert Guard(20.9, 10.1).objection(first, first, 0.05) == ""


def test_a_tuning_that_forgets_at_once_changes_nothing(char_model) -> None:
    vocabulary = char_model.sizes.vocabulary
    own = vocabulary.encode(["O=S(=O)(O)O"]).rows
    config = FinetuneConfig(
        data=Path("a.smi"), out=Path("b"), rate=1.0, steps=40, mixed=0.0, device="cpu"
    )
    pupil = CharPupil(char_model, 0)
    tuned = tune(pupil, vocabulary, own, own[:0], config)
    assert tuned.steps == 0
    assert tuned.objection == "forgets the corpus"
    for name, value in pupil.method.state_dict().items():
        assert torch.equal(value, char_model.rnn.state_dict()[name])


def test_commands_draw_and_refuse(tmp_path: Path, capsys, char_weights: Path) -> None:
    out = tmp_path / "raw.csv"
    line = ["molecules", "sample", "--model", str(char_weights), "--workers", "1", "--out"]
    assert main([*line, str(out), "--raw", "--count", "30", "--masked"]) == PASS
    assert sum(map(is_molecule, (x.split(",")[0] for x in out.read_text().splitlines()))) > 15
    refused = (
        (["--prior", "normal"], "--prior: a char-RNN has no latent"),
        (["--temperature", "0"], "--temperature: must be above 0 for a char-RNN"),
        (["--generator", "char-rnn"], "--generator: names shipped weights"),
    )
    for flags, words in refused:
        assert main([*line, str(tmp_path / "new"), "--raw", *flags]) == BAD_INPUT
        assert words in capsys.readouterr().err
    line = ["molecules", "analogues", "CCO", "--model", str(char_weights)]
    assert main([*line, "--out", str(tmp_path / "near")]) == BAD_INPUT
    assert "which has no codes" in capsys.readouterr().err


PRETRAINED = Path(corpus.__file__).parent / "pretrained"


@pytest.mark.skipif(
    not (PRETRAINED / SHIPPED).exists(), reason="this version comes without weights of a char-RNN"
)
def test_the_shipped_weights_draw_new_molecules_and_are_small() -> None:
    emulator = CharEmulator.pretrained()
    drawn = emulator.sample(CHUNK, 3)
    assert drawn.valid > 0.85
    good = {text for text in drawn.strings if is_molecule(text)}
    assert len(good) > 0.84 * CHUNK
    assert len(good - set(corpus.training_set())) > 0.8 * len(good)
    assert emulator.model.provenance is not None
    assert emulator.model.provenance.command == "molecules train"
    assert all(file.stat().st_size < 4_000_000 for file in PRETRAINED.glob("*.safetensors"))
    assert SHIPPED in (PRETRAINED / "README.md").read_text()
    held = np.mean([x.sum() for x in token_scores(emulator.model, corpus.test_set()[:200])])
    assert -32 < held < -15  # nats a string of 36 tokens
