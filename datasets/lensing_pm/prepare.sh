#!/bin/sh
# Make sample.h5 anew: sixteen boxes, about four minutes of one core.
set -e
cd "$(dirname "$0")"
rm -f sample.h5
emulant lensing simulate --cosmologies 16 --boxes 1 --maps 6 --seed 0 --out sample.h5
sha256sum sample.h5 > SHA256SUMS
