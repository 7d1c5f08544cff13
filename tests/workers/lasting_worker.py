"""A worker that says it answers calls until it is told to stop; a deaf one does not listen to that."""

import os
import sys

with os.fdopen(int(sys.argv[1]), "r+b", buffering=0) as link:
    link.write(b'["",null]\n')
    for line in link:
        if line == b"stop\n" and "DEAF" not in os.environ:
            break
