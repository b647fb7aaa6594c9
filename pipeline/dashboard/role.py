"""The dashboard as a process: started by the command, ended by a signal."""

from __future__ import annotations

import asyncio
import signal

from pipeline.dashboard.server import Dashboard
from pipeline.process import address, announce
from pipeline.settings import Settings
from schemas.plan import Plan


async def run_dashboard(settings: Settings, plan: Plan) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    dashboard = Dashboard(settings, plan)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await dashboard.start()
    announce("dashboard", url=f"http://{address(settings.dashboard_host, dashboard.port)}")
    stopped = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(dashboard.wait())
    try:
        done, _ = await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (stopped, ended):
            task.cancel()
        await asyncio.gather(stopped, ended, return_exceptions=True)
        await dashboard.stop()
