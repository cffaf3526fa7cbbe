"""The zeroth binary, as the checks of this folder call it."""

import json
import subprocess
from pathlib import Path


class Zeroth:
    def __init__(self, binary: Path):
        self.binary = str(binary)

    def run(self, *arguments) -> str:
        command = [self.binary, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
        return result.stdout

    def greedy(self, checkpoint: Path, prompt: str, max_tokens: int):
        """Ids, and whether the last one ended the completion."""
        answer = json.loads(
            self.run(
                "sample", "--model_name_or_path", checkpoint, "--dtype", "float32",
                "--num_threads", 1, "--temperature", 0, "--max_completion_length", max_tokens,
                "--json", "--prompt=" + prompt,
            )
        )  # fmt: skip
        return answer["token_ids"], answer["finish_reason"] == "stop"

    def logits(self, checkpoint: Path, text: str):
        """The record of `zeroth logits`: ids of the text and logits of every position."""
        return json.loads(
            self.run("logits", checkpoint, "--num_threads", 1,
                     "--text=" + text)
        )  # fmt: skip

    def tokenize(self, tokenizer: Path, texts):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        command = [self.binary, "tokenize", str(tokenizer), "--jsonl"]
        result = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line)["ids"] for line in result.stdout.split("\n") if line]

    def export(self, checkpoint: Path, output: Path, **flags):
        flags = [part for key, value in flags.items() for part in (f"--{key}", value)]
        self.run("export", "--model_name_or_path", checkpoint, "--output", output, *flags)
        return output


def train_on_sums(zeroth: Zeroth, directory: Path, architecture: str, steps: int, seed: int):
    """A checkpoint after a few steps on worked sums: its greedy answers have the form of an answer,
    and the best token is well apart from the second."""
    init, run = directory / f"init-{architecture}", directory / f"sft-{architecture}"
    zeroth.run("init", "--preset", architecture, "--tokenizer", "0123456789+=;?",
               "--seed", seed, "--output_dir", init)  # fmt: skip
    zeroth.run("sft", "--model_name_or_path", init, "--dataset_name", "sums", "--seed", seed,
               "--max_steps", steps, "--per_device_train_batch_size", 32, "--dtype", "float32",
               "--num_threads", 2, "--output_dir", run)  # fmt: skip
    return run / f"checkpoint-{steps}"
