"""Runs one function of a user's file as a reward: items in, scores out (rewards/host/host_protocol.h).

Given to the interpreter by zeroth behind script_function.py, with the arguments FILE FUNCTION
PARAMETERS CHANNEL.
"""
import struct

# zeroth::RewardResult
SCORED, NOT_APPLICABLE, RAISED, WRONG_COUNT, MEMORY = 0, 1, 2, 4, 8
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
    file, name, parameters, channel = sys.argv[1:]
    channel = int(channel)
    os.set_inheritable(channel, False)
    try:
        function = load(file, name, json.loads(parameters))
    except Refused as refused:
        write_frame(channel, 0, b"\0" + b"".join(packed(text) for text in refused.args))
        return
    greeting = (name, description(function.function), "\n".join(function.needs()))
    write_frame(channel, 0, b"\1" + b"".join(packed(text) for text in greeting))
    while True:
        size, call = struct.unpack("<QQ", read_into(channel, bytearray(16)))
        write_frame(channel, call, reply(function, file, channel, size))


main()
