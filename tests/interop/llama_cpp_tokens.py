"""Checks that llama.cpp gives the token ids of the tokenizers that `zeroth export --format gguf` writes.

- Tokenizers without cuts: bytes, merges, rows of the model without a token, an alphabet.
- Learned tokenizers with the expressions of the model families, each under its name in llama.cpp.
- With ZEROTH_FIXTURES, the files of real models on recorded texts.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import unicodedata
from pathlib import Path

from llama_cpp import LlamaCpp
from random_models import DENSE, make_random, random_text
from zeroth_command import Zeroth

TEXTS = [
    "", "a", " ", "  ", "\n\n \t x", "Hello, world! It's 12345 o'clock (or isn't it?).",
    "don't we'll I'VE", "ab abc abcabc 1212 (ab)ab,ab. ab|ab", "naïve Ω 東京 🙂 \u200b\u00a0é",
    "<think>x</think><answer>7</answer>", "< think> <thi<think>nk> </answer", "<eos><bos><pad>",
    "x" * 500, "abc" * 200, "ab " * 200, "\r\n", "1+1=2;?", "a\u0301\u3000b\u2028c",
]  # fmt: skip


def with_merges(byte_checkpoint: Path, checkpoint: Path):
    """The tokens of control characters become tokens that merges make."""
    shutil.copytree(byte_checkpoint, checkpoint)
    (checkpoint / "SHA256SUMS").unlink()
    file = checkpoint / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    merges = [
        ("a", "b"), ("ab", "c"), ("1", "2"), ("12", "12"), ("b", "c"), ("x", "x"), ("xx", "x")
    ]  # fmt: skip
    vocab = tokenizer["model"]["vocab"]
    names = sorted(vocab, key=vocab.get)
    for number, (left, right) in enumerate(merges):
        names[number] = left + right
    tokenizer["model"]["vocab"] = {token: number for number, token in enumerate(names)}
    tokenizer["model"]["merges"] = [f"{left} {right}" for left, right in merges]
    file.write_text(json.dumps(tokenizer))
    return checkpoint


def without_last_token(byte_checkpoint: Path, checkpoint: Path):
    """The model has one row more than the tokenizer has tokens."""
    shutil.copytree(byte_checkpoint, checkpoint)
    (checkpoint / "SHA256SUMS").unlink()
    file = checkpoint / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["added_tokens"].pop()
    file.write_text(json.dumps(tokenizer))
    return checkpoint


LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
MARKED = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
RAISED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# What tokenizer.ggml.pre should say, and the expressions that it stands for.
PATTERNS = {
    "gpt-2": "gpt2",
    "qwen2": "qwen2",
    "smaug-bpe": "llama3",
    "deepseek-v3": [
        r"\p{N}{1,3}",
        "[一-龥\u3040-ゟ゠-ヿ]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
        r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
    ],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"],
    "kimi-k2": [
        r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?" + RAISED + "*" + MARKED + "+" + ENDINGS
        + r"|[^\r\n\p{L}\p{N}]?" + RAISED + "+" + MARKED + "*" + ENDINGS
        + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
}  # fmt: skip
CORPUS = TEXTS + [
    "The theme of the thesis is that they gather there, don't they? WE'LL see. naïve Ωmega\n",
    "x = 12345 + 67; // 东京 東京 日本語のテキスト 한국어 텍스트 русский текст\r\n\r\n\tdef f(x):\n    return x\n",
]  # fmt: skip


def learned_tokenizer(zeroth, directory: Path, name: str, pattern):
    corpus = directory / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text * 3}) + "\n" for text in CORPUS))
    output = directory / f"learned-{name}"
    word = pattern if isinstance(pattern, str) else "qwen2"
    zeroth.run("tokenizer", "train", corpus, "--vocab_size", 600, "--pattern", word,
               "--output_dir", output)  # fmt: skip
    if word == pattern:
        return output
    (output / "SHA256SUMS").unlink()
    file = output / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    steps = tokenizer["pre_tokenizer"]["pretokenizers"]
    cuts = [steps[0] | {"pattern": {"Regex": expression}} for expression in pattern]
    tokenizer["pre_tokenizer"]["pretokenizers"] = cuts + steps[1:]
    file.write_text(json.dumps(tokenizer))
    return output


def with_tokenizer(zeroth, directory: Path, name: str, tokenizer: Path):
    """The smallest model with that vocabulary, as a file of llama.cpp's."""
    config, checkpoint = directory / "small.json", directory / f"small-{name}"
    small = DENSE | {"model_type": "qwen2", "hidden_size": 32, "num_hidden_layers": 1,
                     "intermediate_size": 32}  # fmt: skip
    config.write_text(json.dumps(small))
    zeroth.run("init", "--architecture", config, "--tokenizer", tokenizer, "--output_dir", checkpoint)
    path = directory / f"small-{name}.gguf"
    return zeroth.export(checkpoint, path, format="gguf", dtype="f16")


def compare_ids(name: str, path: Path, cases, pre=None):
    """`cases`: texts and their ids."""
    model = LlamaCpp(path)
    wrong = [text for text, ids in cases if text and model.tokenize(text) != ids]
    named = pre is None or pre.encode() in path.read_bytes()[:100_000_000]
    return {"check": f"tokens, {name}", "texts": len(cases), "different": wrong[:3],
            "num_different": len(wrong), "agrees": not wrong and named}  # fmt: skip


def check_patterns(zeroth, directory: Path):
    source = random.Random(9)
    words = "abcXYZ '\"sStT12 345\n\r\t.,!?-_/<>()éüßΩя日本東京한글🙂"
    # Where llama.cpp cuts by an expression that it has no code of its own for, U+2028 is no space.
    texts = [text for text in CORPUS if "\u2028" not in text]
    texts += [random_text(source, words, source.randrange(1, 80)) for _ in range(200)]
    for name, pattern in PATTERNS.items():
        tokenizer = learned_tokenizer(zeroth, directory, name, pattern)
        path = with_tokenizer(zeroth, directory, name, tokenizer)
        ids = zeroth.tokenize(tokenizer, texts)
        yield compare_ids(name, path, list(zip(texts, ids)), pre=name)


def check_real_files(zeroth, directory: Path):
    """Recorded ids of Hugging Face's tokenizers, of texts in normal form C: llama.cpp does not normalize. Its Unicode is
    of another version, so one text of a hundred may differ."""
    folder = Path(os.environ.get("ZEROTH_FIXTURES", "/nowhere")) / "tokenizers"
    for file in sorted(folder.glob("*/tokenizer.json")):
        name, copy = file.parent.name, directory / f"real-{file.parent.name}"
        shutil.copytree(file.parent, copy)
        config = copy / "tokenizer_config.json"
        added = json.loads(file.read_text())["added_tokens"]
        names = json.loads(config.read_text()) if config.exists() else {}
        if not names.get("eos_token"):
            config.chmod(0o644) if config.exists() else None
            config.write_text(json.dumps({"eos_token": added[0]["content"]}))
        path = with_tokenizer(zeroth, directory, f"real-{name}", copy)
        rows = [json.loads(line) for line in (copy / "vectors_hf.jsonl").open()]
        rows = [row for row in rows if unicodedata.is_normalized("NFC", row["text"])]
        result = compare_ids(name, path, [(row["text"], row["ids"]) for row in rows])
        yield result | {"agrees": result["num_different"] <= 0.01 * len(rows)}


def check_tokenizers(zeroth, directory: Path):
    source = random.Random(7)
    byte = make_random(zeroth, directory, "byte", {"model_type": "qwen2"}, 1, "byte")
    alphabet = directory / "alphabet"
    zeroth.run("init", "--architecture", "tiny-dense", "--tokenizer", "0123456789+=;?",
               "--output_dir", alphabet)  # fmt: skip
    words = "abc12x <>/\n.,é東" + "\U0001f642"
    texts = TEXTS + [random_text(source, words, source.randrange(1, 60)) for _ in range(40)]
    of_digits = [random_text(source, "0123456789+=;?", source.randrange(1, 60)) for _ in range(20)]
    of_digits += ["<think>1+1=2</think><answer>2</answer>", "<eos>1<pad><bos>", "12;<think><think>"]
    cases = {
        "byte": (byte, texts),
        "merges": (with_merges(byte, directory / "merges"), texts),
        "padded": (without_last_token(byte, directory / "padded"), texts),
        "alphabet": (alphabet, of_digits),
    }
    for name, (checkpoint, case) in cases.items():
        path = zeroth.export(checkpoint, directory / f"{name}-t.gguf", format="gguf", dtype="f32")
        model = LlamaCpp(path)
        wrong = [
            text
            for text in case
            if text and model.tokenize(text) != zeroth.logits(checkpoint, text)["text_ids"]
        ]
        yield {"check": f"tokens, {name}", "texts": len(case), "different": wrong[:3],
               "agrees": not wrong}  # fmt: skip
    long = "ab c" * 50000  # through the expression that cuts, without running out of stack
    model = LlamaCpp(directory / "byte-t.gguf")
    yield {"check": "tokens, 200 kB", "agrees": len(model.tokenize(long)) == len(long)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for check in (check_tokenizers, check_patterns, check_real_files):
            for result in check(zeroth, directory):
                print(json.dumps(result), flush=True)
                agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
