"""`python -m rrdbg`."""

import sys

from rrdbg.cli.main import main

sys.exit(main())
