"""The dashboard: the web application at /dashboard, and the GraphQL documents that it sends."""
