"""Where a front that matches paths by itself says which route it was."""

ROUTE_PATH = "msvs.route_path"
