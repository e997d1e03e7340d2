"""What the caller shall do about an error. Decided once, in the adapter that first sees it."""


class RetryError(Exception):
    """A service does not answer. Wait, keep the order, lose nothing."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service}: {why}")
        self.service = service


class WindowFailedError(Exception):
    """The same bytes would fail again. Close the window, publish it as failed, go on at the next keyframe."""


class NotServedError(WindowFailedError):
    """The model, or this version of it, is not to be had."""


class FatalError(Exception):
    """A bug or a broken configuration. Exit non-zero before the checkpoint."""
