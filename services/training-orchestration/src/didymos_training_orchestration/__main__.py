"""`python -m didymos_training_orchestration`: the coordinator as a process of its own."""

from didymos_kit import process

from didymos_training_orchestration.bootstrap import bootstrap
from didymos_training_orchestration.settings import TrainingSettings

if __name__ == "__main__":
    raise SystemExit(process.main("training-orchestration", TrainingSettings, bootstrap))
