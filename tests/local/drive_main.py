"""The local driver with the small state machine as a program of its own, to be killed by tests.

python -m local.drive_main FILE WORKDIR [control]        (from the folder tests)
"""

import sys
import types
from pathlib import Path

from rich.console import Console

if __name__ == "__main__":
    # Driving needs no statistics, and they take a second to import.
    sys.modules["scipy.stats"] = types.SimpleNamespace(t=None)
from dataefficient.local.command import command_of
from dataefficient.local.drive import Driver, Work
from dataefficient.local.errors import LocalError
from dataefficient.local.launcher import Launcher
from dataefficient.local.lock import locked
from dataefficient.local.progress import PlainWatcher
from dataefficient.local.store import Store, read_resource
from local import fake_machine


def drive(
    file,
    folder,
    *,
    control=False,
    cycles=None,
    watcher=None,
    begin=fake_machine.begin,
    advance=fake_machine.advance,
    grace=0.5,
):
    """Drive ``file`` in ``folder`` as ``detctl run`` does."""
    resource = read_resource(file)
    store = Store.create(folder)
    with locked(store.folder) as lock:
        memory = store.memory() if store.has_memory() else begin()
        store.adopt(resource, file.read_bytes())
        work = Work(resource.spec, file.parent, cycles, control, grace)
        watcher = watcher or PlainWatcher(Console(stderr=True, width=100))
        with Launcher(command_of(resource.spec, file.parent)) as launcher:
            return Driver(work, store, lock, watcher, advance=advance, launcher=launcher).drive(memory)


if __name__ == "__main__":
    try:
        drive(Path(sys.argv[1]), Path(sys.argv[2]), control="control" in sys.argv[3:])
    except LocalError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.code)
