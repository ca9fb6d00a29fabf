r"""How many states has each energy: Beale's exact integers, and the exact energy histogram.

.. math:: Z = \sum_{k=0}^{N} g_k e^{-E_k/T}, \qquad E_k = -2N + 4k, \quad N = L^2

Z from :mod:`kaufman` is a polynomial: with x = e^(-2K), β = 2x(1 - x²) and
α_l = (1 + x²)² - β cos(πl/L), so that cosh γ_l = α_l / β, let 2β^L cosh Lγ_l = t_l and

.. math::
    C_l = t_l + 2\beta^L, \qquad S_l = t_l - 2\beta^L, \qquad
    c^\pm = [(1-x)^L \pm (x(1+x))^L]\,[(1+x)^L \pm (x(1-x))^L],

    \sum_k g_k x^{2k} = 2^{-N/2-1} \Bigl[ \prod_{l\ odd} C_l + \prod_{l\ odd} S_l
        + 2^L c^+ \prod_{l\ even} C_l + 2^L c^- \prod_{l\ even} S_l \Bigr], \quad 0 < l < L.

Method: arithmetic modulo primes p = 1 mod 2L, where cos(πl/L) = (w^l + w^-l)/2 exists for w a
root of unity of order 2L. The right side is evaluated at roots of unity x, which an inverse
discrete Fourier transform mod p turns into g_k mod p; the Chinese remainder theorem joins the
primes to the integers g_k < 2^N. Nothing is rounded.

References
----------
P. Beale, "Exact Distribution of Energies in the Two-Dimensional Ising Model", Phys. Rev. Lett.
76, 78 (1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emulant_apps.ising.hamiltonian import Floats, Ints, check_lattice, check_temperature

__all__ = ["EnergyHistogram", "density_of_states", "energy_histogram"]

_LARGEST = 64
Residues: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class EnergyHistogram:
    """P(E) at one temperature: ``energies`` E in units of J, int64, ``probabilities`` (N + 1,).

    Energies that no state has are listed with probability zero.
    """

    energies: Ints
    probabilities: Floats


@lru_cache(maxsize=16)
def density_of_states(lattice: int) -> tuple[int, ...]:
    """Return g_k, the number of states of energy E = -2N + 4k, k = 0..N, L even, L <= 64.

    One second at L = 32, a minute at L = 64.

    >>> density_of_states(4)[:6]
    (2, 0, 32, 64, 424, 1728)
    """
    check_lattice(lattice)
    if lattice > _LARGEST:
        raise ValueError(f"'lattice' must be at most {_LARGEST}, got {lattice}")
    sites = lattice**2
    points = 1 << sites.bit_length()  # a power of two above the degree N
    order = math.lcm(2 * lattice, 2 * points)
    total, modulus = [0] * (sites + 1), 1
    candidate = (1 << 31) // order * order + 1
    while modulus <= 1 << sites:
        candidate -= order
        if not _is_prime(candidate):
            continue
        root = _root_of_unity(order, candidate)
        values = _polynomial(lattice, points, root, candidate)
        residues = _inverse_transform(values, pow(root, order // points, candidate), candidate)
        # Chinese remainder: total + modulus * j = residue mod p
        inverse = pow(modulus, -1, candidate)
        total = [
            known + modulus * ((int(new) - known) * inverse % candidate)
            for known, new in zip(total, residues[: sites + 1], strict=True)
        ]
        modulus *= candidate
    return tuple(total)


def energy_histogram(lattice: int, temperature: float) -> EnergyHistogram:
    """Return the exact distribution of the total energy E at ``temperature``, h = 0.

    >>> histogram = energy_histogram(lattice=4, temperature=2.0)
    >>> float(histogram.energies @ histogram.probabilities / 16).__round__(9)
    -1.755380289
    """
    check_temperature(temperature)
    counts = density_of_states(lattice)
    levels = -2 * lattice**2 + 4 * np.arange(len(counts), dtype=np.int64)
    logarithms = np.array([math.log(g) if g else -math.inf for g in counts])
    logarithms -= levels / temperature
    weights = np.exp(logarithms - logarithms.max())
    return EnergyHistogram(levels, weights / weights.sum())


def _polynomial(lattice: int, points: int, root: int, p: int) -> Residues:
    """Return Σ_k g_k x^(2k) mod p at x = w^j, j = 0..points-1, w of order 2 ``points``."""
    order = math.lcm(2 * lattice, 2 * points)
    step = pow(root, order // (2 * points), p)
    x = _powers(step, points, p)
    q = np.uint64(p)
    one = np.uint64(1)
    rise, fall = (one + x) % q, (one + q - x) % q  # 1 + x, 1 - x
    beta = np.uint64(2) * x % q * rise % q * fall % q
    square = (one + x * x % q) % q
    square = square * square % q
    fold = np.uint64(2) * _power(beta, lattice, p) % q
    angle = _powers(pow(root, order // (2 * lattice), p), 2 * lattice, p)
    halved = np.uint64((p + 1) // 2)
    products: dict[str, Residues] = {
        name: np.ones(points, dtype=np.uint64) for name in ("Co", "So", "Ce", "Se")
    }
    for mode in range(1, lattice):
        cosine = (angle[mode] + angle[-mode]) % q * halved % q
        alpha = (square + q - beta * cosine % q) % q
        t = _chebyshev(alpha, beta, lattice, p)
        parity = "o" if mode % 2 else "e"
        products["C" + parity] = _times(products["C" + parity], t + fold, p)
        products["S" + parity] = _times(products["S" + parity], t + q - fold, p)
    a, b = _power(fall, lattice, p), _power(x * rise % q, lattice, p)
    c, d = _power(rise, lattice, p), _power(x * fall % q, lattice, p)
    plus = ((a + b) % q) * ((c + d) % q) % q * products["Ce"] % q
    minus = ((a + q - b) % q) * ((c + q - d) % q) % q * products["Se"] % q
    even = (plus + minus) % q * np.uint64(pow(2, lattice, p)) % q
    odd = (products["Co"] + products["So"]) % q
    scale = np.uint64(pow(2, -(lattice**2 // 2) - 1, p))
    return (even + odd) % q * scale % q


def _chebyshev(alpha: Residues, beta: Residues, degree: int, p: int) -> Residues:
    """Return 2 β^n cosh(n γ), cosh γ = α/β, mod p: t_(2n) = t_n² - 2 β^(2n), by binary digits.

    ``low`` and ``high`` hold t_n and t_(n+1), ``power`` β^n.
    """
    two = np.uint64(2)
    low: Residues = np.full_like(alpha, 2)
    high: Residues = two * alpha
    power: Residues = np.ones_like(alpha)
    for digit in format(degree, "b"):
        squared = _times(power, power, p)
        middle = _times(two * alpha, squared, p)  # t_(2n+1) = t_n t_(n+1) - 2 α β^(2n)
        cross = _minus(_times(low, high, p), middle, p)
        if digit == "0":
            low = _minus(_times(low, low, p), two * squared, p)
            high, power = cross, squared
        else:
            power = _times(squared, beta, p)
            high = _minus(_times(high, high, p), two * _times(power, beta, p), p)
            low = cross
    return low


def _inverse_transform(values: Residues, root: int, p: int) -> Residues:
    """Return the coefficients of the polynomial with ``values`` at the powers of ``root``."""
    size = len(values)
    q = np.uint64(p)
    twiddle = _powers(pow(root, -1, p), size, p)
    # decimation in time: rows are the samples, columns the coefficients
    out: Residues = values[:, None]
    while out.shape[0] > 1:
        rows, columns = out.shape
        even, odd = out[: rows // 2], out[rows // 2 :]
        odd = odd * twiddle[:: rows // 2][:columns] % q
        out = np.concatenate([(even + odd) % q, (even + q - odd) % q], axis=1)
    scale = np.uint64(pow(size, -1, p))
    return np.asarray(out[0] * scale % q)


def _times(a: Residues, b: Residues, p: int) -> Residues:
    """Return a b mod p."""
    q = np.uint64(p)
    product = (a % q) * (b % q)
    return np.asarray(product % q)


def _minus(a: Residues, b: Residues, p: int) -> Residues:
    """Return a - b mod p."""
    q = np.uint64(p)
    difference = a % q + q - b % q
    return np.asarray(difference % q)


def _powers(base: int, count: int, p: int) -> Residues:
    out = np.empty(count, dtype=np.uint64)
    value = 1
    for k in range(count):
        out[k] = value
        value = value * base % p
    return out


def _power(base: Residues, exponent: int, p: int) -> Residues:
    q = np.uint64(p)
    out: Residues = np.ones_like(base)
    for digit in format(exponent, "b"):
        out = out * out % q
        if digit == "1":
            out = out * base % q
    return out


def _is_prime(n: int) -> bool:
    return all(n % d for d in range(2, math.isqrt(n) + 1))


def _root_of_unity(order: int, p: int) -> int:
    """Return an element of exact multiplicative ``order``, which divides p - 1, mod ``p``."""
    factors = [d for d in range(2, order + 1) if order % d == 0 and _is_prime(d)]
    for base in range(2, p):
        root = pow(base, (p - 1) // order, p)
        if all(pow(root, order // d, p) != 1 for d in factors):
            return root
    raise ArithmeticError(f"{p} is not a prime that is 1 modulo {order}")
