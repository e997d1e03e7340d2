"""Where the servers of a stack listen."""

import msgspec


class Addresses(msgspec.Struct, frozen=True):
    """An empty string: this server isn't part of the stack."""

    kafka_bootstrap: str = ""
    triton_grpc: str = ""
    triton_http: str = ""
    triton_metrics: str = ""
    redis_url: str = ""
    influx_url: str = ""
    rtsp_url: str = ""
    rtmp_url: str = ""
    prometheus_url: str = ""
