#!/usr/bin/env python3
"""Does to each completion what the completion says, and gives any other its size."""
import json
import os
import signal
import sys
import time

seen = 0


def answer(item):
    text = item["completion"]
    if text == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if text == "exit":
        sys.exit(3)
    if text == "sleep":
        time.sleep(1000)
    if text == "close":
        os.close(1)
        time.sleep(1000)
    if text == "leak" and seen > 1:
        os.abort()
    says = {"garble": "no json", "number": "7", "empty": "", "nothing": "{}", "none": '{"score": null}',
            "text": '{"score": "1"}', "infinity": '{"score": 1e999}', "nan": '{"score": NaN}',
            "error": '{"error": "not today"}', "error_object": '{"error": {"code": 7}}',
            "more": '{"score": 1}\n{"score": 2}', "other": '{"score": 4, "why": [1]}',
            "long": '{"score": 1, "why": "' + 100000 * "x" + '"}', "crlf": '{"score": 6}\r'}
    if text == "everything":
        return json.dumps({"error": json.dumps(item)})
    if text == "stderr":
        print("said aside", file=sys.stderr)
    return says.get(text, json.dumps({"score": len(text)}))


for line in sys.stdin:
    seen += 1
    print(answer(json.loads(line)), flush=True)
