"""Functions that do to each completion what the completion says, and give any other its size."""
import os
import sys
import time

kept = []


def act(completion):
    if completion == "raise":
        raise ValueError("raised by the script")
    if completion == "exit":
        sys.exit(3)
    if completion == "loop":
        while True:
            pass
    if completion == "sleep":
        time.sleep(1000)
    if completion == "allocate":
        while True:
            kept.append(bytearray(16 << 20))
    if completion == "nan":
        return float("nan")
    if completion == "text":
        return "1"
    if completion == "none":
        return None
    if completion == "true":
        return True
    if completion == "abort":
        os.abort()
    if completion == "twice":
        os.fork()
    if completion == "print":
        print("printed by the script")
    if completion == "socket":
        import socket
        socket.create_connection(("127.0.0.1", 1))
    return float(len(completion))


def wayward(completions, **columns):
    """What it is told"""
    return [act(completion) for completion in completions if completion != "count"]


def columns(prompts, completions, completion_ids, answer, level, finish_reason, unknown="default"):
    assert prompts == ["p0", "p1"] and completions == ["c0", "c1"], (prompts, completions)
    assert completion_ids == [[1, 2], [3]], completion_ids
    assert answer == ["a0", "a1"] and level == [3, None], (answer, level)
    assert finish_reason == ["stop", "length"] and unknown == "default"
    return [1, 2]


def every_column(**words):
    assert words["completion_ids"] is None
    return [float(len(words))] * len(words["prompts"])


def asks_for_more(completions, difficulty):
    return [0.0 if d is None else float(d) for d in difficulty]


def level_or_seven(completions, level=7):
    return [7.0] * len(completions) if level == 7 else [float(l) for l in level]


def number_of_columns(completions, level, **words):
    known = sorted(name for name in words if name in ("topic", "source"))
    return [(0 if l is None else 10 * l) + len(known) for l in level]


def one_number(completions):
    return 1.0


def mean(completions):
    return [sum(map(len, completions)) / len(completions)]


def order_of_a_set(completions):
    return [float(list({"a", "b", "c", "d", "e"}).index("c"))] * len(completions)


not_a_function = 7
