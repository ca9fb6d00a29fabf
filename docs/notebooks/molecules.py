# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Molecules: new ones around aspirin, and what speaks against each
#
# `diversity` is the knob: how far from the prototype's own code the latents are drawn.

# %%
from collections import Counter

from rdkit import Chem
from rdkit.Chem import Draw

from emulant_apps import molecules
from emulant_apps.molecules.assess import Chain, assess
from emulant_apps.molecules.sample import Mode

emulator = molecules.Emulator.pretrained()
aspirin = "CC(=O)Oc1ccccc1C(=O)O"
for diversity in (0.5, 2.0, 5.0):
    drawn = emulator.analogues([aspirin], 100, seed=0, diversity=diversity)
    print(f"D = {diversity}: {drawn.valid:.0%} molecules, {len(set(drawn.strings))} different")

# %% [markdown]
# Strings are judged by named checks; each says what it objects to.

# %%
drawn = emulator.analogues([aspirin], 100, seed=0, diversity=2.0, mode=Mode(masked=True))
judged = assess(drawn.strings, Chain(), workers=1)
Counter(name for item in judged for name in item.failed).most_common()

# %%
kept = [item for item in judged if item.kept][:8]
Draw.MolsToGridImage(
    [Chem.MolFromSmiles(item.smiles) for item in kept],
    molsPerRow=4,
    legends=[f"{item.nearest_drug} {item.drug_tanimoto:.2f}" for item in kept],
)
