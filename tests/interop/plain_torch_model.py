"""The DeepSeek-V3 decoder in plain PyTorch: multi-head latent attention and mixture of experts.

Goal: the forward and backward pass of the peer that `zeroth bench quickstart` is measured against,
as fast as PyTorch's own operators allow for a model of one million parameters. Not a goal:
group-limited routing, YaRN, biases, tied embeddings; a checkpoint that needs one of them is
refused.

Letters: N sequences, T tokens of a sequence, M = N*T rows, V vocabulary, D hidden size, H heads, Dn
and Dr query widths without and with rope, Dv value width, R latent rank, E experts, K chosen, I
expert width, C expert capacity. Weights are stored [in, out] in float32; products are computed in
`dtype`, the residual stream in float32.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

LATENT_NORM_EPS = 1e-6  # transformers gives the latent norms this epsilon whatever config.json says


@dataclass(frozen=True)
class ModelConfig:
    """The keys of config.json that the model reads, under their Hugging Face names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    kv_lora_rank: int
    q_lora_rank: int | None
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    first_k_dense_replace: int
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    norm_topk_prob: bool
    routed_scaling_factor: float
    rms_norm_eps: float
    max_position_embeddings: int
    eos_token_id: int | list[int]
    rope_theta: float

    @staticmethod
    def read(path: Path) -> "ModelConfig":
        raw = json.loads(path.read_text())
        rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        raw.setdefault("rope_theta", rope.get("rope_theta", 10000.0))
        refused = {
            "model_type": raw["model_type"] != "deepseek_v3",
            "n_group": raw.get("n_group", 1) not in (None, 1),
            "rope": rope.get("rope_type", rope.get("type", "default")) != "default",
            "rope_interleave": not raw.get("rope_interleave", True),
            "attention_bias": raw.get("attention_bias", False),
            "tie_word_embeddings": raw.get("tie_word_embeddings", False),
        }
        if any(refused.values()):
            keys = [key for key, is_refused in refused.items() if is_refused]
            raise ValueError(f"{path}: this model does not support the values of {keys}")
        return ModelConfig(**{field: raw[field] for field in ModelConfig.__dataclass_fields__})

    @property
    def eos_ids(self) -> list[int]:
        return self.eos_token_id if isinstance(self.eos_token_id, list) else [self.eos_token_id]

    @property
    def softmax_scale(self) -> float:
        return (self.qk_nope_head_dim + self.qk_rope_head_dim) ** -0.5


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def rope_tables(config: ModelConfig):
    """Returns cos and sin, each [max_position_embeddings, Dr / 2]."""
    pairs = torch.arange(0, config.qk_rope_head_dim, 2).float()
    frequencies = config.rope_theta ** -(pairs / config.qk_rope_head_dim)
    angles = torch.arange(config.max_position_embeddings).float()[:, None] * frequencies[None]
    return angles.cos(), angles.sin()


def rope(x, cos, sin):
    """Rotates the pairs (x0, x1), (x2, x3), ...; writes first members, then second members."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat([even * cos - odd * sin, odd * cos + even * sin], -1)


def swiglu(gate_up):
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


class Attention(nn.Module):
    """Multi-head latent attention with expanded keys and values (arXiv:2405.04434, section 2.1)."""

    def __init__(self, config: ModelConfig, read):
        super().__init__()
        self.config = config
        if config.q_lora_rank is None:
            self.q_proj = read("q_proj.weight")  # [D, H*(Dn+Dr)]
        else:
            self.q_a_proj = read("q_a_proj.weight")
            self.q_a_layernorm = read("q_a_layernorm.weight")
            self.q_b_proj = read("q_b_proj.weight")
        self.kv_a_proj = read("kv_a_proj_with_mqa.weight")  # [D, R+Dr]
        self.kv_a_layernorm = read("kv_a_layernorm.weight")  # [R]
        self.kv_b_proj = read("kv_b_proj.weight")  # [R, H*(Dn+Dv)]
        self.o_proj = read("o_proj.weight")  # [H*Dv, D]

    def queries(self, x):
        """x [N, T, D] -> [N, T, H*(Dn+Dr)], before rope."""
        if self.config.q_lora_rank is None:
            return x @ self.q_proj.to(x.dtype)
        latent = rms_norm(
            x @ self.q_a_proj.to(x.dtype), self.q_a_layernorm.to(x.dtype), LATENT_NORM_EPS
        )
        return latent @ self.q_b_proj.to(x.dtype)

    def forward(self, x, cos, sin, causal_mask):
        """x [N, T, D], cos and sin [T, 1, Dr/2], causal_mask [T, T] -> [N, T, D]."""
        c, (n, t, _) = self.config, x.shape
        query = self.queries(x).view(n, t, c.num_attention_heads, -1)
        query_nope, query_rope = query.split([c.qk_nope_head_dim, c.qk_rope_head_dim], -1)
        latent, key_rope = (x @ self.kv_a_proj.to(x.dtype)).split(
            [c.kv_lora_rank, c.qk_rope_head_dim], -1
        )
        latent = rms_norm(latent, self.kv_a_layernorm.to(x.dtype), LATENT_NORM_EPS)
        key_value = (latent @ self.kv_b_proj.to(x.dtype)).view(n, t, c.num_attention_heads, -1)
        key_nope, value = key_value.split([c.qk_nope_head_dim, c.v_head_dim], -1)
        key_rope = rope(key_rope.unsqueeze(2), cos, sin).expand(-1, -1, c.num_attention_heads, -1)
        query = torch.cat([query_nope, rope(query_rope, cos, sin)], -1).transpose(
            1, 2
        )  # [N, H, T, Dn+Dr]
        key = torch.cat([key_nope, key_rope], -1).transpose(1, 2)
        scores = (query * c.softmax_scale) @ key.transpose(-1, -2) + causal_mask  # [N, H, T, T]
        output = torch.softmax(scores, -1) @ value.transpose(1, 2)  # [N, H, T, Dv]
        return output.transpose(1, 2).reshape(n, t, -1) @ self.o_proj.to(x.dtype)


class DenseMlp(nn.Module):
    def __init__(self, read):
        super().__init__()
        self.gate_up = nn.Parameter(
            torch.cat([read("gate_proj.weight"), read("up_proj.weight")], 1).detach()
        )
        self.down = read("down_proj.weight")

    def forward(self, x):
        """x [M, D] -> [M, D]."""
        return swiglu(x @ self.gate_up.to(x.dtype)) @ self.down.to(x.dtype)


class ExpertMlp(nn.Module):
    """Sigmoid router with a selection bias, routed and shared experts (arXiv:2412.19437, 2.1.2)."""

    def __init__(self, config: ModelConfig, read):
        super().__init__()
        self.config = config
        self.router = read("gate.weight")  # [D, E]
        self.register_buffer("bias", read("gate.e_score_correction_bias").detach().float())  # [E]
        self.register_buffer(
            "load", torch.zeros(config.n_routed_experts)
        )  # rows per expert, this step
        self.shared = DenseMlp(lambda name: read("shared_experts." + name))
        experts = [
            DenseMlp(lambda name, e=e: read(f"experts.{e}.{name}"))
            for e in range(config.n_routed_experts)
        ]
        self.gate_up = nn.Parameter(
            torch.stack([expert.gate_up.detach() for expert in experts])
        )  # [E, D, 2*I]
        self.down = nn.Parameter(
            torch.stack([expert.down.detach() for expert in experts])
        )  # [E, I, D]

    def route(self, x):
        """x [M, D] -> chosen experts [M, K] and their weights [M, K], float32."""
        scores = torch.sigmoid(x.float() @ self.router)
        chosen = (scores.detach() + self.bias).topk(self.config.num_experts_per_tok, -1).indices
        weights = scores.gather(-1, chosen)
        if self.config.norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return chosen, weights * self.config.routed_scaling_factor

    @torch.no_grad()
    def assign_slots(self, chosen):
        """Gives every (row, choice) a slot of its expert's block of C slots.

        C is a multiple of 256 (of 32 for few rows): oneDNN compiles one kernel per shape, and
        ragged shapes cost ten seconds a step. Returns the slot of each choice [M*K], the row of
        each slot [E*C], and C.
        """
        flat, num_experts = chosen.reshape(-1), self.config.n_routed_experts
        counts = torch.bincount(flat, minlength=num_experts)
        self.load += counts
        bucket = 256 if chosen.shape[0] >= 1024 else 32
        capacity = -(-int(counts.max()) // bucket) * bucket
        order = flat.argsort(stable=True)
        expert = flat[order]
        first = counts.cumsum(0) - counts
        sorted_slot = expert * capacity + torch.arange(len(flat)) - first[expert]
        slot = torch.empty_like(flat)
        slot[order] = sorted_slot
        row = torch.zeros(num_experts * capacity, dtype=torch.long)
        row[sorted_slot] = order // chosen.shape[1]
        return slot, row, capacity

    def forward(self, x):
        """x [M, D] -> [M, D]."""
        chosen, weights = self.route(x)
        slot, row, capacity = self.assign_slots(chosen)
        gathered = x.index_select(0, row).view(-1, capacity, x.shape[1])  # [E, C, D]
        output = torch.bmm(
            swiglu(torch.bmm(gathered, self.gate_up.to(x.dtype))), self.down.to(x.dtype)
        )
        picked = (
            output.view(-1, x.shape[1]).index_select(0, slot).view(*chosen.shape, -1)
        )  # [M, K, D]
        return self.shared(x) + (picked * weights.to(x.dtype).unsqueeze(-1)).sum(1)

    @torch.no_grad()
    def balance(self, rate):
        """Loss-free balancing: the bias of a busy expert falls, that of an idle one rises."""
        self.bias += rate * torch.sign(self.load.mean() - self.load)
        self.load.zero_()


class Layer(nn.Module):
    def __init__(self, config: ModelConfig, index: int, read):
        super().__init__()
        self.config = config
        self.input_layernorm = read("input_layernorm.weight")
        self.post_attention_layernorm = read("post_attention_layernorm.weight")
        self.attention = Attention(config, lambda name: read("self_attn." + name))
        read_mlp = lambda name: read("mlp." + name)
        self.is_dense = index < config.first_k_dense_replace
        self.mlp = DenseMlp(read_mlp) if self.is_dense else ExpertMlp(config, read_mlp)

    def forward(self, hidden, cos, sin, causal_mask):
        """hidden [N, T, D] float32 -> the same."""
        dtype, eps = cos.dtype, self.config.rms_norm_eps
        x = rms_norm(hidden, self.input_layernorm, eps).to(dtype)
        hidden = hidden + self.attention(x, cos, sin, causal_mask).float()
        x = rms_norm(hidden, self.post_attention_layernorm, eps).to(dtype)
        return hidden + self.mlp(x.flatten(0, 1)).view_as(hidden).float()


class Model(nn.Module):
    def __init__(self, directory: Path):
        super().__init__()
        self.config = ModelConfig.read(directory / "config.json")
        tensors = load_file(directory / "model.safetensors")

        def reader(prefix):
            """A projection [out, in] becomes a parameter [in, out]; a vector stays as it is."""
            return lambda name: nn.Parameter(tensors[prefix + name].float().t().contiguous())

        self.embedding = nn.Parameter(tensors["model.embed_tokens.weight"].float())  # [V, D]
        layers = [
            Layer(self.config, i, reader(f"model.layers.{i}."))
            for i in range(self.config.num_hidden_layers)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = reader("model.")("norm.weight")
        self.head = reader("")("lm_head.weight")  # [D, V]
        self.cos, self.sin = rope_tables(self.config)

    def forward(self, tokens, dtype, first=0):
        """tokens [N, T] -> logits [N, T-first, V] float32 of the positions from `first` on."""
        length = tokens.shape[1]
        cos, sin = (table[:length, None].to(dtype) for table in (self.cos, self.sin))
        causal_mask = torch.full((length, length), float("-inf"), dtype=dtype).triu(1)
        hidden = self.embedding[tokens]
        for layer in self.layers:
            hidden = layer(hidden, cos, sin, causal_mask)
        hidden = rms_norm(hidden[:, first:], self.norm, self.config.rms_norm_eps).to(dtype)
        return (hidden @ self.head.to(dtype)).float()

    def expert_layers(self):
        return [layer.mlp for layer in self.layers if not layer.is_dense]
