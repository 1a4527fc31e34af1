"""Routes as metrics, logs and traces name them."""

# The scope key under which a front stores the path of its route.
ROUTE_PATH = "msvs.route_path"
# Asked every few seconds by machines: worth no trace, and a line only when refused.
PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
