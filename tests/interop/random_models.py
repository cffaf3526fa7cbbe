"""Random models and texts for the checks of this folder."""

import json
import random
from pathlib import Path

DENSE = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 160, "num_attention_heads": 4,
    "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "initializer_range": 0.2,
    "tie_word_embeddings": False,
}  # fmt: skip
ASCII = "abcdefghijklmnopqrstuvwxyz0123456789 .,+-*/=()<>;:?!\n"


def random_text(source: random.Random, alphabet: str, length: int) -> str:
    return "".join(source.choice(alphabet) for _ in range(length))


def make_random(zeroth, directory: Path, name: str, changes, seed: int, tokenizer=ASCII):
    config, checkpoint = directory / f"{name}.json", directory / name
    config.write_text(json.dumps(DENSE | changes))
    zeroth.run("init", "--architecture", config, "--tokenizer", tokenizer, "--seed", seed,
               "--output_dir", checkpoint)  # fmt: skip
    return checkpoint
