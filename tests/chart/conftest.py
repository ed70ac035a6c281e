"""The root of the tree is no installed package: tools and tests are imported from it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
