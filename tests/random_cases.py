"""How many random cases `make test-slow` draws: RANDOM_CASES=2000 make test-slow takes its time.

So many folders and so many tables, a tenth as many networks, a fiftieth as many killed runs.
"""

import os

MANY = int(os.environ.get("RANDOM_CASES", 200))
