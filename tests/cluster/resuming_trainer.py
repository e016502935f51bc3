"""A trainer that saves where it is beside its output and goes on from there; it learns nothing.

Its first launch of a run named in SLOW_RUN saves its state and then waits to be ended. The launch after that
finds the state, notes ``resumed RUN`` in FAKE_LAUNCHES, and ends as the fake trainer does.
"""

import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

request = json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text())
run, state = request["run"], Path(request["output"]) / "state"
if run == os.environ.get("SLOW_RUN"):
    if state.exists():
        with Path(os.environ["FAKE_LAUNCHES"]).open("a") as file:
            file.write(f"resumed {run}\n")
    else:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text("half of it")
        with Path(os.environ["FAKE_LAUNCHES"]).open("a") as file:
            file.write(f"waiting {run}\n")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        time.sleep(600)
runpy.run_path(os.environ["FAKE_TRAINER"], run_name="__main__")
