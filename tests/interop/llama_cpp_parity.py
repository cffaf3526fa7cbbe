"""Checks that llama.cpp runs what `zeroth export --format gguf` writes.

- A dense model, trained for some steps on sums: in f32 the greedy tokens of llama.cpp are those of
  `zeroth sample`, all of them; in f16, bf16 and q8_0 most answers are, and the shares are printed.
- Random models of every family, with untied and tied embeddings, wide heads, scaled rotary
  frequencies, latent attention and experts: in f32 the greedy tokens are equal.
- The same models in every type: log-probs of the next token are those of `zeroth logits` within a
  bound for the type.
- A control: the tokens of two different models are not equal.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
from pathlib import Path

from llama_cpp import LlamaCpp
from random_models import ASCII, make_random, random_text
from zeroth_command import Zeroth, train_on_sums

LEAST_SHARE = {"f16": 0.9, "bf16": 0.8, "q8_0": 0.75}  # of answers, in the trained model
# Nats between log-probs, in the median over the ten likeliest tokens of random models, whose logits spread over ±10 and
# more. Not the mean: where a router's choice is close, rounding makes it another.
MOST_NATS = {"f32": 0.0001, "f16": 0.01, "bf16": 0.06, "q8_0": 0.12, "q4_k_m": 0.8, "q4_0": 1.2}
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
    "deepseek_v3 without experts": LATENT | {
        "model_type": "deepseek_v3", "first_k_dense_replace": 3, "rms_norm_eps": 1e-06,
    },
    "kimi_k2": LATENT | {
        "model_type": "kimi_k2", "rope_theta": 50000.0, "rms_norm_eps": 1e-06,
        "rope_scaling": YARN | {"factor": 32.0, "beta_fast": 1.0, "beta_slow": 1.0},
    },
}  # fmt: skip


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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    parser.add_argument("--only", default="", help="checks to run: trained, random")
    parser.add_argument("--prompts", type=int, default=40, help="prompts of the trained model")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        checks = {
            "trained": lambda: check_trained(zeroth, directory, args.prompts),
            "random": lambda: check_random(zeroth, directory, num_prompts=12),
        }
        for name in args.only.split(",") if args.only else checks:
            results = checks[name]()
            for result in results:
                print(json.dumps(result), flush=True)
                agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
