"""`GET /cameras`: what is watched, and how well."""

from fastapi import APIRouter, HTTPException

from gateway.api import CameraInfo, CameraList, Problem
from gateway.camera_view import listed, view
from gateway.services import Services


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["cameras"])

    @routes.get("/cameras", summary="All cameras with their state, latency and lag")
    async def cameras() -> CameraList:
        await services.probe.refresh()
        now = services.clock()
        known = [camera for camera in services.roster.all() if listed(camera, now)]
        return CameraList(cameras=[view(camera, services.roster, now) for camera in known])

    @routes.get("/cameras/{camera_id}", summary="One camera", responses={404: {"model": Problem}})
    async def camera(camera_id: str) -> CameraInfo:
        await services.probe.refresh()
        found = services.roster.get(camera_id)
        now = services.clock()
        if found is None or not listed(found, now):
            raise HTTPException(404, f"no camera has the id {camera_id!r}")
        return view(found, services.roster, now)

    return routes
