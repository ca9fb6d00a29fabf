# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ising: spin states at a temperature that was never trained at
#
# The network draws every spin of a state and knows the probability that it gave to the state.
# So its states can be weighted to be exact, and the partition function follows from them.

# %%
import matplotlib.pyplot as plt
import numpy as np

from emulant_apps import ising
from emulant_apps.ising import exact
from emulant_apps.ising.weights import effective_sample_size, ln_mean_weight

emulator = ising.Emulator.pretrained()
states = emulator.sample(temperatures=[2.1, 2.35], count=2000, lattice=32, seed=0, sweeps=0)
states.spins.shape

# %% [markdown]
# A few of them, above the transition (T = 2.35) and below it (T = 2.1).

# %%
figure, axes = plt.subplots(2, 6, figsize=(9, 3.2))
for row, axis in zip(states.spins, axes, strict=True):
    for spins, panel in zip(row, axis, strict=False):
        panel.imshow(spins, cmap="gray", vmin=-1, vmax=1)
        panel.set_axis_off()

# %% [markdown]
# Energy per spin and partition function, beside Kaufman's exact solution of the finite lattice.

# %%
for k, t in enumerate(states.temperatures):
    spins = states.spins[k].astype(float)
    bonds = spins * np.roll(spins, 1, 1) + spins * np.roll(spins, 1, 2)
    energy = -bonds.sum((1, 2)) / 32**2
    known = exact.kaufman(32, t)
    ln_z = ln_mean_weight(states.log_weight[k])
    print(
        f"T = {t:g}: u = {energy.mean():.4f} ({energy.std() / 2000**0.5:.4f}), "
        f"exact {known.energy:.4f}"
    )
    print(f"         ln Z = {ln_z.value:.3f} ({ln_z.error:.3f}), exact {known.log_z:.3f}; "
          f"{effective_sample_size(states.log_weight[k]):.0%} effective")  # fmt: skip
