"""How much memory a question may take before it goes on with a part of it on the disk."""

from __future__ import annotations


def before_disk(memory: int) -> int:
    """Of a question that may take so many bytes: from how many on GROUP BY and ORDER BY put theirs aside.

    ClickHouse counts all that the question has, and what is put aside takes it a third longer: a million people grouped
    take a gigabyte, which half of two would not leave in memory. What is left is for putting the parts together.
    """
    return memory * 5 // 8
