"""Which emulator a command draws from: its own weights, or shipped ones."""

from __future__ import annotations

from pathlib import Path

from emulant.errors import InputError
from emulant_apps.molecules import char_rnn
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.config import SampleConfig
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.model import read_weights
from emulant_apps.molecules.sample import Emulator
from emulant_apps.molecules.targets import target_vector

__all__ = ["any_emulator", "char_emulator", "mode_of", "vae_emulator"]


def any_emulator(
    model: Path | None, generator: str | None = None, language: Path | None = None
) -> Emulator | CharEmulator:
    """Return the emulator of a directory, whatever its kind, or of the shipped weights.

    ``language``: directory of the char-RNN of a VAE's language prior.

    Raises
    ------
    InputError
        There are no such weights, or both are named.
    """
    if language is not None and model is None:
        raise InputError("--language: is for --model; the shipped VAE has its own")
    if model is None:
        return CharEmulator.pretrained() if generator == "char-rnn" else Emulator.pretrained()
    if generator is not None:
        raise InputError("--generator: names shipped weights; leave it out, or --model")
    if model.is_dir() and read_weights(model).metadata["kind"] == char_rnn.FORM:
        if language is not None:
            raise InputError("--language: a char-RNN has no latent, hence no prior; leave it out")
        return CharEmulator.load(model)
    return Emulator.load(model, language)


def vae_emulator(model: Path | None) -> Emulator:
    """Return the VAE of a directory, or the shipped one."""
    return Emulator.pretrained() if model is None else Emulator.load(model)


def char_emulator(model: Path | None) -> CharEmulator:
    """Return the char-RNN of a directory, or the shipped one."""
    return CharEmulator.pretrained() if model is None else CharEmulator.load(model)


def mode_of(config: SampleConfig, emulator: Emulator | CharEmulator) -> Mode:
    """Return how ``emulator`` is to speak.

    Raises
    ------
    InputError
        An option is for the other kind of network.
    """
    if isinstance(emulator, CharEmulator):
        if config.prior is not None:
            raise InputError("--prior: a char-RNN has no latent, hence no prior; leave it out")
        if config.doubt is not None:
            raise InputError("--doubt: a char-RNN has no latent to doubt; leave it out")
        if config.beam > 1:
            raise InputError("--beam: a char-RNN would say one and the same string; leave it out")
        temperature = 1.0 if config.temperature is None else config.temperature
        return Mode(temperature, config.masked, guidance=config.guidance)
    mode = Mode(
        config.temperature or 0.0,
        config.masked,
        config.prior,
        config.guidance,
        config.doubt,
        config.beam,
    )
    emulator.prior_of(mode, target_vector(config.asked))  # raises what cannot be
    return mode
