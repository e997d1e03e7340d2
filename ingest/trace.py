"""W3C trace context for one group of pictures: the root of everything that is done with it."""

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_ids = RandomIdGenerator()
_propagator = TraceContextTextMapPropagator()


def new_traceparent() -> str:
    """Of a started span where the process exports spans, else with fresh identifiers that downstream can join."""
    with trace.get_tracer("rewatch.ingest").start_as_current_span("ingest.gop") as span:
        context = span.get_span_context()
        if not context.is_valid:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            context = trace.SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), False, flags)
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(trace.NonRecordingSpan(context)))
        return carrier["traceparent"]
