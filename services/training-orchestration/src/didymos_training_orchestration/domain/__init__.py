"""What a run, a round, a cohort and a model are, and how they may move. Pure."""
