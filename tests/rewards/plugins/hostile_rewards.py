"""A function that tries what each completion says, and gives 1 where it succeeds."""
import os
import signal
import socket


def act(completion):
    verb, _, rest = completion.partition(" ")
    if verb == "read":
        with open(rest) as file:
            return float(file.read() == "secret")
    if verb == "write":
        with open(rest, "w") as file:
            file.write("damaged")
        return 1.0
    if completion == "connect":
        socket.create_connection(("127.0.0.1", 1))
        return 1.0
    if completion == "kill parent":
        os.kill(os.getppid(), signal.SIGKILL)
        return 1.0
    if completion == "see processes":
        for pid in range(100, 200):
            os.kill(pid, 0)
        return 1.0
    if completion == "escape":
        os.setsid()
        return 1.0
    if completion == "exit":
        os._exit(3)
    return float(len(completion))


def hostile(completions, **columns):
    return [act(completion) for completion in completions]
