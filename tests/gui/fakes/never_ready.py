"""Never says Ready."""

from __future__ import annotations

import sys
import time

print("loading", file=sys.stderr, flush=True)
time.sleep(60)
