"""The answer of each kind of question: asked, drawn, and laid out as tables."""

from __future__ import annotations

from pipeline.dashboard.answers import Answered, as_csv, as_page, as_panel
from pipeline.dashboard.context import Context
from pipeline.dashboard.pages.answer_funnel import answer_funnel
from pipeline.dashboard.pages.answer_people import answer_distribution, answer_lifecycle, answer_retention
from pipeline.dashboard.pages.answer_trend import answer_trend
from pipeline.dashboard.pages.paths import answer_paths
from pipeline.explore.question import BuiltFunnel, Distribution, Lifecycle, Paths, Question, Retention, Trend

__all__ = ["answer_of", "as_csv", "as_page", "as_panel"]


async def answer_of(context: Context, question: Question) -> Answered:
    """Ask a question. Raises UserError, StoreError."""
    match question:
        case Trend():
            return await answer_trend(context, question)
        case BuiltFunnel():
            return await answer_funnel(context, question)
        case Retention():
            return await answer_retention(context, question)
        case Distribution():
            return await answer_distribution(context, question)
        case Lifecycle():
            return await answer_lifecycle(context, question)
        case Paths():
            return await answer_paths(context, question)
