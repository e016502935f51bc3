"""Fills a study in the folder that is given, killed by its own trainer at the launch of the number given."""

import os
import sys
from pathlib import Path

from fake_study import study

folder, count = Path(sys.argv[1]), sys.argv[2]
study(folder, FAKE_KILL=f"{os.getpid()} {count}").fill(oracle=False)
