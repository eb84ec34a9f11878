"""`python -m rrdbg`."""

import sys

from rrdbg.cli.start import main

sys.exit(main())
