"""Checks that llama.cpp runs what `zeroth export --format gguf` writes.

- A dense model, trained for some steps on sums: in f32 the greedy tokens of llama.cpp are those of
  `zeroth sample`, all of them; in f16, bf16 and q8_0 most answers are, and the shares are printed.
- Random Qwen2, Qwen3 and Llama models, with untied and tied embeddings, wide heads and scaled
  rotary frequencies: in f32 the greedy tokens are equal.
- Token ids of many texts, for each kind of tokenizer that is written.
- A control: the tokens of two different models are not equal.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from llama_cpp import LlamaCpp
from zeroth_command import Zeroth, train_on_sums

LEAST_SHARE = {"f16": 0.9, "bf16": 0.8, "q8_0": 0.75}  # of answers, in the trained model
DENSE = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 160, "num_attention_heads": 4,
    "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "initializer_range": 0.2,
    "tie_word_embeddings": False,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
RANDOM_MODELS = {
    "qwen2": {"model_type": "qwen2"},
    "qwen2, tied, linear": {
        "model_type": "qwen2", "tie_word_embeddings": True,
        "rope_scaling": {"type": "linear", "factor": 4.0},
    },
    "qwen3, wide heads": {"model_type": "qwen3", "head_dim": 32, "rope_theta": 1000000.0},
    "qwen3, tied": {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True},
    "llama": {"model_type": "llama"},
    "llama, tied, llama3": {
        "model_type": "llama", "tie_word_embeddings": True, "rope_scaling": LLAMA3,
    },
    "llama, wide heads, linear": {
        "model_type": "llama", "head_dim": 32, "rope_scaling": {"type": "linear", "factor": 2.0},
    },
}  # fmt: skip
ASCII = "abcdefghijklmnopqrstuvwxyz0123456789 .,+-*/=()<>;:?!\n"
TEXTS = [
    "", "a", " ", "  ", "\n\n \t x", "Hello, world! It's 12345 o'clock (or isn't it?).",
    "don't we'll I'VE", "ab abc abcabc 1212 (ab)ab,ab. ab|ab", "naïve Ω 東京 🙂 \u200b\u00a0é",
    "<think>x</think><answer>7</answer>", "< think> <thi<think>nk> </answer", "<eos><bos><pad>",
    "x" * 500, "abc" * 200, "ab " * 200, "\r\n", "1+1=2;?", "a\u0301\u3000b\u2028c",
]  # fmt: skip


def random_text(source: random.Random, alphabet: str, length: int) -> str:
    return "".join(source.choice(alphabet) for _ in range(length))


def sums(count: int):
    source = random.Random(11)
    return [f"{source.randrange(100, 1000)}+{source.randrange(100, 1000)}=" for _ in range(count)]


def compare(expected, model: LlamaCpp, prompts, max_tokens: int):
    """How many completions, and how many leading tokens of each, are those expected."""
    equal = tokens = leading = 0
    margin = float("inf")
    for prompt, (ids, stopped) in zip(prompts, expected):
        actual, actually_stopped, nearest = model.greedy(prompt, max_tokens)
        equal += actual == ids and actually_stopped == stopped
        margin = min(margin, nearest)
        tokens += len(ids)
        for a, b in zip(actual, ids):
            if a != b:
                break
            leading += 1
    return {"prompts": len(prompts), "equal": equal, "tokens": tokens, "leading_equal": leading,
            "nearest_second": round(margin, 6)}  # fmt: skip


def check_trained(zeroth, directory: Path, num_prompts: int):
    checkpoint = train_on_sums(zeroth, directory, "tiny-dense", steps=60, seed=3)
    prompts = sums(num_prompts)
    expected = [zeroth.greedy(checkpoint, prompt, 56) for prompt in prompts]
    for dtype in ("f32", "f16", "bf16", "q8_0"):
        path = zeroth.export(checkpoint, directory / f"{dtype}.gguf", format="gguf", dtype=dtype)
        result = {"check": f"trained, {dtype}", "bytes": path.stat().st_size}
        result |= compare(expected, LlamaCpp(path), prompts, 56)
        least = LEAST_SHARE.get(dtype, 1.0) * num_prompts
        yield result | {"agrees": result["equal"] >= least}
    path = directory / "f32.gguf"
    result = compare(expected, LlamaCpp(path, half_cache=True), prompts, 56)
    yield {"check": "trained, f32, llama.cpp's own cache"} | result | {
        "agrees": result["equal"] >= 0.9 * num_prompts
    }


def make_random(zeroth, directory: Path, name: str, changes, seed: int, tokenizer=ASCII):
    config, checkpoint = directory / f"{name}.json", directory / name
    config.write_text(json.dumps(DENSE | changes))
    zeroth.run("init", "--architecture", config, "--tokenizer", tokenizer, "--seed", seed,
               "--output_dir", checkpoint)  # fmt: skip
    return checkpoint


def check_random(zeroth, directory: Path, num_prompts: int):
    source = random.Random(5)
    prompts = [
        random_text(source, ASCII, source.randrange(1, 120)) for _ in range(num_prompts)
    ]
    control = None
    for seed, (name, changes) in enumerate(RANDOM_MODELS.items()):
        checkpoint = make_random(zeroth, directory, name, changes, seed)
        expected = [zeroth.greedy(checkpoint, prompt, 24) for prompt in prompts]
        path = zeroth.export(checkpoint, directory / f"{name}.gguf", format="gguf", dtype="f32")
        result = compare(expected, LlamaCpp(path), prompts, 24)
        yield {"check": f"random, {name}"} | result | {"agrees": result["equal"] == num_prompts}
        if control is not None:
            result = compare(control, LlamaCpp(path), prompts, 24)
            agrees = result["equal"] <= num_prompts // 4
            yield {"check": f"control, {name} against the one before"} | result | {"agrees": agrees}
        control = expected


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
    parser.add_argument("--prompts", type=int, default=40, help="prompts of the trained model")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for results in (
            check_trained(zeroth, directory, args.prompts),
            check_random(zeroth, directory, num_prompts=12),
            check_tokenizers(zeroth, directory),
        ):
            for result in results:
                print(json.dumps(result), flush=True)
                agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
