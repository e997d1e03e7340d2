"""`/livez`, `/readyz`, `/metrics`."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.log import LogUnavailable
from gateway.services import Services
from runtime.metrics import REGISTRY
from schemas.topics import EVENTS


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", response_class=PlainTextResponse, summary="The process answers")
    async def livez() -> str:
        return "ok\n"

    @routes.get("/readyz", response_class=PlainTextResponse, summary="The log answers too")
    async def readyz() -> PlainTextResponse:
        if not (services.events.ready.is_set() and services.detections.ready.is_set()):
            return PlainTextResponse("the log has not answered yet\n", 503)
        try:
            await services.log.ends(EVENTS.name)
        except LogUnavailable as error:
            return PlainTextResponse(f"the log does not answer: {error}\n", 503)
        return PlainTextResponse("ok\n")

    @routes.get("/metrics", summary="Prometheus' text format", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST})

    return routes
