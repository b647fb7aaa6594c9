"""Start the Kafka of a failed run, and find the checkpoint from which the changelog differs from the log."""

import asyncio, sys, time, subprocess, msgpack, os, re
from pathlib import Path

sys.path.insert(0, "tests")
sys.path.insert(0, ".")
from kafka_harness.server import _JVM, LOG4J
from kafka_harness.jars import kafka_jars
from kafka_harness.reading import read_log
from pipeline.stream.state import PartitionState
from pipeline.stream.checkpoint import Restorer
from pipeline.ingest.validate import Validator
from pipeline.ingest.classify import Record
from schemas.plan_io import load_plan

folder = Path(sys.argv[1])
part = int(sys.argv[2])
props = folder / "kafka" / "server.properties"
port = re.search(r"DIRECT://127.0.0.1:(\d+)", props.read_text()).group(1)
p = subprocess.Popen(
    [
        "java",
        "-Xmx300m",
        *_JVM,
        f"-Dlog4j2.configurationFile={LOG4J}",
        "-cp",
        f"{kafka_jars()}/*",
        "kafka.Kafka",
        str(props),
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
topics = [d.name for d in (folder / "kafka" / "log").iterdir()]
ev = next(t.rsplit("-", 1)[0] for t in topics if t.startswith("events-"))
cl = next(t.rsplit("-", 1)[0] for t in topics if t.endswith("-state-changelog-0"))


async def main():
    bs = f"127.0.0.1:{port}"
    for _ in range(60):
        try:
            logs = await read_log(bs, ev)
            break
        except Exception as e:
            await asyncio.sleep(1)
    chg = await read_log(bs, cl)
    plan = load_plan(str(folder / "plan.yaml"))
    n = len(logs)
    recs = [Record(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in logs[part]]
    v = Validator(plan)
    st = PartitionState(plan, v, part, n)
    R = Restorer()
    pos = 0
    print(len(recs), len(chg[part]))

    def dump(s):
        out = {}
        from pipeline.stream.state import _ACTIVITY

        for k, c in s.activity.cells.items():
            out[("a",) + tuple(k[:3]) + (k[3],)] = (c.events, c.value)
        out["wm"] = s.watermark
        out["totals"] = {o.name: c for o, c in s.totals.items()}
        out["ids"] = len(s.classifier.seen)
        return out

    bad = 0
    for r in chg[part]:
        (ver, writer, mark, prt, parts, meta), entries = msgpack.unpackb(r.value)
        R.add(r.value)
        print(
            "changelog",
            r.offset,
            "ts",
            time.strftime("%H:%M:%S", time.gmtime(r.timestamp / 1000)),
            r.timestamp % 1000,
            "writer",
            writer.hex()[:6],
            "mark",
            mark,
            "part",
            prt,
            "/",
            parts,
            "entries",
            len(entries),
            end=" ",
        )
        if prt == parts - 1 or parts == 1:
            if mark >= st.mark:
                if mark > st.mark:
                    st.fold([x for x in recs[pos:] if x.offset < mark])
                    pos = mark
                re_ = PartitionState(plan, v, part, n)
                re_.restore(R)
                a, b = dump(st), dump(re_)
                # ignore expired
                diff = {k: (a.get(k), b.get(k)) for k in set(a) | set(b) if a.get(k) != b.get(k)}
                print(
                    "DIFF",
                    len(diff),
                    {k: diff[k] for k in sorted(diff, key=str)[:3]} if diff else "",
                    "totals",
                    (meta or {}).get("totals"),
                    "right",
                    list(a["totals"].values()),
                )
            else:
                print("older")
        else:
            print()


asyncio.run(main())
p.terminate()
p.wait()
