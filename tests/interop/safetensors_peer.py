"""The safetensors package with PyTorch as the peer of `zeroth bench checkpoints`.

Reads lines: {"what": "load", "from": FILE} loads every tensor into memory of its own in float32; {"what": "save",
"from": FILE, "to": FILE, "dtype": "bfloat16" | "float32"} holds the float32 weights of the first file and writes them
to the second in the type, on the disk when it is done. Answers each with one line {"seconds", "processor_seconds"}.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def load(path):
    return {name: tensor.to(torch.float32, copy=True) for name, tensor in load_file(path).items()}


def save(tensors, path, dtype):
    save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, path)
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def seconds_of(work, *arguments):
    begin, processors = time.perf_counter(), time.process_time()
    work(*arguments)
    return {
        "seconds": time.perf_counter() - begin,
        "processor_seconds": time.process_time() - processors,
    }


def answer(request):
    if request["what"] == "load":
        return seconds_of(load, request["from"])
    tensors = load(request["from"])
    Path(request["to"]).unlink(missing_ok=True)
    return seconds_of(save, tensors, request["to"], getattr(torch, request["dtype"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
