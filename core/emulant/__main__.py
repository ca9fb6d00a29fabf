"""``python -m emulant`` is ``emulant``."""

import sys

from emulant.cli import main

if __name__ == "__main__":
    sys.exit(main())
