"""Renders conversations by a model's chat template: the child's side of policy/chat_template.h.

Given to the interpreter by zeroth, with the argument CHANNEL. Frames are a size (8 bytes,
little-endian) and as many bytes. First comes a frame of ours that says who serves, or what is
missing; then one of zeroth's with the templates. After that zeroth sends batches, a number of
requests and as many frames, and each request is answered by one frame, in order: T and the text, or
E and why there is none.

What a template finds here is what transformers 5.23 gives it, where that can be seen in a
rendering: names, filters and tags, fields of messages that stand in for others, values left out.
"""
import sys

sys.path = [directory for directory in sys.path if directory]  # nothing from where zeroth runs

import json
import os
import random
import re
import resource
import signal
import struct
from datetime import datetime

MEMORY = 1 << 30  # bytes of address space
SECONDS = 2.0  # of a processor, for one rendering; the signal that ends it is the default's: the end
MOST_TEXT = 16 << 20  # bytes of one rendering
MOST_SHOWN = 200  # characters of what was found in place of what was expected
MOST_KEPT = 64  # templates that are compiled
NEEDED = (3, 1, 6)  # of jinja2: what came before lets a template out of its sandbox

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


# ---- what templates are given

def make_environment():
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox
    import jinja2.utils

    class GenerationTag(jinja2.ext.Extension):
        """{% generation %}: marks what an assistant wrote. It gives its body, in a scope of its own."""
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("body_of"), [], [], body).set_lineno(line)

        def body_of(self, caller):
            return caller()

    class Namespace(jinja2.utils.Namespace):
        """One that holds no name of Python's own."""

        def __init__(*arguments, **attributes):  # so that an attribute may be called self
            self, *pairs = arguments
            held = dict(*pairs, **attributes)
            for name in held:
                refuse_underscore(name)
            jinja2.utils.Namespace.__init__(self, held)

        def __setitem__(self, name, value):
            refuse_underscore(name)
            super().__setitem__(name, value)

    class Dict:
        """The function dict, without what else hangs on Python's class."""

        def __call__(self, *pairs, **entries):
            return dict(*pairs, **entries)

        def fromkeys(self, *arguments):
            return dict.fromkeys(*arguments)

    def refuse_underscore(name):
        if isinstance(name, str) and name[:1] == "_":
            raise jinja2.exceptions.SecurityError(f"a namespace holds no name such as {name!r}")

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals.update(raise_exception=raise_exception, namespace=Namespace, dict=Dict())
    return environment


# ---- requests

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


class Host:
    def __init__(self, channel):
        self.channel = channel
        self.environment = make_environment()
        self.environment.globals["strftime_now"] = lambda format: self.date.strftime(format)
        self.templates = {}
        self.date = None
        self.setup = None

    def compiled(self, source):
        if source not in self.templates:
            if len(self.templates) == MOST_KEPT:
                del self.templates[next(iter(self.templates))]
            self.templates[source] = self.environment.from_string(source)
        return self.templates[source]

    def answer(self, data):
        rendering = Rendering()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            rendering.read(data, self.setup)
            self.date = rendering.date
            return b"T" + rendering.text(self.compiled(rendering.source))
        except Refused as refused:
            return failure(None, 0, *refused.args)
        except Unrendered as unrendered:
            return failure(rendering.template, 0, "", *unrendered.args)
        except MemoryError:
            self.templates.clear()
            return failure(rendering.template, 0, "", f"at most {MEMORY} bytes of memory", "more")
        except Exception as error:
            return failure(rendering.template, line_of(error), "",
                           "a template that renders this conversation",
                           one_line(f"{type(error).__name__}: {error}"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def serve(self):
        self.setup = json.loads(read_frame(self.channel))
        silent = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):
            os.dup2(silent, output)  # how it ends says what became of it
        while True:
            (count,) = struct.unpack("<Q", read_bytes(self.channel, 8))
            for request in [read_frame(self.channel) for _ in range(count)]:
                write_frame(self.channel, self.answer(request))


def line_of(error):
    """The template's line that an error comes from; 0 where that is not known."""
    if isinstance(error, SyntaxError):
        return 0  # of what jinja2 makes of the template
    line = getattr(error, "lineno", None) or 0
    traceback = error.__traceback__
    while traceback is not None:
        if "__jinja_exception__" in traceback.tb_frame.f_globals:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def failure(template, line, field, expected, actual):
    why = {"template": template, "line": line, "field": field, "expected": expected, "actual": actual}
    return b"E" + json.dumps(why).encode("ascii")


# ---- the channel

def read_bytes(channel, size):
    data = bytearray()
    while len(data) < size:
        piece = os.read(channel, min(size - len(data), 1 << 20))
        if not piece:
            os._exit(0)  # zeroth is gone
        data += piece
    return bytes(data)


def read_frame(channel):
    (size,) = struct.unpack("<Q", read_bytes(channel, 8))
    return read_bytes(channel, size)


def write_frame(channel, data):
    left = memoryview(struct.pack("<Q", len(data)) + data)
    while left:
        left = left[os.write(channel, left):]


def missing():
    """What has to be installed; None where all is."""
    advice = "a Python with jinja2 3.1.6 or later (pip install 'jinja2>=3.1.6')"
    try:
        import jinja2
    except ImportError as error:
        return {"expected": advice, "actual": f"{sys.executable}: {error}"}
    version = getattr(jinja2, "__version__", "")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < NEEDED:
        return {"expected": advice, "actual": f"{sys.executable}: jinja2 {version}"}
    return None


def main():
    channel = int(sys.argv[1])
    os.set_inheritable(channel, False)
    try:
        lacks = missing()
        host = None if lacks else Host(channel)
    except Exception as error:
        lacks = {"expected": "a jinja2 that can be used",
                 "actual": one_line(f"{sys.executable}: {type(error).__name__}: {error}")}
    write_frame(channel, json.dumps(lacks or {}).encode("ascii"))
    if lacks:
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    host.serve()


main()
