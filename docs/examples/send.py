"""Python 3, without a library: python send.py"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid


def send(event: dict, tries: int = 8) -> None:
    """Send one event; return when it is stored. The same id in each attempt: an event counts once."""
    event = {"event_id": str(uuid.uuid4()), "ts": int(time.time() * 1000), **event}
    request = urllib.request.Request(
        os.environ["DOOR"] + "/v1/events", json.dumps(event).encode(), {"Authorization": "Bearer " + os.environ["KEY"]}
    )
    for attempt in range(tries):
        try:
            return urllib.request.urlopen(request, timeout=15).close()
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                raise ValueError(error.read().decode()) from None  # the event is wrong: it says why
        except OSError:
            pass  # no answer: the event may be stored or not; sent again it counts once
        time.sleep(2**attempt / 10)
    raise RuntimeError("the front door is away")


if __name__ == "__main__":
    send({"event": "purchase", "user_id": "python-user", "properties": {"order_id": "python-1", "amount": 19.9}})
