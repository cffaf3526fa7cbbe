"""GRPO in plain PyTorch: the peer of `zeroth bench quickstart`.

Goal: what a careful PyTorch user writes for a tiny MLA and mixture-of-experts policy on a CPU, on
the same checkpoint, batch and threads as Zeroth. It keeps bucketed shapes, absorbed decode and the
allocator's settings, so that a ratio to it is not won against an untuned peer. Not a goal: a
trainer; nothing is saved.

A step samples `num_generations` completions of `num_prompts` prompts and makes one on-policy
update: reward minus the group's mean (Shao et al. 2024, arXiv:2402.03300, without the division by
the standard deviation), clipped ratio, normaliser constant in the batch (Liu et al. 2025,
arXiv:2503.20783), AdamW.

Prints a JSON line a step: {"step", "sample_tokens", "sample_seconds", "learn_tokens",
"learn_seconds", "prompt_tokens", "mean_reward"}. sample_tokens are completion tokens, end tokens
included; learn_tokens are prompt and completion tokens, the prompt counted once a sequence;
prompt_tokens is the prompt's share. The last line holds medians over the steps after the warm-up,
in tokens a second.
"""

import argparse
import json
import os
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from plain_torch_model import Model
from plain_torch_sampler import Rollout, sample_groups

CLIP_LOW, CLIP_HIGH = 0.2, 0.28
FORMAT_REWARD = 0.1
BIAS_UPDATE_RATE = 1e-3
LENGTH_BUCKET = 16  # padded lengths are multiples of this, so that oneDNN meets few shapes
COMPLETION_FORMAT = re.compile(r"<think>(.*)</think><answer>(.*)</answer>", re.DOTALL)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# glibc returns large blocks to the system at each free and faults them in again; oneDNN forgets its
# kernels.
PROCESS_SETTINGS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "30000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8192",
}


@dataclass
class MicroBatch:
    """M padded sequences of T inputs; positions from `first` on predict completion tokens."""

    tokens: torch.Tensor  # [M, T+1]
    mask: torch.Tensor  # [M, T-first], 1 where a completion token is predicted
    old_logprobs: torch.Tensor  # [M, T-first]
    advantages: torch.Tensor  # [M, 1]
    first: int


def round_up(count, multiple):
    return -(-count // multiple) * multiple


def micro_batches(rollout: Rollout, advantages, size):
    """Yields MicroBatches of `size` sequences alike in length; the last is filled with mask 0."""
    order = rollout.lengths.argsort(stable=True)
    first = rollout.prompt_length - 1
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        num_real = len(rows)
        rows = torch.cat([rows, rows[-1:].expand(size - num_real)])
        length = round_up(int(rollout.lengths[rows].max()) - 1, LENGTH_BUCKET)
        width = rollout.sequences.shape[1]
        tokens = rollout.sequences[rows, : length + 1]
        tokens = torch.nn.functional.pad(tokens, (0, max(0, length + 1 - width)))
        old = rollout.logprobs[rows, : length - first]
        old = torch.nn.functional.pad(old, (0, length - first - old.shape[1]))
        predicted = torch.arange(first, length)[None] < rollout.lengths[rows, None] - 1
        is_real = torch.arange(size)[:, None] < num_real
        yield MicroBatch(tokens, (predicted & is_real).float(), old, advantages[rows, None], first)


def completion_logprobs(model, batch: MicroBatch, dtype):
    """Returns log-probs [M, T-first] of the tokens that follow each position from `first` on."""
    logits = model(batch.tokens[:, :-1], dtype, batch.first)
    targets = batch.tokens[:, batch.first + 1 :, None]
    return torch.log_softmax(logits, -1).gather(2, targets)[..., 0]


def grpo_loss(model, batch: MicroBatch, denominator, dtype):
    logprobs = completion_logprobs(model, batch, dtype)
    old = torch.where(batch.mask > 0, batch.old_logprobs, logprobs.detach())
    ratio = (logprobs - old).exp()
    clipped = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
    surrogate = torch.minimum(ratio * batch.advantages, clipped * batch.advantages)
    return -(surrogate * batch.mask).sum() / denominator


def reward(completion: str, answer: str) -> float:
    """1 for the right answer in the format, and FORMAT_REWARD for the format alone, added."""
    match = COMPLETION_FORMAT.fullmatch(completion)
    if match is None or any(completion.count(tag) != 1 for tag in TAGS):
        return 0.0
    return FORMAT_REWARD + float(match[2].strip() == answer.strip())


def group_advantages(rewards, group_size):
    """rewards [N] in groups of neighbours -> reward minus the group's mean, [N]."""
    grouped = rewards.view(-1, group_size)
    return (grouped - grouped.mean(1, keepdim=True)).flatten()


class Trainer:
    def __init__(self, args):
        self.args = args
        self.dtype = getattr(torch, args.dtype)
        self.model = Model(args.checkpoint)
        self.tokenizer = Tokenizer.from_file(str(args.checkpoint / "tokenizer.json"))
        self.problems = [
            json.loads(line) for line in args.prompts.read_text().splitlines() if line.strip()
        ]
        if not self.problems:
            raise ValueError(f"{args.prompts}: no prompts")
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=args.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.random = random.Random(args.seed)

    def sample(self, problems):
        """Returns rollouts, one for each prompt length met, and the answers of their sequences."""
        by_length = defaultdict(list)
        for problem in problems:
            ids = self.tokenizer.encode(problem["prompt"]).ids
            by_length[len(ids)].append((ids, problem["answer"]))
        rollouts, answers = [], []
        for same_length in by_length.values():
            prompts = torch.tensor([ids for ids, _ in same_length])
            limits = (self.args.num_generations, self.args.max_completion_length)
            rollouts.append(sample_groups(self.model, prompts, *limits, self.dtype))
            answers.append(
                [answer for _, answer in same_length for _ in range(self.args.num_generations)]
            )
        return rollouts, answers

    def rewards(self, rollout: Rollout, answers):
        """Returns rewards [N] of the completions' texts, end token removed."""
        eos = set(self.model.config.eos_ids)
        ids = [
            [token for token in completion if token not in eos]
            for completion in rollout.completions()
        ]
        texts = self.tokenizer.decode_batch(ids, skip_special_tokens=False)
        return torch.tensor([reward(text, answer) for text, answer in zip(texts, answers)])

    def learn(self, rollouts, advantages):
        num_sequences = sum(len(rollout.lengths) for rollout in rollouts)
        denominator = num_sequences * self.args.max_completion_length
        self.optimizer.zero_grad()
        for mlp in self.model.expert_layers():
            mlp.load.zero_()
        for rollout, advantage in zip(rollouts, advantages):
            for batch in micro_batches(rollout, advantage, self.args.micro_batch_size):
                grpo_loss(self.model, batch, denominator, self.dtype).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        for mlp in self.model.expert_layers():
            mlp.balance(BIAS_UPDATE_RATE)

    def step(self):
        """One step of GRPO. Returns its counts and seconds."""
        problems = self.random.choices(self.problems, k=self.args.num_prompts)
        started = time.perf_counter()
        rollouts, answers = self.sample(problems)
        sampled = time.perf_counter()
        rewards = [self.rewards(rollout, answer) for rollout, answer in zip(rollouts, answers)]
        advantages = [group_advantages(reward, self.args.num_generations) for reward in rewards]
        rewarded = time.perf_counter()
        self.learn(rollouts, advantages)
        learned = time.perf_counter()
        learn_tokens = sum(int(rollout.lengths.sum()) for rollout in rollouts)
        prompt_tokens = sum(len(rollout.lengths) * rollout.prompt_length for rollout in rollouts)
        return {
            "sample_tokens": learn_tokens - prompt_tokens,
            "sample_seconds": sampled - started,
            "learn_tokens": learn_tokens,
            "learn_seconds": learned - rewarded,
            "prompt_tokens": prompt_tokens,
            "mean_reward": float(torch.cat(rewards).mean()),
        }


def medians(steps):
    def median_rate(tokens, seconds):
        return statistics.median(step[tokens] / step[seconds] for step in steps)

    return {
        "median_sample_tokens_per_second": median_rate("sample_tokens", "sample_seconds"),
        "median_learn_tokens_per_second": median_rate("learn_tokens", "learn_seconds"),
        "median_learn_completion_tokens_per_second": median_rate("sample_tokens", "learn_seconds"),
    }


def run(args):
    trainer = Trainer(args)
    steps = []
    for index in range(1, args.steps + 1):
        if args.wait_for_line and not sys.stdin.readline():
            break
        steps.append({"step": index, **trainer.step()})
        print(json.dumps(steps[-1]), flush=True)
    if len(steps) > args.warmup:
        print(json.dumps(medians(steps[args.warmup :])), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="directory with config.json, model.safetensors, tokenizer.json",
    )
    parser.add_argument("--prompts", type=Path, help='JSONL of {"prompt": text, "answer": text}')
    parser.add_argument("--steps", type=int, default=15, help="steps to run, warm-up included")
    parser.add_argument(
        "--warmup", type=int, default=2, help="first steps, left out of the medians"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default="float32", help="of products and cache"
    )
    parser.add_argument("--num_prompts", type=int, default=8)
    parser.add_argument("--num_generations", type=int, default=100, help="completions of a prompt")
    parser.add_argument("--max_completion_length", type=int, default=56)
    parser.add_argument(
        "--micro_batch_size",
        type=int,
        default=200,
        help="sequences of one forward and backward pass",
    )
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--wait_for_line",
        action="store_true",
        help="read a line of stdin before each step, so that a bench can interleave",
    )
    parser.add_argument(
        "--self-check", action="store_true", help="check the arithmetic in float32 and exit"
    )
    args = parser.parse_args()
    if args.prompts is None and not args.self_check:
        parser.error("--prompts is required")
    return args


def restart_with_process_settings(threads):
    """Starts the same command again, once, with settings that a process reads at its start."""
    wanted = {**PROCESS_SETTINGS, "OMP_NUM_THREADS": str(threads)}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def main():
    args = parse_arguments()
    restart_with_process_settings(args.threads)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.self_check:
        from plain_torch_self_check import self_check

        sys.exit(self_check(args.checkpoint))
    run(args)


if __name__ == "__main__":
    main()
