"""Samples groups in plain PyTorch: absorbed decode over a latent cache, finished rows compacted.

The cache of a layer holds the normed latent and the rotated shared key of each position, [B, T,
R+Dr], and nothing else. The up-projections of keys and values are multiplied into the query and the
output projection once per policy version (arXiv:2405.04434, section 2.1.2), so that all heads
attend to the latent itself. Letters as in plain_torch_model.py; B rows decoded at once, P prompt
length, S completion length.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from plain_torch_model import (
    LATENT_NORM_EPS,
    Attention,
    ExpertMlp,
    Layer,
    Model,
    rms_norm,
    rope,
    swiglu,
)

ROW_BUCKET = 64  # row counts are multiples of this, so that oneDNN meets few shapes
COMPACT_ABOVE = 0.15  # share of finished rows that is worth a copy of the cache


@dataclass
class Rollout:
    """N sampled sequences whose prompts are all of one length."""

    prompt_length: int
    sequences: torch.Tensor  # [N, P+S], zero past the end
    lengths: torch.Tensor  # [N], prompt and completion with its end token
    logprobs: torch.Tensor  # [N, S], of the sampled tokens as sampled

    def completions(self) -> list[list[int]]:
        rows = zip(self.sequences.tolist(), self.lengths.tolist())
        return [row[self.prompt_length : length] for row, length in rows]


class DecodeAttention:
    def __init__(self, attention: Attention, dtype):
        c = self.config = attention.config
        heads, rank, nope = c.num_attention_heads, c.kv_lora_rank, c.qk_nope_head_dim
        key_up, value_up = attention.kv_b_proj.view(rank, heads, -1).split([nope, c.v_head_dim], -1)
        query = attention.q_proj if c.q_lora_rank is None else attention.q_b_proj
        query = query.view(len(query), heads, -1) * c.softmax_scale
        absorbed = torch.einsum("dhn,rhn->dhr", query[..., :nope], key_up)  # [in, H, R]
        absorbed = torch.cat(
            [absorbed.flatten(1), query[..., nope:].flatten(1)], 1
        )  # [in, H*R + H*Dr]
        self.query_latent_norm = self.query_b = None
        if c.q_lora_rank is not None:
            self.query_latent_norm, self.query_b = (
                attention.q_a_layernorm.to(dtype),
                absorbed.to(dtype),
            )
            absorbed = attention.q_a_proj
        self.query_width = absorbed.shape[1]
        self.query_latent = torch.cat([absorbed, attention.kv_a_proj], 1).to(dtype).contiguous()
        self.latent_norm = attention.kv_a_layernorm.to(dtype)
        output = attention.o_proj.view(heads, c.v_head_dim, -1)
        self.output = (
            torch.einsum("rhv,hvd->hrd", value_up, output).flatten(0, 1).to(dtype).contiguous()
        )

    def step(self, x, position, cos, sin, cache):
        """x [B, D] at one position -> [B, D]; writes that row of the cache [B, T, R+Dr]."""
        c, rank = self.config, self.config.kv_lora_rank
        query, latent = (x @ self.query_latent).split(
            [self.query_width, rank + c.qk_rope_head_dim], -1
        )
        if self.query_b is not None:
            query = rms_norm(query, self.query_latent_norm, LATENT_NORM_EPS) @ self.query_b
        heads = c.num_attention_heads
        query_nope, query_rope = query.split([heads * rank, heads * c.qk_rope_head_dim], -1)
        query_rope = rope(query_rope.view(len(x), heads, -1), cos, sin)
        query = torch.cat([query_nope.view(len(x), heads, rank), query_rope], -1)  # [B, H, R+Dr]
        cache[:, position, :rank] = rms_norm(latent[:, :rank], self.latent_norm, LATENT_NORM_EPS)
        cache[:, position, rank:] = rope(latent[:, rank:], cos, sin)
        # One key head serves all query heads: the heads stand where the query positions usually do.
        past = cache[:, : position + 1].unsqueeze(1)  # [B, 1, position+1, R+Dr]
        attended = F.scaled_dot_product_attention(query.unsqueeze(1), past, past, scale=1.0)
        return attended[:, 0, :, :rank].flatten(1) @ self.output


class DecodeExperts:
    """All experts for all rows as two products, unchosen ones weighted by zero.

    With eight small experts this needs no sorting, and shapes depend on the row count alone.
    """

    def __init__(self, mlp: ExpertMlp, dtype):
        self.mlp = mlp
        gate_up = torch.cat([mlp.gate_up, mlp.shared.gate_up[None]])  # [E+1, D, 2*I]
        gate, up = gate_up.transpose(0, 1).chunk(2, -1)  # [D, E+1, I] each
        self.num_experts = gate.shape[1]
        self.gate_up = torch.cat([gate.flatten(1), up.flatten(1)], 1).to(dtype).contiguous()
        self.down = (
            torch.cat([mlp.down.flatten(0, 1), mlp.shared.down]).to(dtype).contiguous()
        )  # [(E+1)*I, D]

    def step(self, x):
        """x [B, D] -> [B, D]."""
        chosen, weights = self.mlp.route(x)
        spread = torch.zeros(len(x), self.num_experts).scatter_(1, chosen, weights)
        spread[:, -1] = 1  # the shared expert
        inner = swiglu(x @ self.gate_up).view(len(x), self.num_experts, -1)
        return (inner * spread.to(x.dtype).unsqueeze(-1)).flatten(1) @ self.down


class DecodeDense:
    def __init__(self, mlp, dtype):
        self.gate_up, self.down = mlp.gate_up.to(dtype), mlp.down.to(dtype)

    def step(self, x):
        return swiglu(x @ self.gate_up) @ self.down


class DecodeLayer:
    def __init__(self, layer: Layer, dtype):
        self.layer = layer
        self.attention = DecodeAttention(layer.attention, dtype)
        self.mlp = (DecodeDense if layer.is_dense else DecodeExperts)(layer.mlp, dtype)

    def step(self, hidden, position, cos, sin, cache):
        """hidden [B, D] float32 -> the same."""
        eps = self.layer.config.rms_norm_eps
        x = rms_norm(hidden, self.layer.input_layernorm, eps).to(cos.dtype)
        hidden = hidden + self.attention.step(x, position, cos, sin, cache)
        x = rms_norm(hidden, self.layer.post_attention_layernorm, eps).to(cos.dtype)
        return hidden + self.mlp.step(x)


class Decoder:
    """One policy version prepared for decoding."""

    @torch.no_grad()
    def __init__(self, model: Model, dtype):
        self.model, self.dtype = model, dtype
        self.layers = [DecodeLayer(layer, dtype) for layer in model.layers]
        self.head = model.head.to(dtype)
        self.cos, self.sin = model.cos.to(dtype), model.sin.to(dtype)

    def new_cache(self, rows, length):
        c = self.model.config
        shape = (rows, length, c.kv_lora_rank + c.qk_rope_head_dim)
        return [torch.zeros(shape, dtype=self.dtype) for _ in self.layers]

    @torch.no_grad()
    def step(self, tokens, position, caches):
        """tokens [B], all at one position -> logits [B, V] float32."""
        hidden = self.model.embedding[tokens]
        for layer, cache in zip(self.layers, caches):
            hidden = layer.step(hidden, position, self.cos[position], self.sin[position], cache)
        hidden = rms_norm(hidden, self.model.norm, self.model.config.rms_norm_eps)
        return (hidden.to(self.dtype) @ self.head).float()

    def prefill(self, prompts, group_size, max_completion_length):
        """prompts [N, P] -> logits [N*G, V] and caches; each prompt is computed once."""
        num_prompts, prompt_length = prompts.shape
        short = self.new_cache(num_prompts, prompt_length)
        for position in range(prompt_length):
            logits = self.step(prompts[:, position], position, short)
        caches = self.new_cache(num_prompts * group_size, prompt_length + max_completion_length)
        for cache, computed in zip(caches, short):
            cache[:, :prompt_length] = computed.repeat_interleave(group_size, 0)
        return logits.repeat_interleave(group_size, 0), caches


def draw(logits):
    """Draws a token a row at temperature 1, by an exponential race: tokens [B], log-probs [B]."""
    logprobs = torch.log_softmax(logits, -1)
    tokens = (logprobs - torch.empty_like(logprobs).exponential_().log_()).argmax(-1)
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


def rows_to_keep(done):
    """done [B] bool -> rows to go on with: the living, filled up to a bucket; None keeps all."""
    if len(done) <= ROW_BUCKET or done.float().mean() <= COMPACT_ABOVE:
        return None
    living = (~done).nonzero()[:, 0]
    count = -(-len(living) // ROW_BUCKET) * ROW_BUCKET
    if count >= len(done):
        return None
    return torch.cat([living, done.nonzero()[: count - len(living), 0]])


@torch.no_grad()
def sample_groups(model: Model, prompts, group_size, max_completion_length, dtype) -> Rollout:
    """Samples group_size completions of each prompt [N, P]; those of a prompt are neighbours."""
    decoder = Decoder(model, dtype)
    prompt_length = prompts.shape[1]
    logits, caches = decoder.prefill(prompts, group_size, max_completion_length)
    rows = torch.arange(len(logits))  # the sequence that each decoded row belongs to
    done = torch.zeros(len(logits), dtype=torch.bool)
    tokens_out = torch.zeros(len(logits), max_completion_length, dtype=torch.long)
    logprobs_out = torch.zeros(len(logits), max_completion_length)
    eos = torch.tensor(model.config.eos_ids)
    for t in range(max_completion_length):
        tokens, logprobs = draw(logits)
        tokens_out[rows, t], logprobs_out[rows, t] = tokens, logprobs
        done |= torch.isin(tokens, eos)
        if t == max_completion_length - 1 or bool(done.all()):
            break
        keep = rows_to_keep(done)
        if keep is not None:
            rows, done, tokens = rows[keep], done[keep], tokens[keep]
            caches = [cache.index_select(0, keep) for cache in caches]
        logits = decoder.step(tokens, prompt_length + t, caches)
    return as_rollout(prompts.repeat_interleave(group_size, 0), tokens_out, logprobs_out, eos)


def as_rollout(prompts, tokens, logprobs, eos) -> Rollout:
    """Cuts after the first end token; prompts [N, P], tokens and logprobs [N, S], eos [num ids]."""
    is_eos = torch.isin(tokens, eos)
    ended_before = is_eos.cumsum(1) - is_eos.long() > 0
    sequences = torch.cat([prompts, tokens.masked_fill(ended_before, 0)], 1)
    lengths = prompts.shape[1] + (~ended_before).sum(1)
    return Rollout(prompts.shape[1], sequences, lengths, logprobs.masked_fill(ended_before, 0.0))
