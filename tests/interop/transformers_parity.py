"""Checks that transformers computes what Zeroth computed from the same checkpoint.

Reads the file that `zeroth logits --json` writes: {"input_ids": [[id]], "logits": [[[float]]],
"text": str, "text_ids": [id]}; the last two may be absent. Loads the checkpoint in float32 by
AutoModelForCausalLM and AutoTokenizer, with nothing changed. Prints one JSON line; exits 1 when
logits differ by more than the tolerance, or when the text's ids or their decoding differ.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


@torch.no_grad()
def compare_logits(checkpoint: Path, record) -> float:
    """Returns the largest difference over rows of any length; infinite for a wrong shape or NaN."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    if len(record["input_ids"]) != len(record["logits"]) or not record["input_ids"]:
        return float("inf")
    worst = 0.0
    for ids, logits in zip(record["input_ids"], record["logits"]):
        expected = model(torch.tensor([ids])).logits[0]  # [T, V]
        actual = torch.tensor(logits)
        if actual.shape != expected.shape or not bool(actual.isfinite().all()):
            return float("inf")
        worst = max(worst, float((actual - expected).abs().max()))
    return worst


def compare_tokenizer(checkpoint: Path, record):
    """Returns transformers' ids of the text, and whether Zeroth's ids and their decoding agree."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ids = tokenizer(record["text"])["input_ids"]
    special = set(tokenizer.all_special_ids)
    plain = [token for token in record["text_ids"] if token not in special]
    decoded = tokenizer.decode(plain, clean_up_tokenization_spaces=False)
    return {
        "expected_ids": ids,
        "ids_equal": ids == record["text_ids"],
        "decoded": decoded,
        "decoded_equal": decoded == record["text"],
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="directory in hub layout")
    parser.add_argument(
        "--logits", type=Path, required=True, help="JSON written by `zeroth logits --json`"
    )
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="largest absolute difference of a logit"
    )
    args = parser.parse_args()
    record = json.loads(args.logits.read_text())
    result = {
        "max_logit_difference": compare_logits(args.checkpoint, record),
        "tolerance": args.tolerance,
    }
    agrees = result["max_logit_difference"] <= args.tolerance
    if "text" in record:
        result |= compare_tokenizer(args.checkpoint, record)
        agrees = agrees and result["ids_equal"] and result["decoded_equal"]
    result["agrees"] = agrees
    print(json.dumps(result))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
