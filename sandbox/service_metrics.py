"""Prometheus metrics of the service."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from sandbox.job import Job, Result
from sandbox.service_gate import Gate

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one service, on a registry of its own."""

    def __init__(self, gate: Gate) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        prefix = "ringlite_sandbox_"
        self.requests = Counter(f"{prefix}requests", "HTTP requests answered.", ["path", "status"], registry=registry)
        self._verdicts = Counter(f"{prefix}jobs", "Jobs judged.", ["language", "mode", "verdict"], registry=registry)
        self._retries = Counter(f"{prefix}retries", "Infrastructure faults that were retried.", registry=registry)
        self._cpu = Counter(f"{prefix}job_cpu_seconds", "CPU time of the judged programs.", registry=registry)
        self.latency = Histogram(
            f"{prefix}job_seconds", "From acceptance to the verdict.", buckets=_SECONDS, registry=registry
        )
        self.abandoned = Counter(
            f"{prefix}abandoned", "Requests whose client left before the answer.", registry=registry
        )
        for name, text, read in (
            ("accepted", "Requests accepted and not answered yet.", lambda: gate.accepted),
            ("running", "Jobs that run now.", lambda: gate.running),
            ("waiting", "Accepted requests that wait for a worker.", lambda: gate.waiting),
            ("workers", "Jobs that may run at once.", lambda: gate.workers),
            ("capacity", "Requests that may be accepted at once.", lambda: gate.capacity),
        ):
            Gauge(f"{prefix}{name}", text, registry=registry).set_function(read)

    def count(self, job: Job, result: Result) -> None:
        """Counts one judged job; called from worker threads."""
        self._verdicts.labels(job.language, job.mode, result.verdict).inc()
        self._retries.inc(result.retries)
        self._cpu.inc(result.cpu_s)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)
