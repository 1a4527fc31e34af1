"""The routes of GraphQL: operations, subscriptions and, in development, GraphiQL."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.routing import BaseRoute, Route, WebSocketRoute

from msvs.api.context import Services
from msvs.api.limits import Limiter
from msvs.graphql.endpoint import PATH, STATIC, STREAM, GraphQLEndpoint, send_static
from msvs.graphql.guard import Guard
from msvs.graphql.live import Feed
from msvs.graphql.operations import Operations
from msvs.graphql.streams import SocketEndpoint, StreamEndpoint
from msvs.http.callers import Callers
from msvs.settings import Settings


def graphql_routes(
    services: Services, settings: Settings, limiter: Limiter, own: Mapping[str, str] | None = None
) -> list[BaseRoute]:
    """Return the routes of GraphQL, with their full paths; in development, GraphiQL and introspection with them.

    `own` are documents of the service's own pages by id, which are run in production too.
    """
    development = not settings.is_production
    callers, operations = Callers(settings, services), Operations(settings, own)
    feed, guard = Feed(), Guard()
    streams = StreamEndpoint(callers, limiter, operations, feed, guard)
    routes: list[BaseRoute] = [
        Route(PATH, GraphQLEndpoint(callers, limiter, operations, pages=development, streams=streams), name="graphql"),
        Route(
            STREAM,
            StreamEndpoint(callers, limiter, operations, feed, guard, subscriptions_only=True),
            name="graphql-stream",
        ),
        WebSocketRoute(PATH, SocketEndpoint(callers, limiter, operations, feed, guard), name="graphql-socket"),
    ]
    if development:
        routes.append(Route(STATIC + "/{name}", send_static, name="graphiql"))
    return routes
