"""What is measured on maps, against closed forms: white noise, Gaussian and lognormal fields."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant_apps.lensing.field import masks, onepoint
from emulant_apps.lensing.field.bispectrum import Triangles, default_triangles
from emulant_apps.lensing.field.covariance import hartlap, precision
from emulant_apps.lensing.field.extrema import counts, is_peak
from emulant_apps.lensing.field.grid import Bands, Patch, default_bands
from emulant_apps.lensing.field.minkowski import gaussian_functionals, minkowski
from emulant_apps.lensing.field.pixels import patch_power, pixel_variance, torus_power
from emulant_apps.lensing.field.random import RandomSky, shift_of_skewness
from emulant_apps.lensing.field.shear import (
    add_shape_noise,
    convergence_of_shear,
    shear_of_convergence,
    smoothed,
)
from emulant_apps.lensing.field.wavelets import Scattering, starlet, starlet_l1

PATCH = Patch(32, 5.0)


def steep(ell):
    """A spectrum like that of convergence."""
    return 1e-9 / (1 + (np.asarray(ell) / 300.0) ** 2)


def normal(count, seed=0, n=32):
    return np.random.default_rng(seed).normal(size=(count, n, n))


def test_parseval():
    maps = normal(3)
    total = PATCH.power(maps).sum((-2, -1)) / PATCH.side**2
    assert np.allclose(total, (maps**2).mean((-2, -1)), rtol=1e-12)


def test_one_wave_has_power_in_its_mode_alone():
    x = np.arange(32)
    wave = np.cos(2 * np.pi * 3 * x / 32)[:, None] * np.ones(32)
    power = PATCH.power(wave)
    assert power[3, 0] == pytest.approx(PATCH.side**2 / 4)
    power[3, 0] = power[-3, 0] = 0
    assert power.max() < 1e-20


def test_white_noise_is_flat():
    bands = default_bands(PATCH)
    power = bands.mean(PATCH.power(normal(400)))
    expected = PATCH.pixel**2
    error = power.std(0) / 20
    assert np.all(np.abs(power.mean(0) - expected) < 5 * error)
    # the scatter of a band of Gaussian modes: each of counts / 2 independent ones has variance C²
    assert np.allclose(power.std(0) / expected, np.sqrt(2 / bands.counts), rtol=0.2)


def test_bands_count_each_mode_once_and_refuse_empty_ones():
    bands = Bands(PATCH, (1.0, 1e6))
    assert bands.counts.tolist() == [32 * 32 - 1]
    with pytest.raises(ValueError, match="no mode"):
        Bands(PATCH, (1.0, 2.0, 100.0))


@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("shift", [None, 0.03])
def test_random_maps_have_the_effective_power(samples, shift):
    """Window, aliasing and leakage, predicted; a naive comparison fails."""
    bands = default_bands(PATCH)
    sky = RandomSky(PATCH, steep, shift, samples)
    maps = sky.draw(1500, np.random.default_rng(1))
    power = bands.mean(PATCH.power(maps))
    expected = bands.mean(patch_power(PATCH, steep, samples))
    error = power.std(0) / np.sqrt(len(maps))
    assert np.all(np.abs(power.mean(0) - expected) < 4.5 * error)
    assert np.all(error < 0.03 * expected)
    naive = bands.mean(steep(np.maximum(PATCH.ell, 1)))
    assert np.abs(naive / expected - 1).max() > 0.05
    assert sky.clipped < 1e-6


def test_periodic_maps_have_their_own_power():
    bands = default_bands(PATCH)
    power = bands.mean(PATCH.power(RandomSky(PATCH, steep, torus=True).draw(
        600, np.random.default_rng(2))))  # fmt: skip
    expected = bands.mean(torus_power(PATCH, steep))
    assert np.all(np.abs(power.mean(0) - expected) < 4.5 * power.std(0) / np.sqrt(600))


def test_lognormal_variance_and_skewness():
    sigma = np.sqrt(pixel_variance(PATCH, steep))
    sky = RandomSky(PATCH, steep, sigma / shift_of_skewness(1.2))
    maps = sky.draw(3000, np.random.default_rng(3)).astype(float)
    m = onepoint.moments(maps)
    by_map = m[:, 1], m[:, 2]
    variance, third = (values.mean() for values in by_map)
    error = by_map[1].std() / np.sqrt(3000)
    assert variance == pytest.approx(sigma**2, rel=0.02)
    assert abs(third - 1.2 * sigma**3) < 4 * error
    assert maps.min() > -sky.shift


def test_masked_power_is_unbiased():
    known = np.ones((32, 32), bool)
    known[10:14, 5:11] = False
    weight = masks.taper(known, 3.0)
    maps = RandomSky(PATCH, lambda ell: 1e-9 + 0 * ell).draw(500, np.random.default_rng(4))
    maps[:, ~known] = np.nan
    bands = Bands(PATCH, tuple(PATCH.fundamental * np.array([3.0, 6.0, 9.0])))
    power = bands.mean(masks.masked_power(PATCH, maps, weight))
    expected = bands.mean(patch_power(PATCH, lambda ell: 1e-9 + 0 * ell))
    assert np.allclose(power.mean(0), expected, rtol=0.03)
    with pytest.raises(ValueError, match="NaN"):
        masks.masked_power(PATCH, maps, np.ones((32, 32)))


def test_opposed_maps_have_the_same_law_and_cancel_what_is_odd():
    sky, shifted = (RandomSky(PATCH, steep, shift) for shift in (None, 0.02))
    maps = sky.draw(6, np.random.default_rng(6), opposed=True)
    assert np.array_equal(maps[1::2], -maps[::2])
    alone = sky.draw(3, np.random.default_rng(6))
    assert np.array_equal(maps[::2], alone)
    pairs = shifted.draw(400, np.random.default_rng(7), opposed=True).astype(float)
    others = shifted.draw(400, np.random.default_rng(8)).astype(float)
    third, plain = (((x**3).mean((1, 2))).reshape(-1, 2).mean(1) for x in (pairs, others))
    assert third.mean() == pytest.approx(plain.mean(), abs=5 * plain.std() / np.sqrt(200))
    assert third.std() < 0.7 * plain.std()


def test_pdf_of_normal_pixels_and_wasserstein_of_a_shift():
    maps = normal(50)
    p = onepoint.fractions(maps, 1.0).mean(0)
    q = onepoint.fractions(maps + 0.1, 1.0).mean(0)
    assert p.sum() == pytest.approx(1)
    assert onepoint.wasserstein(p, q) == pytest.approx(0.1, abs=2e-3)
    maps[:, :5] = np.nan
    assert onepoint.fractions(maps, 1.0).sum(1) == pytest.approx(1)


def test_a_ninth_of_white_pixels_are_peaks():
    maps = normal(200)
    assert is_peak(maps).mean() == pytest.approx(1 / 9, rel=0.02)
    patch = Patch(32, 32.0)  # one square degree a pixel
    wide = (-9.0, 9.0)
    peaks, minima = counts(patch, maps, 1.0, wide), counts(patch, -maps, 1.0, wide, minima=True)
    assert np.array_equal(peaks, minima)
    assert peaks.mean() == pytest.approx(1 / 9, rel=0.02)


def test_minkowski_functionals_of_a_gaussian_field():
    patch = Patch(128, 5.0)

    def smooth(ell):
        return 1e-9 * np.exp(-0.5 * (np.asarray(ell) / 300.0) ** 2)

    sky = RandomSky(patch, smooth, torus=True)
    sigma = np.sqrt(sky.variance)
    maps = sky.draw(150, np.random.default_rng(5))
    ell2 = patch.ell**2
    power = torus_power(patch, smooth)
    slope = np.sqrt((power * ell2).sum() / power.sum()) * np.radians(1 / 60)
    found = minkowski(patch, maps, sigma).mean(0)
    exact = gaussian_functionals(slope)
    for order, (ours, theirs) in enumerate(zip(found, exact, strict=True)):
        assert np.abs(ours - theirs).max() < (0.006, 0.03, 0.05)[order] * np.abs(theirs).max()


def test_minkowski_of_a_disc():
    """One disc: area πr², boundary 2πr, one component."""
    patch = Patch(64, 64 / 60)  # one arcmin a pixel
    x = np.arange(64) - 31.5
    disc = (20.0 - np.hypot(x[:, None], x))[None] / 10
    v0, v1, v2 = minkowski(patch, disc, 1.0, np.array([1.0]), width=1.0)[0, :, 0]
    pixels = 62**2
    assert v0 * 64**2 == pytest.approx(np.pi * 100 * 64**2 / pixels, rel=0.02)
    assert 4 * v1 * pixels == pytest.approx(2 * np.pi * 10, rel=0.03)
    assert v2 * pixels == pytest.approx(1.0, rel=0.05)


def test_bispectrum_of_a_lognormal_field():
    patch = Patch(32, 5.0)
    sigma = np.sqrt(pixel_variance(patch, steep))
    shift = 6 * sigma
    sky = RandomSky(patch, steep, shift, torus=True)
    triangles = default_triangles(patch)
    maps = sky.draw(6000, np.random.default_rng(6))
    b = triangles.measure(maps)
    power = torus_power(patch, steep)
    c = np.array([[power[(patch.ell >= lo) & (patch.ell < hi)].mean() for lo, hi in rings]
                  for rings in triangles.rings])  # fmt: skip
    tree = (c[:, 0] * c[:, 1] + c[:, 1] * c[:, 2] + c[:, 2] * c[:, 0]) / shift
    error = b.std(0) / np.sqrt(len(maps))
    assert np.all(np.abs(b.mean(0) - tree) < 4 * error + 0.08 * tree)
    assert np.all(tree > 4 * error)


def test_bispectrum_changes_sign_with_the_map_and_counts_triangles():
    triangles = default_triangles(PATCH)
    maps = normal(4)
    assert np.allclose(triangles.measure(-maps), -triangles.measure(maps))
    f = PATCH.fundamental
    lowest = (0.9 * f, 1.1 * f)  # (±1, 0), (0, ±1); pairs at right angles close on (±1, ±1)
    right = Triangles(PATCH, ((lowest, lowest, (1.3 * f, 1.5 * f)),), ("right",))
    assert right.counts.tolist() == [8]


def test_starlet_reconstructs_and_its_l1_norm_is_homogeneous():
    maps = normal(3)
    planes = starlet(maps, 3)
    assert np.allclose(planes.sum(1), maps, atol=1e-12)
    sigmas = np.array([1.0, 0.5, 0.3])
    assert np.allclose(starlet_l1(2 * maps, 2 * sigmas), starlet_l1(maps, sigmas))
    total = starlet_l1(maps, sigmas).sum(2)
    assert np.allclose(total, np.abs(planes[:, :-1]).mean((2, 3)) / sigmas)


def test_scattering_is_homogeneous_even_and_blind_to_shifts():
    scattering = Scattering(32, 3)
    maps = normal(2)
    s = scattering.measure(maps)
    assert np.allclose(scattering.measure(-3 * maps + 7), 3 * s)
    assert np.allclose(scattering.measure(np.roll(maps, (5, 9), (1, 2))), s)
    assert np.all(s > 0)


def test_shear_has_no_b_mode_and_gives_the_convergence_back():
    patch = Patch(65, 5.0)
    kappa = normal(2, n=65)
    kappa -= kappa.mean((1, 2), keepdims=True)
    back = convergence_of_shear(patch, shear_of_convergence(patch, kappa))
    assert np.abs(back.imag).max() < 1e-6
    assert np.allclose(back.real, kappa, atol=1e-10)
    even = convergence_of_shear(PATCH, shear_of_convergence(PATCH, normal(2)))
    assert np.abs(even.imag).max() < 1e-6


def test_parity_turns_e_into_b():
    """Turning every ellipse by 45 degrees, γ -> iγ, turns E into B."""
    kappa = normal(1)
    shear = shear_of_convergence(PATCH, kappa)
    e = convergence_of_shear(PATCH, shear).real
    assert np.allclose(convergence_of_shear(PATCH, 1j * shear).imag, e)


def test_smoothing_and_noise_have_their_variance():
    patch, rng = Patch(64, 4.0), np.random.default_rng(7)
    quiet = np.zeros((200, 64, 64), np.float32)
    noisy = add_shape_noise(patch, quiet, 0.3, rng)
    assert noisy.std() == pytest.approx(0.3 / patch.arcmin, rel=0.01)
    smooth = smoothed(patch, noisy, 10.0)
    # variance of white noise under a Gaussian: σ² A / (4π θ²)
    expected = 0.3 / np.sqrt(4 * np.pi * 100.0)
    assert smooth.std() == pytest.approx(expected, rel=0.03)
    assert np.array_equal(smoothed(patch, noisy, 0.0), noisy)


def test_hartlap_makes_the_inverse_unbiased():
    rng = np.random.default_rng(8)
    found = np.mean([precision(rng.normal(size=(20, 5))) for _ in range(3000)], axis=0)
    assert np.allclose(found, np.eye(5), atol=0.05)
    with pytest.raises(ValueError, match="maps"):
        hartlap(7, 5)


@given(st.floats(0.01, 20.0))
@settings(max_examples=30, deadline=None)
def test_shift_and_skewness_are_inverse(skewness):
    ratio = shift_of_skewness(skewness)
    assert ratio * (3 + ratio**2) == pytest.approx(skewness)
