"""Objects by key: checkpoints, models, tiles. A folder as yet."""

from didymos_kit.files.folder import FolderFiles
from didymos_kit.files.port import Files

__all__ = ["Files", "FolderFiles"]
