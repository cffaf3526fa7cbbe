"""Functions with TRL's signature (GRPOTrainer, 1.16) that check every argument as it is passed."""
import asyncio
import functools


def texts(prompts, completions, completion_ids, level, log_extra, log_metric, **columns):
    """Every argument, of two completions that are texts"""
    assert prompts == ["p0", "p1"] and completions == ["c0", "c1"], (prompts, completions)
    assert completion_ids == [[1, 2], [3]], completion_ids
    assert level == [3, 4], level
    assert sorted(columns) == ["answer", "finish_reason", "max_tokens", "num_tokens", "reference",
                               "topic"], columns
    assert columns["answer"] == columns["reference"] == ["a0", "a1"], columns
    assert columns["topic"] == [["x", {"y": 1}], None], columns
    assert columns["num_tokens"] == [2, 1] and columns["max_tokens"] == [8, 8], columns
    assert columns["finish_reason"] == ["stop", "length"], columns
    log_extra("level", level)
    log_metric("level", 3.5)
    return [1.0, None]


def conversations(prompts, completions, **columns):
    expected = columns.get("expected", [[{"role": "user", "content": "p"}]] * len(prompts))
    assert prompts == expected, (prompts, expected)
    assert "prompt" not in columns
    return [float(len(completion[0]["content"])) if completion[0]["role"] == "assistant" else -1.0
            for completion in completions]


def kinds(prompts, completions, **columns):
    assert len({type(prompt) for prompt in prompts}) == 1, prompts
    return [1.0 if isinstance(prompt, list) else 0.0 for prompt in prompts]


together = []


async def asynchronous(completions, limit=10, **columns):
    """Awaited"""
    together.append(len(completions))
    await asyncio.sleep(0.001)
    # The calls of a batch, one for each kind of record, wait beside each other.
    return [None if completion == "none" else float(len(together)) for completion in completions]


async def asynchronous_error(completions):
    await asyncio.sleep(0)
    raise KeyError("late")


class Brevity:
    """An object that is called"""

    def __init__(self, limit=200):
        if limit < 0:
            raise ValueError("limit below 0")
        self.limit = limit

    def __call__(self, completions, **columns):
        return [float(len(completion) <= self.limit) for completion in completions]


class AsyncBrevity(Brevity):
    async def __call__(self, completions, **columns):
        return Brevity.__call__(self, completions)


def limited(completions, limit, scale=1.0):
    """With a parameter"""
    return [scale * (len(completion) <= limit) for completion in completions]


brevity = Brevity(3)
limited_to_two = functools.partial(limited, limit=2)


def needs_difficulty(completions, difficulty, log_metric):
    return [0.0] * len(completions)


def needs_trainer(completions, trainer_state):
    return [0.0] * len(completions)


def may_use_trainer(completions, trainer_state=None):
    return [float(trainer_state is None)] * len(completions)


def positional(completions, /):
    return [0.0] * len(completions)


def prints(completions):
    import os
    print("printed")
    os.write(1, b"written\n")
    os.system("echo echoed")
    return [2.0] * len(completions)
