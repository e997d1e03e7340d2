"""Which decoded frames are inferred. Decided by capture time alone, so that every run picks the same."""


def bucket(captured_ns: int, sample_fps: float | None) -> int:
    """Frames in one bucket are one sample; with no limit every frame is a bucket of its own."""
    if sample_fps is None:
        return captured_ns
    return int(captured_ns * sample_fps // 1_000_000_000)
