"""A user's function: how it is found in a file, and what it is given for items.

The first part of the program that script_host.py ends; rewards/host/script_host.h says what is promised.
"""
import importlib.util
import inspect
import json
import os
import sys
import traceback

MOST_OF_A_MESSAGE = 2000  # characters

# What every call has, whatever the data. The second are TRL's for logging: here they do nothing, as
# a score must not depend on what was scored before.
ALWAYS = ("prompts", "completions", "completion_ids", "answer", "reference", "num_tokens",
          "max_tokens", "finish_reason")
LOGS = ("log_extra", "log_metric")
PLURAL = ("prompt", "completion")  # columns that come as prompts and completions only


class Refused(Exception):
    """The field, what was expected and what is there."""


class WrongCount(Exception):
    """What there is instead of a score for each item."""


def no_log(*_arguments, **_words):
    return None


def is_conversation(prompt):
    """As TRL asks it of a data set's prompt: a list of messages."""
    return (isinstance(prompt, list) and len(prompt) > 0 and isinstance(prompt[0], dict)
            and "role" in prompt[0] and "content" in prompt[0])


class Function:
    """The user's function, what it asks for and the parameters that it has."""

    def __init__(self, function, name, parameters):
        signature = list(inspect.signature(function).parameters.values())
        if any(p.kind is p.POSITIONAL_ONLY for p in signature):
            raise Refused(name, "parameters that can be given by name", "positional-only ones")
        known = {p.name: p for p in signature if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        self.function = function
        self.conversational = conversational(parameters)
        self.parameters = parameters
        check_names(parameters, [word for word in known if word not in ALWAYS + LOGS])
        named = {word: p for word, p in known.items() if word not in parameters}
        self.required = [word for word, p in named.items() if p.default is p.empty]
        self.optional = [word for word, p in named.items() if p.default is not p.empty]
        self.takes_all = any(p.kind is p.VAR_KEYWORD for p in signature)
        if "trainer_state" in self.required:
            raise Refused("trainer_state", "a function of what it scores alone, or a default for the "
                          "parameter: there is no trainer's state here", "no default")
        self.loop = None

    def needs(self):
        """The columns that it cannot do without."""
        return [name for name in self.required if name not in ALWAYS + LOGS]

    def is_conversational(self, item):
        return self.conversational or is_conversation(item["columns"].get("prompt"))

    def kind(self, item):
        """Items of one kind can share a call: none of them changes what the others are given."""
        columns = item["columns"] if self.takes_all else self.optional
        own = (name for name in columns if name in item["columns"]
               and name not in self.required and name not in PLURAL)
        return self.is_conversational(item), bool(item["ids"]), tuple(sorted(own))

    def keywords(self, items):
        """Every keyword argument that the items have values for, as TRL names them."""
        words = {"reference": [item["reference"] for item in items],
                 "answer": [item["reference"] for item in items]}
        for word in ("num_tokens", "max_tokens", "finish_reason"):
            words[word] = [item[word] for item in items]
        for name in {name: None for item in items for name in item["columns"]}:
            words[name] = [item["columns"].get(name) for item in items]
        for name in PLURAL:
            words.pop(name, None)
        words["prompts"] = [item["prompt"] for item in items]
        words["completions"] = [item["completion"] for item in items]
        if self.is_conversational(items[0]):
            words["prompts"] = [self.messages(item) for item in items]
            words["completions"] = [[{"role": "assistant", "content": item["completion"]}]
                                    for item in items]
        known = all(item["ids"] for item in items)
        words["completion_ids"] = [item["ids"] for item in items] if known else None
        words.update((name, no_log) for name in LOGS)
        return words

    @staticmethod
    def messages(item):
        prompt = item["columns"].get("prompt")
        if is_conversation(prompt):
            return prompt
        return [{"role": "user", "content": item["prompt"]}]

    def arguments(self, items):
        words = self.keywords(items)
        if not self.takes_all:
            words = {name: words[name] for name in self.required + self.optional if name in words}
        for name in self.required:
            words.setdefault(name, [None] * len(items))
        words.update(self.parameters)
        return words

    def scores(self, items):
        kinds = {}
        for index, item in enumerate(items):
            kinds.setdefault(self.kind(item), []).append(index)
        given = [self.function(**self.arguments([items[index] for index in indices]))
                 for indices in kinds.values()]
        scores = [None] * len(items)
        for indices, some in zip(kinds.values(), self.awaited(given)):
            for index, score in zip(indices, as_many(some, len(indices))):
                scores[index] = score
        return scores

    def awaited(self, given):
        """What async functions give in the end, all calls together."""
        if not any(inspect.isawaitable(one) for one in given):
            return given
        import asyncio
        if self.loop is None:
            self.loop = asyncio.new_event_loop()  # one for all calls, as TRL has

        async def gathered():
            return await asyncio.gather(*given)

        return self.loop.run_until_complete(gathered())


def as_many(scores, count):
    if scores is None:
        raise WrongCount(f"None for {count} items")
    if isinstance(scores, (str, bytes)) or not hasattr(scores, "__iter__"):
        raise WrongCount(f"a {type(scores).__name__} for {count} items")
    scores = list(scores)
    if len(scores) != count:
        raise WrongCount(f"{len(scores)} scores for {count} items")
    return scores


def conversational(parameters):
    """The one parameter that is the host's and not the function's."""
    value = parameters.pop("conversational", False)
    if not isinstance(value, bool):
        raise Refused("reward_config.conversational", "true or false", json.dumps(value))
    return value


def check_names(parameters, names):
    for name in parameters:
        if name not in names:
            raise Refused("reward_config", "one of its parameters: " +
                          ", ".join(names + ["conversational"]), name)


def load(file, name, parameters):
    """The function `name` of the file as a Function, or what its class `name` makes."""
    module = imported(file)
    target = getattr(module, name, None)
    if target is None:
        own = [key for key, value in vars(module).items()
               if callable(value) and getattr(value, "__module__", None) == "zeroth_reward"]
        raise Refused(name, "one of its functions: " + ", ".join(own or ["it has none"]), "no such")
    if inspect.isclass(target):
        target, parameters = made(target, file, parameters)
    if not callable(target):
        raise Refused(name, "a function, or an object that can be called", type(target).__name__)
    return Function(target, name, parameters)


def made(kind, file, parameters):
    """An object of a class from its parameters, and those that are left."""
    left = {name: parameters.pop(name) for name in ("conversational",) if name in parameters}
    check_names(parameters, list(inspect.signature(kind).parameters))
    try:
        return kind(**parameters), left
    except Exception as error:
        raise Refused("reward_config", "parameters that " + kind.__name__ + " can be made of",
                      described(error, file))


def imported(file):
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
    return module


def description(function):
    """The first line of what is written about it."""
    about = inspect.getdoc(getattr(function, "func", function)) or ""  # of a functools.partial
    return (about.splitlines() or [""])[0]


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
