"""How true an injected latency is: 64 connections ask a service with `latency: 50ms`, and a bare application that
sleeps as long, on the same server in the same run.

    python -m loadtests.latency        # --connections 64 --requests 3000 --rounds 3; about 20 s

Promises, printed beside the figures: never early; p50 at most 51.5 ms; p99 at most 2 ms above that of the bare sleep.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn

from simulator.cli.serve import listen
from tests.promises.live import Server, request

LATENCY_MS = 50
SCENARIO = f"scenario: late\noperations: {{GET /x: {{latency: {LATENCY_MS}ms, reply: {{status: 204}}}}}}\n"
ASKED = request("GET", "/x")


async def bare(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """An application that does nothing but sleep."""
    if scope["type"] == "http":
        await asyncio.sleep(LATENCY_MS / 1000)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def measured(port: int, connections: int, requests: int) -> list[float]:
    """How long each reply took, in ms."""
    took: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            for _ in range(requests // connections):
                began = time.perf_counter()
                writer.write(ASKED)
                await reader.readuntil(b"\r\n\r\n")
                took.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(ask() for _ in range(connections)))
    return sorted(took)


async def beside(connections: int, requests: int) -> list[float]:
    """The same of the bare application, on a server in this process."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(bare, log_level="warning", access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        took = await measured(listener.getsockname()[1], connections, requests)
        server.should_exit = True
        await serving
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description="How true an injected latency is.")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(
        f"Python {platform.python_version()} on {platform.machine()}; {asked.connections} connections, {LATENCY_MS} ms"
    )
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "late.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        with Server(scenario, covered=False) as server:
            for name, of in (
                ("simulator", lambda: measured(server.port, asked.connections, asked.requests)),
                ("bare sleep", lambda: beside(asked.connections, asked.requests)),
            ):
                rounds = [asyncio.run(of()) for _ in range(asked.rounds)]
                p50, p99 = (statistics.median(each[int(len(each) * share)] for each in rounds) for share in (0.5, 0.99))
                least = min(each[0] for each in rounds)
                print(f"{name:<11} least {least:6.2f} ms   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    print("promised: never early; p50 at most 51.5 ms; p99 at most 2 ms above the bare sleep's")


if __name__ == "__main__":
    main()
