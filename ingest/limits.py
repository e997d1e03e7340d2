"""How much the edge holds, and for how long it waits."""

from msgspec import Struct

from schemas.topics import MAX_FRAME_BYTES


class Limits(Struct, frozen=True):
    queue_bytes: int = 48 * 1024 * 1024
    """per camera, waiting for Kafka: about a minute of a 6 Mbit/s stream"""
    queue_gops: int = 128
    in_flight_bytes: int = 4 * 1024 * 1024
    """per camera, handed to the producer and not acknowledged"""
    access_unit_bytes: int = MAX_FRAME_BYTES - 64 * 1024
    """the rest of a record is its key and headers"""
    open_gop_seconds: float = 10.0
    """a live GOP older than this ends at the next open entry point, at the price of its leading pictures"""
    backoff_seconds: tuple[float, float] = (0.25, 30.0)
    flush_seconds: float = 10.0
    """how long a stopping process waits for Kafka"""
