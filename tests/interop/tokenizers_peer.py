"""Hugging Face tokenizers as the peer of `zeroth bench tokenizer`.

Reads lines: a directory with tokenizer.json and vectors_hf.jsonl. Answers each with one line {"load_seconds",
"encode_mb", "decode_mb", "ids"}: megabytes of UTF-8 a second, one text after the other on one thread. A text is encoded
as a whole and alone, as a trainer does; its cache of pieces stays warm over the passes.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

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
        for text in texts:
            tokenizer.encode(text, add_special_tokens=False)

    def decode():
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
