import sys

from dataefficient_trainer.__main__ import main
from trainer.told_imports.preload import there

code = main()
sys.stdout.write(f"imported late: {' '.join(sorted(set(sys.modules) - there))}\n")
sys.exit(code)
