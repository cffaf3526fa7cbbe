"""The trainer of Hugging Face's tokenizers as the peer of `zeroth bench tokenizer_training`:
tokenizers_training_peer.py THREADS.

Reads lines {"file": JSONL file of {"text"}, "vocab_size"}. Answers each with {"seconds", "merges"}: the time from texts
in memory to a trained tokenizer, and the SHA-256 of its merges, a line each.
"""

import hashlib
import json
import os
import sys
import time

THREADS = int(sys.argv[1])
os.environ["TOKENIZERS_PARALLELISM"] = "true" if THREADS > 1 else "false"
os.environ["RAYON_NUM_THREADS"] = str(THREADS)

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(texts, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN2), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main():
    for line in sys.stdin:
        request = json.loads(line)
        with open(request["file"]) as file:
            texts = [json.loads(row)["text"] for row in file if row.strip()]
        begin = time.perf_counter()
        tokenizer = train(texts, request["vocab_size"])
        seconds = time.perf_counter() - begin
        merges = json.loads(tokenizer.to_str())["model"]["merges"]
        text = "".join(f"{left} {right}\n" for left, right in merges)
        answer = {"seconds": seconds, "merges": hashlib.sha256(text.encode()).hexdigest()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
