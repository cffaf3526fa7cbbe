"""Checks that the gguf package, llama.cpp's own Python, reads the numbers of every block type as Zeroth does.

A model is exported in f32 and in each type. Of every tensor the package's numbers have the mean and the deviation
that `zeroth inspect` reports, and they are as near to those of f32 as the type's bits allow. Prints one
JSON line a check; exits 1 when one fails, 77 without the package.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

try:
    import gguf
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

from zeroth_command import Zeroth

CONFIG = {
    "model_type": "qwen2", "hidden_size": 256, "num_hidden_layers": 8, "intermediate_size": 256,
    "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 128,
    "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": False,
}  # fmt: skip
# RMS error of a type, in standard deviations of a tensor.
MOST = {"F32": 0.0, "F16": 0.001, "BF16": 0.003, "Q8_0": 0.006, "Q6_K": 0.02, "Q5_0": 0.05, "Q4_K": 0.08, "Q4_0": 0.1}


def tensors_of(path: Path):
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: (tensor.tensor_type.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in reader.tensors
    }


def near(a: float, b: float, scale: float) -> bool:
    return abs(a - b) <= 1e-5 * scale


def check_type(zeroth, checkpoint: Path, directory: Path, dtype: str, exact):
    path = zeroth.export(checkpoint, directory / f"{dtype}.gguf", format="gguf", dtype=dtype)
    reported = {row["name"]: row for row in json.loads(zeroth.run("inspect", path, "--json"))["tensors"]}
    worst, wrong = {}, []
    for name, (kind, values) in tensors_of(path).items():
        row, original = reported[name], exact[name]
        size = float(np.abs(values).max())
        doubles = values.astype(np.float64).ravel()
        same = near(row["mean"], doubles.mean(), size) and near(row["std"], doubles.std(ddof=1), size)
        if row["dtype"] != kind or not same:
            wrong.append(name)
        spread = float(original.std()) or 1.0
        error = float(np.sqrt(np.mean((values.astype(np.float64) - original) ** 2))) / spread
        worst[kind] = max(worst.get(kind, 0.0), error)
    agrees = not wrong and all(error <= MOST[kind] for kind, error in worst.items())
    return {"check": f"numbers, {dtype}", "rms": {kind: round(error, 5) for kind, error in worst.items()},
            "different": wrong[:3], "agrees": agrees}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    agrees = True
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for width in (256, 96):  # blocks of 256, and what stands behind them
            config, checkpoint = directory / "config.json", directory / f"model-{width}"
            config.write_text(json.dumps(CONFIG | {"hidden_size": width, "intermediate_size": width}))
            zeroth.run("init", "--architecture", config, "--output_dir", checkpoint)
            path = zeroth.export(checkpoint, directory / f"exact-{width}.gguf", format="gguf", dtype="f32")
            exact = {name: values for name, (_, values) in tensors_of(path).items()}
            made = directory / str(width)
            made.mkdir()
            for dtype in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"):
                result = check_type(zeroth, checkpoint, made, dtype, exact)
                print(json.dumps(result), flush=True)
                agrees = agrees and result["agrees"]
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
