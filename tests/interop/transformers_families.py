"""Checks every model family against transformers: logits, the experts chosen, and what is saved.

For each family a tiny model with random weights, written by transformers, and for each checkpoint
under $ZEROTH_FIXTURES/model_parity:

- the logits of `zeroth logits` are those of the model in float32, eager;
- the experts of every token and layer are those that a hook on the router sees, but where two
  scores at the boundary are nearer than 1e-6;
- `zeroth export --format hf` gives back the same tensors, byte for byte, and the same config.json,
  and AutoModelForCausalLM loads it with no key missing, unexpected or of another shape.

Controls: a model whose routers are turned round chooses other experts, and a changed tensor is
found. Prints one JSON line a checkpoint; exits 1 when one fails.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from zeroth_command import Zeroth

TOLERANCE = 1e-4  # of a logit
BOUNDARY = 1e-6  # scores nearer than this may be chosen either way
SEQUENCES, TOKENS = 4, 60

COMMON = {
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1e4}
LATENT = COMMON | {
    "num_key_value_heads": 4, "kv_lora_rank": 24, "q_lora_rank": 20, "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8, "v_head_dim": 10, "moe_intermediate_size": 24, "n_routed_experts": 16,
    "num_experts_per_tok": 4, "n_shared_experts": 2, "first_k_dense_replace": 1,
    "rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0},
}  # fmt: skip
V2 = {
    "model_type": "deepseek_v2", "norm_topk_prob": False, "scoring_func": "softmax",
    "rope_parameters": YARN | {"mscale": 0.707, "mscale_all_dim": 0.707},
}  # fmt: skip
GROUPED = COMMON | {"num_key_value_heads": 2, "head_dim": 16}
GLM = GROUPED | {
    "model_type": "glm4_moe", "moe_intermediate_size": 24, "n_routed_experts": 16,
    "num_experts_per_tok": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1,
    "topk_group": 1, "partial_rotary_factor": 0.5, "num_nextn_predict_layers": 0,
}  # fmt: skip
QWEN_MOE = GROUPED | {
    "model_type": "qwen3_moe", "moe_intermediate_size": 24, "num_experts": 16,
    "num_experts_per_tok": 4,
}  # fmt: skip
FAMILIES = {
    "llama, scaled": GROUPED | {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0,
                            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 64}},
    "llama, tied": GROUPED | {"model_type": "llama", "tie_word_embeddings": True},
    "qwen2": COMMON | {"model_type": "qwen2", "num_key_value_heads": 2},
    "qwen3": GROUPED | {"model_type": "qwen3"},
    "qwen3_moe, normalised": QWEN_MOE | {"norm_topk_prob": True, "mlp_only_layers": [1]},
    "qwen3_moe": QWEN_MOE | {"norm_topk_prob": False, "decoder_sparse_step": 2},
    "deepseek_v2": LATENT | V2 | {
        "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
        "routed_scaling_factor": 16.0},
    "deepseek_v2, lite": LATENT | V2 | {
        "topk_method": "greedy", "q_lora_rank": None, "routed_scaling_factor": 1.0},
    "deepseek_v3": LATENT | {
        "model_type": "deepseek_v3", "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 0},
    "deepseek_v3, one step of yarn": LATENT | {
        "model_type": "deepseek_v3", "n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.827,
        "num_nextn_predict_layers": 0,
        "rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 1.0,
                                   "beta_slow": 1.0}},
    "deepseek_v3, plain rope": LATENT | {
        "model_type": "deepseek_v3", "n_group": 1, "topk_group": 1, "q_lora_rank": None,
        "routed_scaling_factor": 2.446, "rms_norm_eps": 1e-5, "num_nextn_predict_layers": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e4}},
    "glm4_moe": GLM | {"use_qk_norm": True, "attention_bias": True, "routed_scaling_factor": 2.5},
    "glm4_moe, air": GLM | {"use_qk_norm": False, "attention_bias": True},
}  # fmt: skip


@torch.no_grad()
def randomise(model, seed: int):
    """Weights whose logits and router scores lie well apart, norms and biases among them."""
    generator = torch.Generator().manual_seed(seed)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, tensor in sorted(tensors.items()):
        if "inv_freq" in name:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("e_score_correction_bias"):
            tensor.copy_(0.1 * noise)
        elif name.endswith("bias"):
            tensor.copy_(0.2 * noise)
        elif tensor.dim() == 1:
            tensor.copy_(1.0 + 0.2 * noise)
        else:
            tensor.copy_(noise * tensor.shape[-1] ** -0.5 * 1.5)


def load(checkpoint: Path):
    """In float32, eager; a model_type that transformers does not know is its architecture's."""
    config = json.loads((checkpoint / "config.json").read_text())
    options = {"dtype": torch.float32, "attn_implementation": "eager",
               "experts_implementation": "eager", "output_loading_info": True}  # fmt: skip
    if config["model_type"] == "kimi_k2":
        config.pop("model_type")
        options["config"] = AutoConfig.for_model("deepseek_v3", **config)
    model, info = AutoModelForCausalLM.from_pretrained(checkpoint, **options)
    return model.eval(), info


class Routers:
    """What the routers of a model choose, by layer, and the logits they choose by."""

    def __init__(self, model):
        self.calls = {}
        self.biases = {}
        for index, layer in enumerate(model.model.layers):
            gate = getattr(layer.mlp, "gate", None)
            if gate is None:
                continue
            bias = getattr(gate, "e_score_correction_bias", torch.zeros(()))
            self.biases[index] = bias.float()
            gate.register_forward_hook(self.hook(index))

    def hook(self, index):
        def note(_, __, output):
            self.calls[index] = (output[0], output[2])  # logits [T, E], chosen [T, K]

        return note


def boundary_gap(logits, bias, config, ours, theirs) -> float:
    """How far apart the two choices of one token are: in the scores of the experts in which they
    differ, or of the groups these stand in where the groups decided."""
    sigmoid = config.model_type not in ("deepseek_v2", "qwen3_moe")
    choice = (logits.double().sigmoid() if sigmoid else logits.double().softmax(-1)) + bias
    only_ours, only_theirs = sorted(ours - theirs), sorted(theirs - ours)
    gap = float((choice[only_ours].min() - choice[only_theirs].max()).abs())
    groups = getattr(config, "n_group", None) or 1
    if groups > 1:
        by_group = choice.view(groups, -1)
        score = by_group.topk(2).values.sum(-1) if sigmoid else by_group.max(-1).values
        kept = score.sort(descending=True).values
        gap = min(gap, float(kept[config.topk_group - 1] - kept[config.topk_group]))
    return gap


@torch.no_grad()
def compare(zeroth, checkpoint: Path, model, sequences):
    routers = Routers(model)
    worst, slots, equal, near = 0.0, 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        for ids in sequences:
            out = Path(name) / "out.safetensors"
            zeroth.run("logits", checkpoint, "--num_threads", 1, "--experts", "--out", out,
                       "--ids", ",".join(map(str, ids)))  # fmt: skip
            expected = model(torch.tensor([ids])).logits[0]
            with safe_open(out, "pt") as file:
                difference = (file.get_tensor("logits") - expected).abs().max()
                worst = max(worst, float(difference)) if difference.isfinite() else float("inf")
                layers = {key for key in file.keys() if key.startswith("experts.")}
                if layers != {f"experts.{index}" for index in routers.calls}:
                    return {"agrees": False, "layers with experts": sorted(layers)}
                for index, (logits, chosen) in routers.calls.items():
                    ours = file.get_tensor(f"experts.{index}")
                    for t, (a, b) in enumerate(zip(ours.tolist(), chosen.tolist())):
                        slots += 1
                        if set(a) == set(b):
                            equal += 1
                        elif boundary_gap(logits[t], routers.biases[index], model.config,
                                          set(a), set(b)) < BOUNDARY:  # fmt: skip
                            near += 1
    return {
        "max_logit_difference": worst,
        "routed": slots,
        "equal": equal,
        "within_boundary": near,
        "agrees": worst <= TOLERANCE and equal + near == slots,
    }


def tensors_of(checkpoint: Path):
    """Type, shape and bytes of every tensor of a checkpoint in one file."""
    tensors = {}
    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        for key in file.keys():
            tensor = file.get_tensor(key)
            tensors[key] = (str(tensor.dtype), tuple(tensor.shape), tensor.numpy().tobytes())
    return tensors


def without_type(checkpoint: Path):
    config = json.loads((checkpoint / "config.json").read_text())
    return {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}


def check_saved(zeroth, checkpoint: Path, saved: Path):
    zeroth.export(checkpoint, saved, format="hf", dtype="f32")
    _, info = load(saved)
    result = {
        "tensors": len(tensors_of(saved)),
        "tensors_equal": tensors_of(saved) == tensors_of(checkpoint),
        "config_equal": without_type(saved) == without_type(checkpoint),
        "loads_whole": not any(info[key] for key in info),
    }
    return result | {"agrees": all(result.values())}


def random_sequences(vocab_size: int):
    source = random.Random(5)
    return [[source.randrange(vocab_size) for _ in range(TOKENS)] for _ in range(SEQUENCES)]


def make_checkpoint(zeroth, directory: Path, values):
    """A family's random model beside a tokenizer, which an export asks for."""
    if not (directory / "init").exists():
        zeroth.run("init", "--preset", "tiny-dense", "--tokenizer", "0123456789+=;?",
                   "--output_dir", directory / "init")  # fmt: skip
    init = json.loads((directory / "init/config.json").read_text())
    ids = {key: init[key] for key in ("vocab_size", "bos_token_id", "eos_token_id")}
    values = dict(values)
    config = AutoConfig.for_model(values.pop("model_type"), **values, **ids)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomise(model, 3)
    checkpoint = directory / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    model.save_pretrained(checkpoint)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(directory / "init" / name, checkpoint / name)
    return checkpoint


@torch.no_grad()
def turn_routers(model):
    for layer in model.model.layers:
        gate = getattr(layer.mlp, "gate", None)
        if gate is not None:
            gate.weight.copy_(gate.weight.flip(0))


def fixtures():
    root = Path(os.environ.get("ZEROTH_FIXTURES", "")) / "model_parity"
    return sorted(path.parent for path in root.glob("*/config.json"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zeroth", type=Path, required=True, help="the binary")
    args = parser.parse_args()
    zeroth = Zeroth(args.zeroth.resolve())
    torch.set_num_threads(2)
    agrees = True

    def report(name, result):
        nonlocal agrees
        print(json.dumps({"check": name} | result), flush=True)
        agrees = agrees and result["agrees"]

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for family, values in FAMILIES.items():
            checkpoint = make_checkpoint(zeroth, directory, values)
            model, _ = load(checkpoint)
            sequences = random_sequences(model.config.vocab_size)
            result = compare(zeroth, checkpoint, model, sequences)
            saved = check_saved(zeroth, checkpoint, directory / family.replace(" ", "-"))
            report(family, result | saved | {"agrees": result["agrees"] and saved["agrees"]})
            if result.get("routed"):
                turn_routers(model)
                turned = compare(zeroth, checkpoint, model, sequences[:1])
                few = turned["equal"] + turned["within_boundary"] < turned["routed"] / 2
                report(f"control, {family} with its routers turned", {"agrees": few})
        before = tensors_of(checkpoint)
        key = sorted(before)[0]
        before[key] = (*before[key][:2], before[key][2][:-1] + bytes([before[key][2][-1] ^ 1]))
        report("control, a bit of a tensor", {"agrees": before != tensors_of(checkpoint)})
    for checkpoint in fixtures():
        model, _ = load(checkpoint)
        sequences = random_sequences(model.config.vocab_size)
        report(checkpoint.name, compare(zeroth, checkpoint, model, sequences))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
