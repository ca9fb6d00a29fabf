# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Weak lensing: maps at two cosmologies, and a large one without seams

# %%
import matplotlib.pyplot as plt

from emulant_apps import lensing
from emulant_apps.lensing.criteria import Layout, PixelUnits
from emulant_apps.lensing.theory.cosmology import Cosmology

emulator = lensing.Emulator.pretrained()
low = emulator.sample(omega_m=0.25, sigma8=0.75, count=60, seed=0)
high = emulator.sample(omega_m=0.35, sigma8=0.85, count=60, seed=0)

# %% [markdown]
# The same seed at both cosmologies: the same sky, with more structure at the second.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6))
for maps, axis in zip((low, high), axes, strict=True):
    axis.imshow(maps.kappa[0], cmap="magma", vmin=-0.03, vmax=0.06)
    axis.set_axis_off()

# %% [markdown]
# The mean band powers over those of theory, at scales below the pixel's.

# %%
for maps, cosmology in ((low, Cosmology(0.25, 0.75)), (high, Cosmology(0.35, 0.85))):
    layout = Layout(maps.patch)
    rows = layout.rows(maps.kappa, PixelUnits.of(maps.patch, cosmology, 1.0))
    ratio = rows[:, layout.slices["power"]].mean(0)
    pairs = zip(layout.bands.centres, ratio, strict=True)
    print(cosmology.omega_m, " ".join(f"{ell:.0f}: {r:.2f}" for ell, r in pairs))

# %% [markdown]
# Twenty degrees in one piece. Nothing is tiled: the network is convolutional, and the largest
# scales are those of theory.

# %%
wide = emulator.sample(omega_m=0.3, sigma8=0.8, count=1, size=256, seed=1)
plt.figure(figsize=(6, 6))
plt.imshow(wide.kappa[0], cmap="magma", vmin=-0.03, vmax=0.06)
_ = plt.axis("off")
