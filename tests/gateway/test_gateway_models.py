"""Asking Triton which models there are."""

import httpx
import pytest

from gateway.models import AnyModel, ModelRefused, Models, ModelsUnavailable, TritonModels


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
    assert await models.outputs("any") is None


async def test_triton_is_asked_what_a_model_answers_with() -> None:
    asked: list[str] = []
    loaded: set[str] = {"served"}

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        name = request.url.path.split("/")[-2 if request.url.path.endswith("load") else -1]
        if request.url.path.endswith("/load"):
            if name == "broken":
                return httpx.Response(400, json={"error": "failed to load 'broken'"})
            loaded.add(name)
            return httpx.Response(200)
        if name == "away":
            return httpx.Response(503)
        if name not in loaded:
            return httpx.Response(400, json={"error": f"Request for unknown model: '{name}' is not found"})
        return httpx.Response(200, json={"name": name, "outputs": [{"name": "detections", "shape": [1]}]})

    models = TritonModels("http://triton:8000", httpx.MockTransport(handle))
    assert await models.outputs("served") == {"detections"}
    assert asked == ["/v2/models/served"]
    assert await models.outputs("cold") == {"detections"}
    with pytest.raises(ModelRefused, match="failed to load"):
        await models.outputs("broken")
    with pytest.raises(ModelsUnavailable):
        await models.outputs("away")
    await models.close()
