"""Hugging Face tokenizers as the peer of `zeroth bench tokenizer`: tokenizers_peer.py THREADS.

Reads lines: a directory with tokenizer.json and vectors_hf.jsonl. Answers each with one line {"load_seconds",
"encode_mb", "decode_mb", "ids"}: megabytes of UTF-8 a second. On one thread a text is encoded as a whole and alone, as a
trainer does; on several all texts are one batch. The cache of pieces stays warm over the passes.
"""

import json
import os
import sys
import time
from pathlib import Path

THREADS = int(sys.argv[1])
os.environ["TOKENIZERS_PARALLELISM"] = "true" if THREADS > 1 else "false"
os.environ["RAYON_NUM_THREADS"] = str(THREADS)

from tokenizers import Tokenizer

SECONDS = 0.5


def rate_of(size, run):
    begin = time.perf_counter()
    done = 0
    while True:
        run()
        done += size
        seconds = time.perf_counter() - begin
        if seconds >= SECONDS:
            return done / seconds / 1e6


def measure(directory):
    begin = time.perf_counter()
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    load = time.perf_counter() - begin
    lines = (directory / "vectors_hf.jsonl").read_text().split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    size = sum(len(text.encode()) for text in texts)
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    def encode():
        if THREADS > 1:
            return tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for text in texts:
            tokenizer.encode(text, add_special_tokens=False)

    def decode():
        if THREADS > 1:
            return tokenizer.decode_batch(ids, skip_special_tokens=False)
        for one in ids:
            tokenizer.decode(one, skip_special_tokens=False)

    return {
        "load_seconds": load,
        "encode_mb": rate_of(size, encode),
        "decode_mb": rate_of(size, decode),
        "ids": sum(map(len, ids)),
    }


def main():
    for line in sys.stdin:
        print(json.dumps(measure(Path(line.strip()))), flush=True)


if __name__ == "__main__":
    main()
