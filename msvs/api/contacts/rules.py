"""What happens to contacts that exist when an import or a sync names them."""

OVERWRITE, FILL, SKIP = "overwrite", "fill", "skip"
RULES = (OVERWRITE, FILL, SKIP)
