"""The dashboard as a process: started by the command, ended by a signal."""

from __future__ import annotations

from pipeline.dashboard.server import Dashboard
from pipeline.process import address, announce, first_of, stop_event
from pipeline.settings import Settings
from schemas.plan import Plan


async def run_dashboard(settings: Settings, plan: Plan) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    dashboard = Dashboard(settings, plan)
    stop = stop_event()
    await dashboard.start()
    announce("dashboard", url=f"http://{address(settings.dashboard_host, dashboard.port)}")
    try:
        await first_of(stop.wait(), dashboard.wait())
    finally:
        await dashboard.stop()
