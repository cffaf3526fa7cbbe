"""Checks that transformers runs what `zeroth export --format hf` writes, with nothing changed.

For a model with latent attention and experts and for a dense one, both trained for some steps on
sums, and each of f32 (in several files), f16 and bf16: AutoModelForCausalLM loads the directory in
the type it was written in; computing in float32, its greedy tokens are those of `zeroth sample` on
the same directory, all of them, and its logits and token ids are those of `zeroth logits`. A
control: the tokens of the two models are not equal.

Prints one JSON line a check; exits 1 when one fails.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers_parity import compare_logits, compare_tokenizer
from zeroth_command import Zeroth, train_on_sums

MAX_TOKENS = 56
TOLERANCE = 1e-4  # of a logit
FORMATS = {
    "f32": (torch.float32, {"max_shard_bytes": 1_000_000}),
    "f16": (torch.float16, {}),
    "bf16": (torch.bfloat16, {}),
}


def sums(count: int):
    source = random.Random(11)
    return [f"{source.randrange(100, 1000)}+{source.randrange(100, 1000)}=" for _ in range(count)]


@torch.no_grad()
def greedy(checkpoint: Path, prompts):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    completions = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_TOKENS)
        completions.append(ids[0, inputs["input_ids"].shape[1] :].tolist())
    return completions


def stored_type(checkpoint: Path):
    """The type transformers takes where none is asked for."""
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto").dtype


def check_export(zeroth, checkpoint: Path, prompts, dtype: str):
    expected_type, _ = FORMATS[dtype]
    record = zeroth.logits(checkpoint, "<think>8+3+0=11;</think><answer>11</answer>")
    result = {
        "type": str(stored_type(checkpoint)),
        "files": len(list(checkpoint.glob("*.safetensors"))),
        "max_logit_difference": compare_logits(checkpoint, record),
    } | compare_tokenizer(checkpoint, record)
    expected = [zeroth.greedy(checkpoint, prompt, MAX_TOKENS)[0] for prompt in prompts]
    actual = greedy(checkpoint, prompts)
    result |= {
        "prompts": len(prompts),
        "equal": sum(a == b for a, b in zip(expected, actual)),
        "tokens": sum(map(len, expected)),
    }
    result["agrees"] = (
        result["type"] == str(expected_type)
        and result["max_logit_difference"] <= TOLERANCE
        and result["ids_equal"]
        and result["decoded_equal"]
        and result["equal"] == len(prompts)
    )
    return result, actual


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    parser.add_argument("--prompts", type=int, default=12, help="prompts of each model")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    torch.set_num_threads(2)
    prompts = sums(args.prompts)
    agrees, completions = True, {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for architecture in ("tiny-mla-moe", "tiny-dense"):
            trained = train_on_sums(zeroth, directory, architecture, steps=60, seed=3)
            for dtype, (_, flags) in FORMATS.items():
                checkpoint = directory / f"{architecture}-{dtype}"
                zeroth.export(trained, checkpoint, format="hf", dtype=dtype, **flags)
                result, completions[architecture] = check_export(zeroth, checkpoint, prompts, dtype)
                print(json.dumps({"check": checkpoint.name} | result), flush=True)
                agrees = agrees and result["agrees"]
    apart = completions["tiny-mla-moe"] != completions["tiny-dense"]
    print(json.dumps({"check": "control, one model against the other", "agrees": apart}))
    sys.exit(0 if agrees and apart else 1)


if __name__ == "__main__":
    main()
