#!/bin/sh
# Make sample.csv and its checksum anew.
set -eu
cd "$(dirname "$0")"
python -c "
from pathlib import Path
from emulant_apps.records.data import write_table
from emulant_apps.records.walk import example
write_table(Path('sample.csv'), example(0))
"
sha256sum sample.csv > SHA256SUMS
