"""MassiveSMS: an SMS platform with a REST API, a GraphQL API and RQ workers."""
