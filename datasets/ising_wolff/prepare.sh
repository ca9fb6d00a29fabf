#!/usr/bin/env bash
# Make sample.npz again; the bytes depend on the seed and on the code, which its provenance names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -f sample.npz
emulant ising simulate --lattice 16 --count 200 --seed 20261122 --algorithm wolff \
    --temperatures 1.8 2.0 2.2 2.269185314213022 2.4 2.6 3.0 --out sample.npz
sha256sum sample.npz > SHA256SUMS
