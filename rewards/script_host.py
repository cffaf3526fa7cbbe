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
MOST_OF_A_READ = 1 << 16  # bytes that are read where there is no room for all
OWN_PID = os.getpid()


def read_into(channel, data):
    view = memoryview(data)
    while len(view) > 0:
        count = os.readv(channel, [view])
        if count == 0:
            os._exit(0)  # zeroth is gone
        view = view[count:]
    return data


def read_payload(channel, size):
    """MemoryError when there is no room for so much; it is read to its end then."""
    try:
        data = bytearray(size)
    except MemoryError:
        for left in range(size, 0, -MOST_OF_A_READ):
            read_into(channel, bytearray(min(left, MOST_OF_A_READ)))
        raise
    return read_into(channel, data)


def write_frame(channel, call, payload):
    if os.getpid() != OWN_PID:
        os._exit(0)  # a copy that the function made and let return has nothing to say here
    data = memoryview(struct.pack("<QQ", len(payload), call) + payload)
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


class Function:
    """The user's function, and what it asks for."""

    def __init__(self, function):
        parameters = inspect.signature(function).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.function = function
        self.required = [p.name for p in named if p.default is p.empty]
        self.optional = [p.name for p in named if p.default is not p.empty]
        self.takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)

    def kind(self, item):
        """Items of one kind can share a call: none of them changes what the others are given."""
        columns = item["columns"] if self.takes_all else self.optional
        own = (name for name in columns if name in item["columns"] and name not in self.required)
        return bool(item["ids"]), tuple(sorted(own))

    def arguments(self, items):
        words = keywords(items)
        if not self.takes_all:
            words = {name: words[name] for name in self.required + self.optional if name in words}
        for name in self.required:
            words.setdefault(name, [None] * len(items))
        return words

    def scores(self, items):
        kinds = {}
        for index, item in enumerate(items):
            kinds.setdefault(self.kind(item), []).append(index)
        scores = [None] * len(items)
        for indices in kinds.values():
            given = self.function(**self.arguments([items[index] for index in indices]))
            for index, score in zip(indices, as_many(given, len(indices))):
                scores[index] = score
        return scores


class WrongCount(Exception):
    """What there is instead of a score for each item."""


def as_many(scores, count):
    if scores is None:
        raise WrongCount(f"None for {count} items")
    if isinstance(scores, (str, bytes)) or not hasattr(scores, "__iter__"):
        raise WrongCount(f"a {type(scores).__name__} for {count} items")
    scores = list(scores)
    if len(scores) != count:
        raise WrongCount(f"{len(scores)} scores for {count} items")
    return scores


def load(file, name):
    """The function `name` of the file as a Function."""
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
    return Function(function)


def described(error, file):
    """KeyError: 'answer' (reward.py:12)"""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__)
             if os.path.abspath(f.filename) == os.path.abspath(file)]
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = f" ({os.path.basename(file)}:{lines[-1]})" if lines else ""
    return text[:MOST_OF_A_MESSAGE] + where


def number(score):
    if isinstance(score, (str, bytes)) or not hasattr(score, "__float__"):
        raise TypeError(f"the score {score!r:.60} is no number but a {type(score).__name__}")
    return float(score)


def reply(function, file, channel, size):
    def failure(result, message):
        return struct.pack("<B", result) + packed(message) + struct.pack("<Q", 0)

    try:
        items = Request(read_payload(channel, size)).items()
        scores = function.scores(items)
        rows = [struct.pack("<Bd", NOT_APPLICABLE, 0.0) if score is None
                else struct.pack("<Bd", SCORED, number(score)) for score in scores]
        return struct.pack("<B", SCORED) + packed("") + struct.pack("<Q", len(rows)) + b"".join(rows)
    except WrongCount as error:
        return failure(WRONG_COUNT, str(error))
    except MemoryError as error:
        return failure(MEMORY, described(error, file))
    except Exception as error:
        return failure(RAISED, described(error, file))


def main():
    file, name, isolation, channel = sys.argv[1:]
    channel = int(channel)
    os.set_inheritable(channel, False)
    try:
        function = load(file, name)
    except Refused as refused:
        write_frame(channel, 0, b"\0" + b"".join(packed(text) for text in refused.args))
        return
    lines = (inspect.getdoc(function.function) or "").splitlines()
    greeting = (name, lines[0] if lines else "", isolation)
    write_frame(channel, 0, b"\1" + b"".join(packed(text) for text in greeting))
    while True:
        size, call = struct.unpack("<QQ", read_into(channel, bytearray(16)))
        write_frame(channel, call, reply(function, file, channel, size))


main()
