"""A running Triton, told that a model's configuration has changed."""

from typing import Final

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from training.contract import ModelError
from training.triton_config import LIVE

_SHORT_SECONDS: Final = 5.0
_LOAD_SECONDS: Final = 300.0


class TritonServer:
    """By explicit model control: Triton loads the new beside the old, turns requests over, then lets the old one end
    what it has begun."""

    def __init__(self, address: str) -> None:
        self._address = address

    def swap(self, model: str, live: int) -> str:
        """Loads a model as its configuration has it now, and says what came of it. Raises ModelError when it is
        refused: then Triton goes on as before."""
        with triton.InferenceServerClient(self._address) as client:
            if not _answers(client):
                return f"no Triton answers at {self._address}: the next one to start serves version {live}"
            try:
                known = client.get_model_repository_index(client_timeout=_SHORT_SECONDS).models
                if model not in {each.name for each in known}:
                    return f"Triton at {self._address} does not serve this folder: nothing was swapped there"
                client.load_model(model, client_timeout=_LOAD_SECONDS)
            except InferenceServerException as error:
                raise ModelError(f"Triton at {self._address} goes on as before: {error.message()}") from None
            if _told(client, model, live) != str(live):
                raise ModelError(f"Triton at {self._address} serves {model} from another folder")
        return f"live in Triton at {self._address}"


def _told(client: triton.InferenceServerClient, model: str, live: int) -> str:
    """The live version by that version's own configuration; empty where it is not served."""
    try:
        config = client.get_model_config(model, str(live), client_timeout=_SHORT_SECONDS).config
    except InferenceServerException:
        return ""
    return str(config.parameters[LIVE].string_value)


def _answers(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_live(client_timeout=_SHORT_SECONDS))
    except InferenceServerException:
        return False
