"""Lets the tests import the package as it stands here, and the vectors."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "src", HERE.parents[2]):
    sys.path.insert(0, str(folder))
