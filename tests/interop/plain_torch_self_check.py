"""Checks of the plain PyTorch peer, in float32: it must compute what it is timed for.

The model against transformers, absorbed decode against the forward pass, and micro-batches against
single sequences. A peer that fails one of them is not a peer.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from plain_torch_grpo import completion_logprobs, grpo_loss, micro_batches
from plain_torch_model import Model
from plain_torch_sampler import Rollout, sample_groups

TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 1e-5


def sampled_rollout(model: Model) -> Rollout:
    prompts = torch.randint(model.config.vocab_size, (3, 9))
    return sample_groups(
        model, prompts, group_size=40, max_completion_length=24, dtype=torch.float32
    )


@torch.no_grad()
def logits_difference(model: Model, directory: Path) -> float:
    """Largest difference of logits from transformers on random tokens."""
    peer = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokens = torch.randint(model.config.vocab_size, (4, 33))
    return float((model(tokens, torch.float32) - peer(tokens).logits).abs().max())


@torch.no_grad()
def decode_difference(model: Model, rollout: Rollout) -> float:
    """Largest difference of a sampled token's log-prob between decode and forward pass."""
    worst = 0.0
    for batch in micro_batches(rollout, torch.zeros(len(rollout.lengths)), size=50):
        logprobs = completion_logprobs(model, batch, torch.float32)
        worst = max(worst, float(((logprobs - batch.old_logprobs) * batch.mask).abs().max()))
    return worst


def loss_and_gradient(model: Model, rollout: Rollout, advantages, size):
    """Returns the loss summed over micro-batches of `size`, and the flattened gradient."""
    model.zero_grad()
    loss = 0.0
    for batch in micro_batches(rollout, advantages, size):
        part = grpo_loss(model, batch, float(len(rollout.lengths)), torch.float32)
        part.backward()
        loss += float(part.detach())
    return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def batching_difference(model: Model, rollout: Rollout) -> tuple[float, float]:
    """Difference of loss, and relative one of gradient, of packed and single sequences."""
    advantages = torch.randn(len(rollout.lengths))
    packed, packed_gradient = loss_and_gradient(model, rollout, advantages, size=50)
    single, single_gradient = loss_and_gradient(model, rollout, advantages, size=1)
    relative = (packed_gradient - single_gradient).norm() / single_gradient.norm()
    return abs(packed - single), float(relative)


def self_check(directory: Path) -> int:
    """Prints each check with its difference; returns the exit status."""
    model = Model(directory)
    rollout = sampled_rollout(model)
    loss, gradient = batching_difference(model, rollout)
    checks = [
        ("logits: model - transformers", logits_difference(model, directory), TOLERANCE),
        ("log-probs: decode - forward", decode_difference(model, rollout), TOLERANCE),
        ("loss: packed - single sequences", loss, RELATIVE_TOLERANCE),
        ("gradient, relative: packed - single sequences", gradient, RELATIVE_TOLERANCE),
    ]
    for name, difference, tolerance in checks:
        verdict = "ok" if difference <= tolerance else "FAILED"
        print(f"{verdict:6} {name}: {difference:.2e} (at most {tolerance:.0e})")
    return int(any(not difference <= tolerance for _, difference, tolerance in checks))
