"""What the service tells Prometheus: studies, queue, time and memory; numbers alone."""

from collections.abc import Callable
from typing import Any

from anomae.extras import require

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self, counts: Callable[[], dict[str, int]], free: Callable[[], int]) -> None:
        """counts: jobs by state.  free: of the disk, bytes."""
        prometheus = require("prometheus_client", "serve")
        self._prometheus, self._registry = prometheus, prometheus.CollectorRegistry()
        kept: dict[str, Any] = {"registry": self._registry}
        self.requests = prometheus.Counter("anomae_requests_total", "Requests by status", ["method", "status"], **kept)
        self.received = prometheus.Counter("anomae_received_bytes_total", "Bytes of studies that were taken", **kept)
        self.finished = prometheus.Counter("anomae_jobs_finished_total", "Jobs by their end", ["state"], **kept)
        self.flagged = prometheus.Counter("anomae_studies_flagged_total", "Studies that were flagged", **kept)
        self.died = prometheus.Counter("anomae_worker_deaths_total", "Processes that died while they scored", **kept)
        buckets = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800)
        self.seconds = prometheus.Histogram("anomae_job_seconds", "Time to score a study", buckets=buckets, **kept)
        jobs = prometheus.Gauge("anomae_jobs", "Jobs by state", ["state"], **kept)
        for state in ("queued", "running", "done", "failed"):
            jobs.labels(state).set_function(lambda state=state: counts()[state])
        self.memory = prometheus.Gauge("anomae_worker_memory_bytes", "Resident memory of scoring", **kept)
        prometheus.Gauge("anomae_disk_free_bytes", "Free on the disk of the service", **kept).set_function(free)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        found: bytes = self._prometheus.generate_latest(self._registry)
        return found
