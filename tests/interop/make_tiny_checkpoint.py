"""Writes a tiny random checkpoint in hub layout by transformers, and a JSONL of sums.

For trying the interop checks without a trained policy, and for asking whether Zeroth reads what
transformers writes. The tokenizer is byte-level without merges, with the four tags of the
completion format as tokens.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

SPECIAL = ["<pad>", "<bos>", "<eos>"]
TAGS = ["<think>", "</think>", "<answer>", "</answer>"]
CHARACTERS = "0123456789+=;?-*/().:, cg"  # 25: the vocabulary has 32 entries
PAD, BOS, EOS = range(3)


def make_tokenizer() -> Tokenizer:
    """A byte-level tokenizer: space is written as the byte alphabet's U+0120, as GPT-2 does."""
    symbols = SPECIAL + [character.replace(" ", "\u0120") for character in CHARACTERS] + TAGS
    tokenizer = Tokenizer(
        models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", BOS)]
    )
    return tokenizer


def deepseek_v3_config(vocab_size, q_lora_rank):
    return DeepseekV3Config(
        vocab_size=vocab_size, hidden_size=128, num_hidden_layers=2, first_k_dense_replace=1,
        num_attention_heads=4, num_key_value_heads=4, qk_nope_head_dim=32, qk_rope_head_dim=16,
        v_head_dim=32, kv_lora_rank=64, q_lora_rank=q_lora_rank, n_routed_experts=8,
        num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=128, intermediate_size=384,
        n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.0,
        max_position_embeddings=512, num_nextn_predict_layers=0, pad_token_id=PAD, bos_token_id=BOS,
        eos_token_id=EOS, initializer_range=0.08,
    )  # fmt: skip


def qwen2_config(vocab_size):
    return Qwen2Config(
        vocab_size=vocab_size, hidden_size=128, intermediate_size=384, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        tie_word_embeddings=True, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
        initializer_range=0.08,
    )  # fmt: skip


def make_model(config):
    """Random weights, and random selection biases, which transformers would start at zero."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.normal_(std=0.05)
    return model


def write_prompts(path: Path, count, seed):
    """Sums of two numbers of three digits, in the form of the quickstart's problems."""
    source = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            a, b = source.randrange(100, 1000), source.randrange(100, 1000)
            file.write(json.dumps({"prompt": f"{a}+{b}=", "answer": str(a + b)}) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="directory to write")
    parser.add_argument("--family", choices=["deepseek_v3", "qwen2"], default="deepseek_v3")
    parser.add_argument(
        "--q_lora_rank", type=int, help="of deepseek_v3; without it queries are projected at once"
    )
    parser.add_argument("--prompts", type=Path, help="JSONL of sums to write")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tokenizer = make_tokenizer()
    size = tokenizer.get_vocab_size()
    config = (
        qwen2_config(size) if args.family == "qwen2" else deepseek_v3_config(size, args.q_lora_rank)
    )
    make_model(config).save_pretrained(args.output)
    special = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(args.output)
    if args.prompts:
        write_prompts(args.prompts, count=1000, seed=args.seed)


if __name__ == "__main__":
    main()
