"""Runs one function of a user's file as a reward: items in, scores out (rewards/host_protocol.h).

Given to the interpreter by zeroth with the arguments FILE FUNCTION ISOLATION CHANNEL.
"""
import importlib.util
import inspect
import json
import os
import struct
import sys
import traceback

# zeroth::RewardResult
SCORED, NOT_APPLICABLE, RAISED, WRONG_COUNT, MEMORY = 0, 1, 2, 4, 8
MOST_OF_A_MESSAGE = 2000  # characters


def read_exactly(channel, size):
    parts = []
    while size > 0:
        part = os.read(channel, min(size, 1 << 20))
        if not part:
            os._exit(0)  # zeroth is gone
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_frame(channel, payload):
    data = memoryview(struct.pack("<Q", len(payload)) + payload)
    while data:
        data = data[os.write(channel, data):]


def packed(text):
    data = text.encode("utf-8", "replace")
    return struct.pack("<Q", len(data)) + data


class Refused(Exception):
    """The field, what was expected and what is there."""


class Request:
    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def numbers(self, form):
        values = struct.unpack_from("<" + form, self.payload, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def text(self):
        (size,) = self.numbers("Q")
        self.at += size
        return self.payload[self.at - size:self.at].decode("utf-8", "replace")

    def item(self):
        prompt, completion, reference, columns = (self.text() for _ in range(4))
        (count,) = self.numbers("Q")
        ids = list(self.numbers(f"{count}i"))
        num_tokens, max_tokens, cut = self.numbers("qqB")
        return {"prompt": prompt, "completion": completion, "reference": reference, "ids": ids,
                "columns": json.loads(columns) if columns else {},
                "num_tokens": num_tokens, "max_tokens": max_tokens,
                "finish_reason": "length" if cut else "stop"}

    def items(self):
        (count,) = self.numbers("Q")
        return [self.item() for _ in range(count)]


def keywords(items):
    """Every keyword argument that the items have values for, as TRL names them."""
    words = {"reference": [item["reference"] for item in items],
             "answer": [item["reference"] for item in items]}
    for word in ("num_tokens", "max_tokens", "finish_reason"):
        words[word] = [item[word] for item in items]
    for name in {name: None for item in items for name in item["columns"]}:
        words[name] = [item["columns"].get(name) for item in items]
    for name in ("prompt", "completion"):  # lists of them come under the plural
        words.pop(name, None)
    words["prompts"] = [item["prompt"] for item in items]
    words["completions"] = [item["completion"] for item in items]
    known = all(item["ids"] for item in items)
    words["completion_ids"] = [item["ids"] for item in items] if known else None
    return words


def load(file, name):
    """The function, and its parameters or None for all."""
    folder = os.path.dirname(os.path.abspath(file))
    sys.path[0] = folder  # what lies beside the file can be imported
    sys.dont_write_bytecode = True  # and nothing is left there
    spec = importlib.util.spec_from_file_location("zeroth_reward", file)
    if spec is None:
        raise Refused("", "a file whose name ends in .py", os.path.basename(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules["zeroth_reward"] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Refused(f"line {error.lineno}", "Python that can be read", str(error.msg))
    except Exception as error:
        raise Refused("", "Python that runs when it is imported", described(error, file))
    function = getattr(module, name, None)
    if function is None:
        own = [key for key, value in vars(module).items()
               if inspect.isfunction(value) and value.__module__ == "zeroth_reward"]
        raise Refused(name, "one of its functions: " + ", ".join(own or ["it has none"]), "no such")
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise Refused(name, "a function that is not async", type(function).__name__)
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.POSITIONAL_ONLY for p in parameters):
        raise Refused(name, "parameters that can be given by name", "positional-only ones")
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return function, None
    return function, [p for p in parameters if p.kind is not p.VAR_POSITIONAL]


def described(error, file):
    """KeyError: 'answer' (reward.py:12)"""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__)
             if os.path.abspath(f.filename) == os.path.abspath(file)]
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = f" ({os.path.basename(file)}:{lines[-1]})" if lines else ""
    return text[:MOST_OF_A_MESSAGE] + where


def scores_of(function, parameters, items):
    words = keywords(items)
    if parameters is not None:
        missing = [p.name for p in parameters if p.name not in words and p.default is p.empty]
        if missing:
            raise TypeError(f"it asks for {', '.join(missing)}; there are {', '.join(words)}")
        words = {p.name: words[p.name] for p in parameters if p.name in words}
    return function(**words)


def number(score):
    if isinstance(score, (str, bytes)) or not hasattr(score, "__float__"):
        raise TypeError(f"the score {score!r:.60} is no number but a {type(score).__name__}")
    return float(score)


def reply(function, parameters, file, payload):
    def failure(result, message):
        return struct.pack("<B", result) + packed(message) + struct.pack("<Q", 0)

    try:
        items = Request(payload).items()
        scores = scores_of(function, parameters, items)
        if scores is None:
            return failure(WRONG_COUNT, f"None for {len(items)} items")
        if isinstance(scores, (str, bytes)) or not hasattr(scores, "__iter__"):
            return failure(WRONG_COUNT, f"a {type(scores).__name__} for {len(items)} items")
        scores = list(scores)
        if len(scores) != len(items):
            return failure(WRONG_COUNT, f"{len(scores)} scores for {len(items)} items")
        rows = [struct.pack("<Bd", NOT_APPLICABLE, 0.0) if score is None
                else struct.pack("<Bd", SCORED, number(score)) for score in scores]
        return struct.pack("<B", SCORED) + packed("") + struct.pack("<Q", len(rows)) + b"".join(rows)
    except MemoryError as error:
        return failure(MEMORY, described(error, file))
    except Exception as error:
        return failure(RAISED, described(error, file))


def main():
    file, name, isolation, channel = sys.argv[1:]
    channel = int(channel)
    os.set_inheritable(channel, False)
    try:
        function, parameters = load(file, name)
    except Refused as refused:
        write_frame(channel, b"\0" + b"".join(packed(text) for text in refused.args))
        return
    lines = (inspect.getdoc(function) or "").splitlines()
    greeting = (name, lines[0] if lines else "", isolation)
    write_frame(channel, b"\1" + b"".join(packed(text) for text in greeting))
    while True:
        (size,) = struct.unpack("<Q", read_exactly(channel, 8))
        write_frame(channel, reply(function, parameters, file, read_exactly(channel, size)))


main()
