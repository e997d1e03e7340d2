"""What a client is told while a part of the system is away: 503, and to try again."""

from fastapi import HTTPException


def log_away(error: Exception) -> HTTPException:
    return HTTPException(503, f"the log does not answer: {error}", {"retry-after": "2"})


def models_away(error: Exception) -> HTTPException:
    return HTTPException(503, f"the model server does not answer: {error}", {"retry-after": "2"})
