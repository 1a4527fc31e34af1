"""Makes five SDKs from openapi.yaml: a model of it, and templates for each language."""
