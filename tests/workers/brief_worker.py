"""A worker that says it answers calls, and ends."""

import os
import sys

os.write(int(sys.argv[1]), b'["",null]\n')
sys.exit(3)
