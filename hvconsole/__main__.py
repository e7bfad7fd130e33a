"""``python -m hvconsole`` is ``hvconsole``."""

import sys

from hvconsole.cli import main

if __name__ == "__main__":
    sys.exit(main())
