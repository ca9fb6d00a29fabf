#!/bin/sh
# Make sample.h5 anew: sixteen boxes, about two minutes of one core.
set -e
cd "$(dirname "$0")"
rm -f sample.h5 whole.h5
emulant lensing simulate --cosmologies 16 --boxes 1 --maps 40 --size 128 --pairs --seed 0 --out whole.h5
python thin.py whole.h5 sample.h5
rm whole.h5
sha256sum sample.h5 > SHA256SUMS
