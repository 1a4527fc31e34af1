"""How imports and syncs change existing contacts."""

OVERWRITE, FILL, SKIP = "overwrite", "fill", "skip"
RULES = (OVERWRITE, FILL, SKIP)
