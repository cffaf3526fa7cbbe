"""Checks that llama.cpp runs what `zeroth export --format gguf` writes.

- A dense model, trained for some steps on sums: in f32 the greedy tokens of llama.cpp are those of
  `zeroth sample`, all of them; in f16, bf16 and q8_0 most answers are, and the shares are printed.
- Random models of every family, with untied and tied embeddings, wide heads, scaled rotary
  frequencies, latent attention and experts: in f32 the greedy tokens are equal.
- The same models in every type: log-probs of the next token are those of `zeroth logits` within a
  bound for the type.
- Token ids of many texts, for each kind of tokenizer that is written; with ZEROTH_FIXTURES, of the
  recorded texts in the files of real models.
- A control: the tokens of two different models are not equal.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import unicodedata
from pathlib import Path

from llama_cpp import LlamaCpp
from zeroth_command import Zeroth, train_on_sums

LEAST_SHARE = {"f16": 0.9, "bf16": 0.8, "q8_0": 0.75}  # of answers, in the trained model
# Nats between log-probs, in the median over the ten likeliest tokens of random models, whose logits spread over ±10 and
# more. Not the mean: where a router's choice is close, rounding makes it another.
MOST_NATS = {"f32": 0.0001, "f16": 0.01, "bf16": 0.06, "q8_0": 0.12, "q4_k_m": 0.8, "q4_0": 1.2}
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
YARN = {
    "type": "yarn", "factor": 40.0, "original_max_position_embeddings": 16, "mscale": 1.0,
    "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip
EXPERTS = {
    "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4, "moe_intermediate_size": 32,
    "first_k_dense_replace": 1, "num_hidden_layers": 3, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": True, "routed_scaling_factor": 2.5,
}  # fmt: skip
LATENT = EXPERTS | {
    "num_key_value_heads": 4, "kv_lora_rank": 32, "q_lora_rank": 24, "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 24, "v_head_dim": 20, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
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
    "qwen2, yarn": {
        "model_type": "qwen2",
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe", "head_dim": 32, "num_experts": 16, "num_experts_per_tok": 4,
        "moe_intermediate_size": 32, "norm_topk_prob": True, "decoder_sparse_step": 1,
    },
    "glm4_moe": EXPERTS | {
        "model_type": "glm4_moe", "head_dim": 32, "partial_rotary_factor": 0.5,
        "attention_bias": True, "use_qk_norm": True,
    },
    "deepseek_v2, full-rank queries": LATENT | {
        "model_type": "deepseek_v2", "q_lora_rank": None, "topk_method": "greedy",
        "scoring_func": "softmax", "norm_topk_prob": False, "routed_scaling_factor": 1.0,
        "rope_scaling": YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}, "rms_norm_eps": 1e-06,
    },
    "deepseek_v3, groups": LATENT | {
        "model_type": "deepseek_v3", "n_group": 4, "topk_group": 2, "rope_scaling": YARN,
        "rms_norm_eps": 1e-06,
    },
    "deepseek_v3 without yarn": LATENT | {
        "model_type": "deepseek_v3", "q_lora_rank": None, "n_shared_experts": 2,
        "rms_norm_eps": 1e-06,
    },
    "kimi_k2": LATENT | {
        "model_type": "kimi_k2", "rope_theta": 50000.0, "rms_norm_eps": 1e-06,
        "rope_scaling": YARN | {"factor": 32.0, "beta_fast": 1.0, "beta_slow": 1.0},
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
        yield from check_types(zeroth, directory, name, checkpoint, prompts)
        if control is not None:
            result = compare(control, LlamaCpp(path), prompts, 24)
            agrees = result["equal"] <= num_prompts // 4
            yield {"check": f"control, {name} against the one before"} | result | {"agrees": agrees}
        control = expected


def nats_between(record, likeliest):
    """How far the log-probs {id: nats} are from those of the last of the recorded logits."""
    logits = record["logits"][0][-1]
    most = max(logits)
    total = most + math.log(sum(math.exp(logit - most) for logit in logits))
    return [abs(nats - (logits[token] - total)) for token, nats in likeliest.items()]


def check_types(zeroth, directory: Path, name: str, checkpoint: Path, prompts):
    records = [zeroth.logits(checkpoint, prompt) for prompt in prompts]
    for dtype, most in MOST_NATS.items():
        path = directory / f"{name}-{dtype}.gguf"
        model = LlamaCpp(zeroth.export(checkpoint, path, format="gguf", dtype=dtype))
        nats = [
            difference
            for prompt, record in zip(prompts, records)
            for difference in nats_between(record, model.likeliest(prompt, 10))
        ]
        median = statistics.median(nats)
        yield {"check": f"log-probs, {name}, {dtype}", "median_nats": round(median, 7),
               "max_nats": round(max(nats), 6), "agrees": median <= most}  # fmt: skip
        path.unlink()


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
    parser.add_argument("--only", default="", help="checks to run: trained, random, tokens, patterns, files")
    parser.add_argument("--prompts", type=int, default=40, help="prompts of the trained model")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        checks = {
            "trained": lambda: check_trained(zeroth, directory, args.prompts),
            "random": lambda: check_random(zeroth, directory, num_prompts=12),
            "tokens": lambda: check_tokenizers(zeroth, directory),
            "patterns": lambda: check_patterns(zeroth, directory),
            "files": lambda: check_real_files(zeroth, directory),
        }
        for name in args.only.split(",") if args.only else checks:
            results = checks[name]()
            for result in results:
                print(json.dumps(result), flush=True)
                agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
