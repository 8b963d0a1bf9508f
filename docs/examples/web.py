"""A web application on FastAPI that measures uploads, and has metrics for Prometheus."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

import trio_wsarecv

app = FastAPI()


@app.post("/upload")
async def upload(request: Request) -> dict[str, object]:
    digest = hashlib.sha256()
    nbytes = 0
    async for chunk in request.stream():
        digest.update(chunk)
        nbytes += len(chunk)
    return {"bytes": nbytes, "sha256": digest.hexdigest()}


class ReceiveCounts(Collector):
    """What trio_wsarecv has received in this process."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, count in asdict(trio_wsarecv.statistics()).items():
            yield CounterMetricFamily(f"trio_wsarecv_{name}", "see Statistics", value=count)


REGISTRY.register(ReceiveCounts())


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
