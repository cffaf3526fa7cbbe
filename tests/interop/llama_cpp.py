"""A GGUF file in llama.cpp (PyPI xllamacpp): its token ids and its greedy completions.

Everything in float32 where the file is: the key-value cache, too, and no flash attention, which
would round to half precision on the way.
"""

import json
import urllib.request
from pathlib import Path

import xllamacpp


class LlamaCpp:
    def __init__(self, path: Path, context=1024, half_cache=False):
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.port = 0  # any that is free
        params.fit_params = False
        params.no_mmproj = True
        params.warmup = False
        params.verbosity = 0
        params.cpuparams.n_threads = 1
        params.cpuparams_batch.n_threads = 1
        if not half_cache:
            params.flash_attn_type = (
                xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
            )
            params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
            params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        self.server = xllamacpp.Server(params)

    def tokenize(self, text: str):
        """Ids of the text as a prompt: added tokens are found, nothing is put before or behind."""
        request = urllib.request.Request(
            self.server.listening_address + "/tokenize",
            json.dumps({"content": text, "add_special": False, "parse_special": True}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def likeliest(self, prompt: str, count: int):
        """{id: log-prob} of the likeliest next tokens."""
        answer = self.server.handle_completions(
            {"prompt": prompt, "temperature": 0, "max_tokens": 1, "logprobs": count,
             "cache_prompt": False}
        )  # fmt: skip
        if "error" in answer:
            raise RuntimeError(answer["error"])
        steps = (answer["choices"][0].get("logprobs") or {}).get("content") or []
        if not steps:  # the likeliest ends the completion, and is not reported
            return {}
        return {entry["id"]: entry["logprob"] for entry in steps[0]["top_logprobs"]}

    def greedy(self, prompt: str, max_tokens: int):
        """Ids, whether the last one ended the completion, and how near the second best token came
        to the best, in nats, at the nearest. Tokens have to be whole characters: the server reports
        those of a part of a character together as one."""
        answer = self.server.handle_completions(
            {"prompt": prompt, "temperature": 0, "max_tokens": max_tokens, "logprobs": 2,
             "cache_prompt": False}
        )  # fmt: skip
        if "error" in answer:
            raise RuntimeError(answer["error"])
        choice = answer["choices"][0]
        steps = (choice.get("logprobs") or {}).get("content") or []
        ids, margin = [], float("inf")
        for step in steps:
            ids.append(step["id"])
            best, second = (entry["logprob"] for entry in step["top_logprobs"])
            margin = min(margin, best - second)
        return ids, choice["finish_reason"] == "stop", margin
