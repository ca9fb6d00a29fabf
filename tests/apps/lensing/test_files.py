"""Files in and out, ours and other people's, whole and damaged."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from emulant.errors import InputError
from emulant.store import current
from emulant_apps.lensing.files import read_maps, write_maps
from emulant_apps.lensing.maps import Maps, cut, degraded


def some(count=3, n=32, degrees=5.0):
    rng = np.random.default_rng(0)
    kappa = rng.normal(0, 0.01, (count, n, n)).astype(np.float32)
    return Maps(
        kappa,
        degrees,
        np.full(count, 0.3),
        np.full(count, 0.8),
        np.arange(count),
        None,
        current("lensing sample", {"size": n}, 7),
        {"source": "emulator", "z_source": 1.0, "born": True, "model": "sha256:" + "a" * 64},
    )


@pytest.mark.parametrize("name", ["maps.h5", "maps.npz", "maps.fits"])
def test_maps_survive_the_file(tmp_path, name):
    maps = some()
    write_maps(tmp_path / name, maps)
    found = read_maps(tmp_path / name)
    assert np.array_equal(found.kappa, maps.kappa)
    assert found.degrees == pytest.approx(5.0, rel=1e-12)
    assert np.array_equal(found.omega_m, maps.omega_m)
    assert found.notes["model"] == maps.notes["model"]
    assert found.notes["born"] is True
    assert found.provenance.seed == 7
    write_maps(tmp_path / ("again" + name), maps)
    assert (tmp_path / ("again" + name)).read_bytes() == (tmp_path / name).read_bytes()


def test_the_header_says_where_what_and_whose(tmp_path):
    write_maps(tmp_path / "one.fits", some(1))
    with fits.open(tmp_path / "one.fits") as opened:
        header = opened[0].header
        sky = WCS(header)
    for key, value in (("ZSOURCE", 1.0), ("OMEGAM", 0.3), ("SIGMA8", 0.8), ("SEED", 7),
                       ("BORN", True), ("QUANTITY", "kappa")):  # fmt: skip
        assert header[key] == value
    assert header["MODEL"].startswith("sha256:")
    centre = sky.pixel_to_world_values(15.5, 15.5)
    assert np.allclose(np.remainder(centre, 360), 0, atol=1e-9)
    edge = sky.pixel_to_world_values(15.5, 31.5)[1]
    assert edge == pytest.approx(2.5, rel=1e-3)  # 16 pixels of 5/32 degrees, on the tangent


def test_the_side_is_read_from_any_keyword(tmp_path):
    image = some(1).kappa[0]
    for key, value in (("ANGLE", 1.74), ("SIDE", 3.0)):
        header = fits.Header()
        header[key] = value
        file = tmp_path / f"{key}.fits"
        fits.PrimaryHDU(image, header).writeto(file)
        assert read_maps(file).degrees == value
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -0.01,
                          "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.01})  # fmt: skip
    fits.PrimaryHDU(image, header).writeto(tmp_path / "cd.fits")
    assert read_maps(tmp_path / "cd.fits").degrees == pytest.approx(0.32)


@pytest.mark.parametrize("card", ["BITPIX", "NAXIS1", "SIMPLE", "NAXIS "])
def test_a_header_without_one_of_its_cards_is_damaged(tmp_path, card):
    file = tmp_path / "map.fits"
    fits.PrimaryHDU(some(1).kappa[0], fits.Header({"ANGLE": 1.74})).writeto(file)
    file.write_bytes(file.read_bytes().replace(card.encode(), b"X" * len(card), 1))
    with pytest.raises(InputError, match=r"map\.fits: (is truncated|holds no image)"):
        read_maps(file)


def test_no_angular_size_anywhere_is_said(tmp_path):
    maps = some()
    fits.PrimaryHDU(maps.kappa[0]).writeto(tmp_path / "bare.fits")
    np.save(tmp_path / "bare.npy", maps.kappa)
    np.savez(tmp_path / "bare.npz", kappa=maps.kappa)
    for name in ("bare.fits", "bare.npy", "bare.npz"):
        with pytest.raises(InputError, match="--fov-deg"):
            read_maps(tmp_path / name)
        assert read_maps(tmp_path / name, 5.0).degrees == 5.0
    write_maps(tmp_path / "said.h5", maps)
    with pytest.raises(InputError, match="leave out --fov-deg"):
        read_maps(tmp_path / "said.h5", 4.0)


def test_nested_files_of_other_programs(tmp_path):
    """As kappaTNG: groups of source planes; as CAMELS: one array and an attribute."""
    maps = some()
    with h5py.File(tmp_path / "tng.h5", "w") as file:
        file["zs1/kappa"] = maps.kappa[0]
        file["zs2/kappa"] = maps.kappa[1]
        file.attrs["angle"] = 5.0
    with pytest.raises(InputError, match="--field: zs1/kappa, zs2/kappa"):
        read_maps(tmp_path / "tng.h5")
    found = read_maps(tmp_path / "tng.h5", field="zs2/kappa")
    assert np.array_equal(found.kappa[0], maps.kappa[1])
    assert found.degrees == 5.0
    with h5py.File(tmp_path / "camels.h5", "w") as file:
        file["maps"] = maps.kappa.astype(np.float64)
    assert len(read_maps(tmp_path / "camels.h5", 1.0)) == 3
    with pytest.raises(InputError, match="'nothing' is missing"):
        read_maps(tmp_path / "camels.h5", 1.0, "nothing")


@pytest.mark.parametrize("name", ["maps.h5", "maps.npz", "maps.fits"])
def test_truncated_files_are_named(tmp_path, name):
    write_maps(tmp_path / name, some())
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=name) as caught:
        read_maps(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda k: k[:, :, :-3], "square"),
        (lambda k: k * 1e5, "critical surface density"),
        (lambda k: k * 0, "every pixel is zero"),
        (lambda k: np.full_like(k, np.nan), "missing"),
        (lambda k: k[:, :8, :8], "at least 16"),
        (lambda k: k > 0, "numbers"),
        (lambda k: k.astype(complex), "numbers"),
        (lambda k: k.ravel(), "shape"),
    ],
)
def test_arrays_that_are_no_convergence_are_refused(tmp_path, spoil, word):
    np.save(tmp_path / "bad.npy", spoil(some().kappa))
    with pytest.raises(InputError, match=word):
        read_maps(tmp_path / "bad.npy", 5.0)


def test_missing_pixels_are_kept_as_missing(tmp_path):
    kappa = some().kappa
    kappa[:, 3:6, 4:9] = np.inf
    np.save(tmp_path / "holes.npy", kappa)
    found = read_maps(tmp_path / "holes.npy", 5.0)
    assert found.masked
    assert np.isnan(found.kappa[:, 3:6, 4:9]).all()


def test_cut_and_degraded_maps_keep_their_scale():
    maps = some(2, 64)
    parts = cut(maps, 24)
    assert (len(parts), parts.patch.n) == (8, 24)
    assert parts.patch.arcmin == pytest.approx(maps.patch.arcmin)
    assert np.array_equal(parts.kappa[1], maps.kappa[0, :24, 24:48])
    assert parts.box.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    coarse = degraded(maps, 3)
    assert coarse.patch.n == 21
    assert coarse.kappa[0, 0, 0] == pytest.approx(maps.kappa[0, :3, :3].mean(), rel=1e-5)
    with pytest.raises(InputError, match="--cut"):
        cut(maps, 65)
    with pytest.raises(InputError, match="--degrade"):
        degraded(maps, 5)
