"""Checks that `zeroth chat-template DIRECTORY` renders what AutoTokenizer.apply_chat_template does.

For directories that spell their tokens and templates in every way known here, and conversations
with tools, documents, thoughts, fields without a value and a last message to be continued: the same
text, or an error from both. A control: with another conversation the texts are not equal.

Prints one JSON line a directory; exits 1 when one differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

TEMPLATE = (
    "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ sep_token }}|{{ image_token }}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ m.reasoning_content }}{{ m.thinking }}\n"
    "{% endfor %}{% if tools %}{{ tools|tojson(indent=2) }}{% endif %}{{ documents }}"
    "{% if add_generation_prompt %}{% generation %}<assistant>{% endgeneration %}{% endif %}"
)
SHORT = "{{ tools is none }}{{ messages[-1].content | trim }}."


def added(text):
    return {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": False,
            "rstrip": False, "single_word": False}  # fmt: skip


FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
CONFIGS = [
    FAST,
    {**FAST, "bos_token": "<s>", "eos_token": added("</s>"), "add_bos_token": True},
    {**FAST, "bos_token": None, "eos_token": "</s>", "image_token": "<i>"},
    {**FAST, "extra_special_tokens": {"image_token": "<i>"}},
    {**FAST, "additional_special_tokens": ["<x>", "<y>"]},
    *({"tokenizer_class": f"{name}Tokenizer{fast}"} for name in ("Qwen2", "GPT2", "Gemma", "Cohere")
      for fast in ("", "Fast")),
    {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<e>", "unk_token": None},
    {"tokenizer_class": "LlamaTokenizerFast"},  # which a byte-level tokenizer.json is not
]  # fmt: skip
FILES = [{"tokenizer_config.json": {**config, "chat_template": TEMPLATE}} for config in CONFIGS] + [
    {"tokenizer_config.json": {**FAST, "bos_token": "<s>", "chat_template": TEMPLATE},
     "special_tokens_map.json": {"bos_token": "<m>", "sep_token": {"content": "<2>"}}},
    {"tokenizer_config.json": {**FAST, "bos_token": "<s>", "added_tokens_decoder": {},
                               "chat_template": TEMPLATE},
     "special_tokens_map.json": {"bos_token": "<m>"}},
    {"chat_template.jinja": TEMPLATE, "special_tokens_map.json": {"bos_token": "<m>"}},
    {"tokenizer_config.json": {**FAST, "chat_template": SHORT}, "chat_template.jinja": TEMPLATE},
    {"tokenizer_config.json": {**FAST, "chat_template": [
        {"name": "default", "template": SHORT}, {"name": "tool_use", "template": TEMPLATE}]}},
    {"chat_template.jinja": SHORT, "additional_chat_templates/tool_use.jinja": TEMPLATE},
    {"additional_chat_templates/rag.jinja": TEMPLATE},
]  # fmt: skip

USER = {"role": "user", "content": "é <b>&"}
SAID = {"role": "assistant", "content": "so \n", "thinking": "hm", "tool_calls": None}
REQUESTS = [
    {"messages": [USER]},
    {"messages": [USER, SAID], "add_generation_prompt": True},
    {"messages": [USER], "tools": [{"type": "function", "function": {"name": "f", "x": [1.0, None]}}]},
    {"messages": [USER], "tools": []},
    {"messages": [USER], "documents": [{"title": "t", "text": "d"}]},
    {"messages": [USER, SAID], "continue_final_message": True},
    {"messages": [USER, SAID], "continue_final_message": "thinking"},
    {"messages": [USER], "continue_final_message": True, "add_generation_prompt": True},
    {"messages": [USER], "documents": ["d"]},
    {"messages": []},
    {"messages": [USER], "bos_token": "<mine>"},
]  # fmt: skip
CONTROL = {"messages": [{"role": "user", "content": "another"}]}


def write(directory: Path, files, tokenizer: str):
    (directory / "tokenizer.json").write_text(tokenizer)
    (directory / "config.json").write_text('{"model_type": "llama"}')
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))


def theirs(tokenizer, request):
    """None where it raises."""
    fields = dict(request)
    try:
        return tokenizer.apply_chat_template(fields.pop("messages"), tokenize=False, **fields)
    except Exception:  # noqa: BLE001: whatever it is
        return None


def ours(zeroth: str, directory: Path, requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [zeroth, "chat-template", directory, "--jsonl", "--python", sys.executable]
    result = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    return [json.loads(line).get("text") for line in result.stdout.splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--zeroth", required=True)
    zeroth = parser.parse_args().zeroth
    failures = 0
    for files in FILES:
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as model:
            subprocess.run([zeroth, "init", "--architecture", "tiny-dense", "--output_dir",
                            Path(model) / "init"], check=True, capture_output=True)  # fmt: skip
            write(Path(name), files, (Path(model) / "init/tokenizer.json").read_text())
            tokenizer = AutoTokenizer.from_pretrained(name)
            expected = [theirs(tokenizer, request) for request in REQUESTS]
            actual = ours(zeroth, Path(name), REQUESTS)
            control = ours(zeroth, Path(name), [CONTROL])[0]
        same = [i for i in range(len(REQUESTS)) if actual[i : i + 1] == expected[i : i + 1]]
        well = len(same) == len(REQUESTS) and (control is None or control not in expected)
        failures += 0 if well else 1
        print(json.dumps({"files": files, "renderings": len(REQUESTS), "same": len(same),
                          "refused": expected.count(None), "well": well}))  # fmt: skip
        for i in set(range(len(REQUESTS))) - set(same):
            print(json.dumps({"request": REQUESTS[i], "expected": expected[i],
                              "actual": actual[i : i + 1]}))  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
