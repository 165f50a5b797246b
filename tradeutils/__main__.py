"""``python -m tradeutils``: the ``tradeutils`` command."""

import sys

from tradeutils.cli import main

if __name__ == "__main__":
    sys.exit(main())
