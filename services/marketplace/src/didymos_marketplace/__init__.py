"""The marketplace: offers inside grants, negotiations that both sides sign, a double-entry book, settlements."""
