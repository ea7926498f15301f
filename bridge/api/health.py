"""For operators: is it alive, does it take calls, what are its figures."""

from aiohttp import web

from bridge.api.keys import KEYS, MANAGER, METRICS, PORTS, SITE


async def healthz(_request: web.Request) -> web.Response:
    """Say that the process is alive and its loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Say whether new calls are taken: 503 while shutting down."""
    draining = request.app[MANAGER].draining
    status = "draining" if draining else "ready"
    return web.json_response({"status": status}, status=503 if draining else 200)


async def metrics(request: web.Request) -> web.Response:
    """Give the metrics for Prometheus; beyond loopback a key is asked for."""
    if not request.app[SITE].loopback:
        request.app[KEYS].line(request)
    manager, ports = request.app[MANAGER], request.app[PORTS]
    figures = request.app[METRICS]
    figures.set_calls(manager.states(), limit=manager.limits.calls)
    figures.set_media_ports(used=ports.used, free=ports.free)
    body, content_type = figures.render()
    return web.Response(body=body, headers={"Content-Type": content_type})
