"""The ledger service: a tile log per organisation, and a witness for the logs of the others."""
