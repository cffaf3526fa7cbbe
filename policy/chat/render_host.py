"""Renders conversations by a model's chat template: the child's side of policy/chat_template.h.

Given to the interpreter by zeroth behind render_request.py, with the argument CHANNEL. Frames are a
size (8 bytes, little-endian) and as many bytes. First comes a frame of ours that says what is
missing, if anything is; then one of zeroth's with the templates. After that zeroth sends batches, a
number of requests and as many frames, and each request is answered by one frame, in order: T and
the text, or E and why there is none.

What a template finds here is what transformers 5.23 gives it, where that can be seen in a
rendering: names, filters and tags, fields of messages that stand in for others, values left out.
"""
import os
import resource
import signal
import struct

MEMORY = 1 << 30  # bytes of address space
SECONDS = 2.0  # of a processor, for one rendering; the signal that ends it is the default's: the end
MOST_KEPT = 64  # templates that are compiled
NEEDED = (3, 1, 6)  # of jinja2: what came before lets a template out of its sandbox


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
