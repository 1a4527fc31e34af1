"""The scope key under which a front stores the path of its route."""

ROUTE_PATH = "msvs.route_path"
