"""A run's event file read by TensorBoard itself: every scalar of metrics.jsonl is there, once, at its step.

    .venv-readers/bin/python tests/interop/tensorboard_reads_events.py RUN

RUN is the directory of a run with report_to = ["tensorboard"]. tools/setup --readers makes .venv-readers.
"""

import json
import math
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing import event_accumulator, event_file_loader


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def expected_scalars(run):
    """name -> [(step, value)], and the seconds of training at each step."""
    scalars, seconds, total, timed_step = {}, {}, 0.0, 0
    for line in (run / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line)
        step = metrics.pop("step")
        if metrics.get("step_time") is not None:
            total += metrics["step_time"] * (step - timed_step)
            timed_step = step
        seconds[step] = total
        for name, value in metrics.items():
            scalars.setdefault(name, []).append((step, math.nan if value is None else as_float32(value)))
    return scalars, seconds


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def main():
    run = Path(sys.argv[1])
    files = list(run.glob("events.out.tfevents.*"))
    assert len(files) == 1, f"one event file in {run}, not {files}"
    expected, seconds = expected_scalars(run)

    # The raw loader raises at a wrong checksum; it says how many records there are.
    records = list(event_file_loader.LegacyEventFileLoader(str(files[0])).Load())
    assert records[0].file_version == "brain.Event:2", records[0]
    assert len(records) == 1 + len(seconds), f"{len(records)} records for {len(seconds)} lines"

    reader = event_accumulator.EventAccumulator(str(run), size_guidance={event_accumulator.TENSORS: 0,
                                                                         event_accumulator.SCALARS: 0})
    reader.Reload()
    assert sorted(reader.Tags()["scalars"]) == sorted(expected), "other tags"
    compared = 0
    for name, points in expected.items():
        events = reader.Scalars(name)
        assert [e.step for e in events] == [step for step, _ in points], f"{name}: other steps"
        for event, (step, value) in zip(events, points):
            assert same(event.value, value), f"{name} at step {step}: {event.value}, expected {value}"
            assert event.wall_time == seconds[step], f"step {step}: {event.wall_time} s, expected {seconds[step]}"
            compared += 1
    assert compared > 0
    print(f"{compared} scalars of {len(expected)} tags and {len(seconds)} steps agree")


if __name__ == "__main__":
    main()
