"""What a request's JSON asks for: read within bounds, and refused with words."""

from typing import Any, Final, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ValidationError

from gateway.away import models_away
from gateway.models import Models, ModelsUnavailable

_MAX_BYTES: Final = 64 * 1024

Wanted = TypeVar("Wanted", bound=BaseModel)


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """For a route's `openapi_extra`: FastAPI itself doesn't see a body that `asked` reads."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def asked(request: Request, kind: type[Wanted]) -> Wanted:
    """Not more than is allowed is ever held. Raises HTTPException, 413 or 422."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise HTTPException(413, f"a request has at most {_MAX_BYTES} bytes", {"connection": "close"})
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise HTTPException(422, f"{where}: {first['msg']}") from error


async def check_model(models: Models, name: str, field: str) -> None:
    """Raises HTTPException, 404 or 503."""
    try:
        known = await models.names()
    except ModelsUnavailable as error:
        raise models_away(error) from error
    if known is not None and name not in known:
        raise HTTPException(404, f"{field}: there is no {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
