"""One request to render a conversation (policy/chat_template.h), read and checked, and its text.

Given to the interpreter by zeroth before render_host.py, which serves.
"""
import sys

sys.path = [directory for directory in sys.path if directory]  # nothing from where zeroth runs

import json
import random
import re
from datetime import datetime

MOST_TEXT = 16 << 20  # bytes of one rendering
MOST_SHOWN = 200  # characters of what was found in place of what was expected

CONTINUED = "CONTINUE_FINAL_MESSAGE_TAG "
REASONING = ("reasoning_content", "thinking", "reasoning")
OWN_VARIABLES = ("messages", "tools", "documents", "add_generation_prompt")


class Refused(Exception):
    """A request that is wrong: field, what is expected there, what was found."""


class Unrendered(Exception):
    """A template that does not do what it should: what is expected of it, what was found."""


def one_line(text):
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else "\ufffd" for c in text[:MOST_SHOWN + 1])
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "\u2026"


def shown(value):
    if isinstance(value, (dict, list)) and len(value) > MOST_SHOWN:
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return one_line(json.dumps(value, ensure_ascii=False))


def refuse(field, expected, value):
    raise Refused(field, expected, shown(value))

def flag(request, name):
    value = request.pop(name, False)
    if value is None:
        return False
    if not isinstance(value, bool):
        refuse(name, "true or false", value)
    return value


def objects(request, name):
    """A list of objects, or None."""
    values = request.pop(name, None)
    if values is None:
        return None
    if not isinstance(values, list):
        refuse(name, "a list of objects", values)
    for i, value in enumerate(values):
        if not isinstance(value, dict):
            refuse(f"{name}[{i}]", "an object", value)
    return values


def read_date(text):
    form = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?"
    try:
        if isinstance(text, str) and re.fullmatch(form, text, re.ASCII):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    refuse("date", "a date such as 2026-01-02 or 2026-01-02T15:04:05", text)


def with_reasoning(message):
    """What an assistant thought has several names; the first that is there fills two of them."""
    found = [message[name] for name in REASONING if message.get(name) is not None]
    if not found:
        return message
    return {"thinking": found[0], **message, "reasoning_content": found[0]}


def mark_end(message, field, source):
    """Puts CONTINUED behind the field's text, which is returned."""
    value = message.get(field)
    if value is None:
        refuse(f"messages[-1].{field}", "a text to continue", None)
    names = [field]
    if field in REASONING:
        names = [name for name in REASONING if message.get(name) == value]
    if not any(name in source for name in names):
        refuse("continue_final_message", "a field that the template reads", field)
    if isinstance(value, list):
        blocks = [b for b in value if isinstance(b, dict) and isinstance(b.get("text"), str)]
        if not blocks:
            refuse(f"messages[-1].{field}", "a part with a text to continue", value)
        text = blocks[-1]["text"]
        blocks[-1]["text"] = text + CONTINUED
        return text
    if not isinstance(value, str):
        refuse(f"messages[-1].{field}", "a text to continue", value)
    for name in names:
        message[name] = value + CONTINUED
    return value


def cut_end(text, final):
    """What was rendered up to the mark, which stands behind `final`."""
    mark = CONTINUED.strip()
    at = text.rfind(mark)
    if at < 0 or final.strip() not in text:
        refuse("continue_final_message", "a template that renders the end of the final message", text)
    kept = text[:at]
    return kept if text.startswith(CONTINUED, at) else kept.rstrip()


def parse(data):
    def refuse_constant(name):
        raise ValueError(f"{name} is no number of JSON")

    try:
        request = json.loads(data.decode("utf-8"), parse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        raise Refused("", "UTF-8", f"byte {error.start}: 0x{data[error.start]:02x}")
    except (ValueError, RecursionError) as error:
        raise Refused("", "JSON", one_line(str(error)))
    if not isinstance(request, dict):
        refuse("", "an object", request)
    return request


def continued_field(request, prompts):
    """The field of the last message that the model is to go on with, or None."""
    value = request.pop("continue_final_message", None) or None
    if not isinstance(value, (str, bool, type(None))):
        refuse("continue_final_message", "true, false or the name of a field", value)
    if value and prompts:
        refuse("continue_final_message", "false, as add_generation_prompt is true", value)
    return "content" if value is True else value


def own_variables(request):
    """kwargs, and what fields are left."""
    own = {}
    for name in ("chat_template_kwargs", "kwargs"):
        given = request.pop(name, None)
        if given is None:
            continue
        if not isinstance(given, dict):
            refuse(name, "an object", given)
        for variable in OWN_VARIABLES:
            if variable in given:
                refuse(f"{name}.{variable}", f"a field beside {name}", given[variable])
        own.update(given)
    return {**request, **own}


class Rendering:
    """One request: the template, its variables and the date."""

    def __init__(self):
        self.template = None  # its name; empty for one that the request brings
        self.source = ""
        self.variables = {}
        self.continued = None  # the text that the rendering is to end with
        self.date = None

    def read(self, data, setup):
        request = parse(data)
        self.date = read_date(request.pop("date", setup["date"]))
        named = request.pop("chat_template", None)
        if "vars" in request:
            self.read_variables(request)
            self.choose(named, None, setup["templates"])
        else:
            self.read_conversation(request, named, setup)

    def read_variables(self, request):
        self.variables = request.pop("vars")
        if not isinstance(self.variables, dict):
            refuse("vars", "an object", self.variables)
        if request:
            refuse("vars", "nothing beside it but chat_template and date", sorted(request))

    def read_conversation(self, request, named, setup):
        if request.get("messages") is None:
            refuse("messages", "a list of objects", request.get("messages"))
        messages = objects(request, "messages")
        tools, documents = objects(request, "tools"), objects(request, "documents")
        prompts = flag(request, "add_generation_prompt")
        field = continued_field(request, prompts)
        own = own_variables(request)
        if not messages and (field or not own):
            refuse("messages", "at least one message", messages)
        self.choose(named, tools, setup["templates"])
        messages = [{k: v for k, v in m.items() if v is not None} for m in messages]
        messages = [with_reasoning(message) for message in messages]
        if field:
            self.continued = mark_end(messages[-1], field, self.source)
        self.variables = {**setup["variables"], **own, "messages": messages, "tools": tools,
                          "documents": documents, "add_generation_prompt": prompts}

    def choose(self, named, tools, templates):
        if not isinstance(named, (str, type(None))):
            refuse("chat_template", "a template, or the name of one", named)
        if named is not None and named not in templates:
            self.template, self.source = "", named
            return
        if named is None:
            named = "tool_use" if tools is not None and "tool_use" in templates else "default"
        if named not in templates:
            refuse("chat_template", "a name, as no template is the default", sorted(templates))
        self.template, self.source = named, templates[named]

    def text(self, compiled):
        random.seed(0)  # the filter random: the same at every rendering
        parts, size = [], 0
        for part in compiled.generate(self.variables):
            size += len(part)
            if size > MOST_TEXT:
                raise_too_long()
            parts.append(part)
        text = "".join(parts)
        if self.continued is not None:
            text = cut_end(text, self.continued)
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            surrogate = f"U+{ord(text[error.start]):04X}, half a character"
            raise Unrendered("a text of whole characters", surrogate)
        if len(data) > MOST_TEXT:
            raise_too_long()
        return data


def raise_too_long():
    raise Unrendered(f"a text of at most {MOST_TEXT} bytes", "a longer one")
