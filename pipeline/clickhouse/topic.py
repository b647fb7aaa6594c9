"""Which Kafka topic a stream in ClickHouse was made of."""

from __future__ import annotations

from typing import Any

from pipeline.clickhouse.client import Connection
from pipeline.errors import AnotherTopicError
from pipeline.settings import Settings


async def same_topic(connection: Connection, settings: Settings, topic_id: str) -> None:
    """Note the topic's id for the stream of the settings, or compare it with the one noted.

    One attempt; raises what `Connection.run` raises, and AnotherTopicError if the stream is of another topic.
    """

    async def ask(client: Any) -> Any:
        return (
            await client.query(
                "SELECT id FROM topics_raw WHERE stream = {stream:String} AND topic = {topic:String} "
                "ORDER BY noticed_at LIMIT 1",
                parameters={"stream": settings.stream, "topic": settings.events_topic},
            )
        ).result_rows

    found = await connection.run(ask)
    if not found:
        columns = [[settings.stream], [settings.events_topic], [topic_id]]
        await connection.insert("topics_raw", ["stream", "topic", "id"], columns)
    elif found[0][0] != topic_id:
        raise AnotherTopicError(
            "topic {name} was made anew: its id was {before} when the stream {stream} was stored, and is {now}",
            name=settings.events_topic,
            before=found[0][0],
            stream=settings.stream,
            now=topic_id,
        )
