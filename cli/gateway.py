"""`rewatch gateway`: REST, WebSocket and the page."""

import typer

from gateway.app import build_app
from gateway.server import bind, serve
from runtime.config import Settings
from runtime.logging import configure, logger


def gateway() -> None:
    """Serves cameras, events, uploads and the page over HTTP. Listens on REWATCH_HTTP_HOST and REWATCH_HTTP_PORT."""
    settings = Settings()
    configure(settings.log_level, settings.log_json, role="gateway")
    log = logger("gateway")
    try:
        listening = bind(settings)
    except OSError as error:
        log.error("cannot listen", host=settings.http_host, port=settings.http_port, error=str(error))
        raise typer.Exit(1) from error
    host, port = listening.getsockname()[:2]
    log.info("listening", address=f"http://{f'[{host}]' if ':' in host else host}:{port}", kafka=settings.kafka)
    if host not in ("127.0.0.1", "::1") and not settings.api_token.get_secret_value():
        log.warning("anybody who reaches this address may see the cameras: set REWATCH_API_TOKEN")
    serve(build_app(settings), listening)
