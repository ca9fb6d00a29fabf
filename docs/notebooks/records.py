# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Records: fill a table with holes, and know how sure to be
#
# Ten columns of the Wisconsin breast cancer table, of which a fifth of the cells is hidden.

# %%
import numpy as np
import pandas as pd

from emulant_apps.records import HybridImputer, pool, wisconsin

table = wisconsin()
frame = pd.DataFrame(table.values[:, :10], columns=table.names[:10])
hidden = np.random.default_rng(0).random(frame.shape) < 0.2
holes = frame.mask(hidden)
holes.isna().mean().round(2)

# %% [markdown]
# The imputer is scikit-learn's in form: `fit` on some patients, `transform` others.

# %%
train, test = np.arange(569) % 3 > 0, np.arange(569) % 3 == 0
imputer = HybridImputer(random_state=0).set_output(transform="pandas").fit(holes[train])
filled = imputer.transform(holes[test])
error = ((filled - frame[test]) / frame[train].std()).to_numpy()[hidden[test]]
print(f"error of hidden cells: {np.sqrt(np.mean(error**2)):.3f} standard deviations")

# %%
low, high = imputer.intervals(holes[test])
truth = frame[test].to_numpy()
inside = ((low <= truth) & (truth <= high))[hidden[test]]
print(f"{inside.mean():.1%} of {inside.size} hidden cells lie in their 95 % intervals")

# %% [markdown]
# Several drawn tables, one analysis each, pooled by Rubin's rules: here the mean radius.

# %%
draws = imputer.draw(holes[test], 10, 1)
means = np.array([np.asarray(d)[:, :1].mean(0) for d in draws])
variances = np.array([np.asarray(d)[:, :1].var(0, ddof=1) / len(d) for d in draws])
pool(means, variances)
