"""Checks that `zeroth tokenizer train` learns what the BpeTrainer of Hugging Face's tokenizers learns.

- From the same texts, with each pattern: vocabulary and merges are equal, in their order.
- `tokenizers` and transformers' AutoTokenizer load the directory; their ids are those of `zeroth tokenize`.
- A control: other texts give other merges.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer
from zeroth_command import Zeroth

FRONT = ["<pad>", "<bos>", "<eos>", "<|sys|>", "<think>", "</think>"]
LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "gpt2": None,
    "qwen2": LETTERS + r"\p{N}" + REST,
    "llama3": LETTERS + r"\p{N}{1,3}" + REST,
    r"\w+|\W": r"\w+|\W",
}


def make_texts(seed: int):
    source = random.Random(seed)
    syllables = [
        source.choice("bcdfghklmnprstvw") + source.choice("aeiou") + source.choice(["", "n", "s"])
        for _ in range(60)
    ]
    words = ["".join(source.choices(syllables, k=source.randrange(1, 4))) for _ in range(400)]
    words += ["东京", "naïve", "Ω", "🙂", "isn't", "WE'LL", "def f(x):\n    return x", "12345", "3.14"]
    ends = [" ", " ", " ", ", ", ".\n", "\n\n", "  ", "\r\n", "\t", "!?"]
    texts = []
    for _ in range(200):
        parts = [source.choice(words) + source.choice(ends) for _ in range(source.randrange(1, 80))]
        texts.append("".join(parts))
    return texts


def learn(texts, pattern, vocab_size, min_frequency):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_level
    if pattern is not None:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=FRONT,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())["model"]


def check_learning(zeroth, directory: Path):
    texts = make_texts(1)
    file = directory / "texts.jsonl"
    rows = [json.dumps({"a": a, "b": b}) for a, b in zip(texts[::2], texts[1::2])]
    file.write_text("\n".join(rows) + "\n")
    for number, (name, pattern) in enumerate(PATTERNS.items()):
        vocab_size, min_frequency = 400 + 300 * number, 1 + number % 3
        output = directory / f"tokenizer-{number}"
        zeroth.run("tokenizer", "train", file, "--columns", "a,b", "--pattern", name, "--vocab_size", vocab_size,
                   "--min_frequency", min_frequency, "--special_tokens", "<|sys|>",
                   "--added_tokens", "<think>,</think>", "--output_dir", output)  # fmt: skip
        ours = json.loads((output / "tokenizer.json").read_text())["model"]
        theirs = learn(texts, pattern, vocab_size, min_frequency)
        agrees = ours["vocab"] == theirs["vocab"] and ours["merges"] == theirs["merges"]
        yield {"check": f"learned, {name}", "tokens": len(ours["vocab"]),
               "merges": len(ours["merges"]), "agrees": agrees}  # fmt: skip
        other = learn(make_texts(2), pattern, vocab_size, min_frequency)
        yield {"check": f"control, {name}", "agrees": other["merges"] != ours["merges"]}
        yield check_ids(zeroth, output, name)


def check_ids(zeroth, directory: Path, name: str):
    texts = make_texts(3) + ["", "<eos><think>x</think> <|sys|>", "\x00\x7f\u2028é"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    result = subprocess.run(
        [zeroth.binary, "tokenize", str(directory), "--jsonl"],
        input=lines, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = [json.loads(line) for line in result.stdout.split("\n") if line]
    plain = Tokenizer.from_file(str(directory / "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(directory)
    wrong = [
        text
        for text, answer in zip(texts, ours)
        if not plain.encode(text, add_special_tokens=False).ids
        == auto.encode(text, add_special_tokens=False)
        == answer["ids"]
        or answer["decoded"] != text
    ]
    named = (auto.pad_token, auto.bos_token, auto.eos_token) == ("<pad>", "<bos>", "<eos>")
    return {"check": f"ids, {name}", "texts": len(texts), "different": wrong[:3],
            "agrees": not wrong and named and len(ours) == len(texts)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as name:
        for result in check_learning(zeroth, Path(name)):
            print(json.dumps(result), flush=True)
            agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
