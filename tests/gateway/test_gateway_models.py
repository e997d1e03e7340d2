"""Asking Triton which models there are."""

import httpx
import pytest

from gateway.models import AnyModel, Models, ModelsUnavailable, TritonModels


def triton(answer: httpx.Response | Exception) -> TritonModels:
    def handle(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/v2/repository/index")
        if isinstance(answer, Exception):
            raise answer
        return answer

    return TritonModels("http://triton:8000", httpx.MockTransport(handle))


async def test_loaded_or_not_a_model_in_the_repository_is_known() -> None:
    index = [{"name": "a", "version": "1", "state": "READY"}, {"name": "b"}, {"name": "a", "version": "2"}]
    models = triton(httpx.Response(200, json=index))
    assert await models.names() == {"a", "b"}
    await models.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"models": []}),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
)
async def test_no_answer_is_not_an_unknown_model(answer: httpx.Response | Exception) -> None:
    models = triton(answer)
    with pytest.raises(ModelsUnavailable):
        await models.names()
    await models.close()


async def test_without_an_address_every_name_is_let_through() -> None:
    models: Models = AnyModel()
    assert await models.names() is None
