"""Fills a study in the folder that is given, killed by its own trainer at the launch of the number given."""

import os
import sys
from pathlib import Path

from benchmark.fake_study import study
from streambench.execute import Runner

folder, count = Path(sys.argv[1]), sys.argv[2]
study(folder, runner=Runner, FAKE_KILL=f"{os.getpid()} {count}").fill(oracle=False)
