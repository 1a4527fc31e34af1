"""Credits: the balance, its ledger and its caps."""
