"""``python -m tradeutils.cli``: the ``tradeutils`` command."""

import sys

from tradeutils.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
