// A whole decoder and its multi-token-prediction modules in double precision, written from the
// papers as plain loops over one sequence: no cache, no packing, no absorbed algebra, nothing of
// policy/ but the configuration and the names of the tensors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "tests/support/reference.h"

namespace zeroth::testing {

class ReferenceModel {
 public:
  ReferenceModel(const ModelConfig& config, const Weights& weights) : c_(config) {
    for (const WeightTensor& tensor : weights.tensors()) {
      const auto values = weights[tensor.name];
      w_[tensor.name] = Doubles(values.begin(), values.end());
    }
  }

  Doubles& weight(const std::string& name) { return w_.at(name); }

  /// The model's hidden states [T, D] after the final norm.
  Doubles hidden(const std::vector<std::int32_t>& tokens) {
    Doubles x = rows("model.embed_tokens.weight", tokens);
    for (std::size_t n = 0; n < c_.layers.size(); ++n) x = layer(x, layer_prefix(n), c_.layers[n]);
    return reference_rms_norm(x, w_.at("model.norm.weight"), c_.rms_norm_eps);
  }

  double logprob(const Doubles& hidden, std::size_t row, const std::string& head,
                 std::int32_t target) const {
    const auto D = static_cast<std::size_t>(c_.hidden_size);
    const Doubles one(hidden.begin() + static_cast<std::ptrdiff_t>(row * D),
                      hidden.begin() + static_cast<std::ptrdiff_t>((row + 1) * D));
    const Doubles logits = reference_gemm(one, w_.at(head), 1, c_.vocab_size, c_.hidden_size);
    return reference_logprob(logits.data(), c_.vocab_size, 1.0, target);
  }

  /// The sums of -log p of the tokens behind the prompt: the model's, and that of all modules.
  struct Losses {
    double model = 0.0, mtp = 0.0;
  };
  Losses losses(const std::vector<std::int32_t>& sequence, std::size_t prompt_length) {
    Losses sums;
    Doubles h = hidden(sequence);
    for (std::size_t i = 0; i + 1 < sequence.size(); ++i) {
      if (i + 1 >= prompt_length) sums.model -= logprob(h, i, head(0), sequence[i + 1]);
    }
    for (std::size_t k = 1; k <= c_.mtp.size(); ++k) {
      h = module(h, sequence, k);
      for (std::size_t i = 0; i + k + 1 < sequence.size(); ++i) {
        if (i + k + 1 >= prompt_length) sums.mtp -= logprob(h, i, head(k), sequence[i + k + 1]);
      }
    }
    return sums;
  }

  /// The experts chosen so far, in order: where they change, a loss is not smooth.
  std::vector<std::size_t> chosen;

 private:
  std::string prefix_of(std::size_t k) const { return layer_prefix(c_.layers.size() + k - 1); }
  std::string head(std::size_t k) const {
    if (k > 0 && c_.mtp[k - 1].own_head) return prefix_of(k) + "shared_head.head.weight";
    return "lm_head.weight";
  }

  // Module k over those positions that have a token k ahead.
  Doubles module(const Doubles& previous, const std::vector<std::int32_t>& sequence,
                 std::size_t k) {
    const std::string prefix = prefix_of(k);
    const auto D = static_cast<std::size_t>(c_.hidden_size);
    const std::size_t T = sequence.size() - std::min(k, sequence.size());
    const std::string embedding =
        c_.mtp[k - 1].own_embedding ? prefix + "embed_tokens.weight" : "model.embed_tokens.weight";
    const Doubles e = reference_rms_norm(
        rows(embedding, {sequence.end() - static_cast<std::ptrdiff_t>(T), sequence.end()}),
        w_.at(prefix + "enorm.weight"), c_.rms_norm_eps);
    const Doubles h = reference_rms_norm(
        Doubles(previous.begin(), previous.begin() + static_cast<std::ptrdiff_t>(T * D)),
        w_.at(prefix + "hnorm.weight"), c_.rms_norm_eps);
    Doubles joined;
    for (std::size_t t = 0; t < T; ++t) {
      joined.insert(joined.end(), e.begin() + static_cast<std::ptrdiff_t>(t * D),
                    e.begin() + static_cast<std::ptrdiff_t>((t + 1) * D));
      joined.insert(joined.end(), h.begin() + static_cast<std::ptrdiff_t>(t * D),
                    h.begin() + static_cast<std::ptrdiff_t>((t + 1) * D));
    }
    const Doubles x = linear(joined, prefix + "eh_proj.weight", 2 * c_.hidden_size);
    return reference_rms_norm(layer(x, prefix, c_.layers.back()),
                              w_.at(prefix + "shared_head.norm.weight"), c_.rms_norm_eps);
  }

  Doubles rows(const std::string& table, const std::vector<std::int32_t>& tokens) const {
    const Doubles& values = w_.at(table);
    Doubles x;
    for (const std::int32_t token : tokens) {
      const auto* row = values.data() + token * c_.hidden_size;
      x.insert(x.end(), row, row + c_.hidden_size);
    }
    return x;
  }

  Doubles linear(const Doubles& x, const std::string& name, std::int64_t K) const {
    const Doubles& w = w_.at(name);
    return reference_gemm(x, w, static_cast<std::int64_t>(x.size()) / K,
                          static_cast<std::int64_t>(w.size()) / K, K);
  }

  Doubles layer(const Doubles& x, const std::string& prefix, const LayerConfig& config) {
    const Doubles h1 =
        reference_rms_norm(x, w_.at(prefix + "input_layernorm.weight"), c_.rms_norm_eps);
    const std::string attention = prefix + "self_attn.";
    Doubles y = config.attention.kind == AttentionKind::mla
                    ? latent(h1, attention, config.attention)
                    : grouped(h1, attention, config.attention);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    const Doubles h2 =
        reference_rms_norm(y, w_.at(prefix + "post_attention_layernorm.weight"), c_.rms_norm_eps);
    const Doubles f = config.ffn.kind == FfnKind::dense ? swiglu(h2, prefix + "mlp.")
                                                        : experts(h2, prefix + "mlp.", config.ffn);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += f[i];
    return y;
  }

  Doubles swiglu(const Doubles& x, const std::string& prefix) const {
    const Doubles gate = linear(x, prefix + "gate_proj.weight", c_.hidden_size);
    Doubles act = linear(x, prefix + "up_proj.weight", c_.hidden_size);
    for (std::size_t i = 0; i < act.size(); ++i) act[i] *= gate[i] * reference_sigmoid(gate[i]);
    return linear(act, prefix + "down_proj.weight",
                  static_cast<std::int64_t>(act.size()) * c_.hidden_size /
                      static_cast<std::int64_t>(x.size()));
  }

  // DeepSeek-V3's router (arXiv:2412.19437, eq. 12 to 16) and V2's.
  Doubles experts(const Doubles& x, const std::string& prefix, const FfnConfig& f) {
    const auto E = static_cast<std::size_t>(f.num_experts);
    const auto D = static_cast<std::size_t>(c_.hidden_size);
    const Doubles logits = linear(x, prefix + "gate.weight", c_.hidden_size);
    Doubles y(x.size());
    if (f.num_shared_experts > 0) y = swiglu(x, prefix + "shared_experts.");
    for (std::size_t t = 0; t < x.size() / D; ++t) {
      Doubles s = reference_softmax(logits.data() + t * E, f.num_experts, 1.0);
      if (f.scoring == RouterScoring::sigmoid) {
        for (std::size_t e = 0; e < E; ++e) s[e] = reference_sigmoid(logits[t * E + e]);
      }
      Doubles choice = s;
      const auto bias = w_.find(prefix + "gate.e_score_correction_bias");
      for (std::size_t e = 0; bias != w_.end() && e < E; ++e) choice[e] += bias->second[e];
      keep_groups(choice, f);
      std::vector<std::size_t> order(E);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return choice[a] > choice[b]; });
      order.resize(static_cast<std::size_t>(f.num_experts_per_tok));
      chosen.insert(chosen.end(), order.begin(), order.end());
      double total = 0.0;
      for (const std::size_t e : order) total += s[e];
      const Doubles row(x.begin() + static_cast<std::ptrdiff_t>(t * D),
                        x.begin() + static_cast<std::ptrdiff_t>((t + 1) * D));
      for (const std::size_t e : order) {
        const double weight = s[e] / (f.norm_topk_prob ? total : 1.0) * f.routed_scaling_factor;
        const Doubles out = swiglu(row, prefix + "experts." + std::to_string(e) + ".");
        for (std::size_t d = 0; d < D; ++d) y[t * D + d] += weight * out[d];
      }
    }
    return y;
  }

  static void keep_groups(Doubles& choice, const FfnConfig& f) {
    if (f.n_group == 1) return;
    const std::size_t size = choice.size() / static_cast<std::size_t>(f.n_group);
    std::vector<std::pair<double, std::size_t>> ranking;
    for (std::size_t g = 0; g < static_cast<std::size_t>(f.n_group); ++g) {
      Doubles group(choice.begin() + static_cast<std::ptrdiff_t>(g * size),
                    choice.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
      std::sort(group.rbegin(), group.rend());
      const bool best = f.group_score == GroupScore::best || size == 1;
      ranking.emplace_back(best ? -group[0] : -group[0] - group[1], g);
    }
    std::sort(ranking.begin(), ranking.end());
    for (std::size_t i = static_cast<std::size_t>(f.topk_group); i < ranking.size(); ++i) {
      std::fill_n(choice.begin() + static_cast<std::ptrdiff_t>(ranking[i].second * size), size,
                  -INFINITY);
    }
  }

  // Turns the first rope.dim of every head of x [T, heads, width] from `at` on.
  static void turn(Doubles& x, std::size_t heads, std::size_t width, std::size_t at,
                   const RopeConfig& rope) {
    const std::size_t half = rope.inv_freq.size();
    for (std::size_t r = 0; r < x.size() / width; ++r) {
      const auto position = static_cast<double>(r / heads);
      double* const head = x.data() + r * width + at;
      Doubles out(2 * half);
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = position * rope.inv_freq[i];
        const double cos = std::cos(angle) * rope.attention_factor;
        const double sin = std::sin(angle) * rope.attention_factor;
        const double a = head[rope.interleaved ? 2 * i : i];
        const double b = head[rope.interleaved ? 2 * i + 1 : i + half];
        out[i] = a * cos - b * sin;
        out[i + half] = b * cos + a * sin;
      }
      std::copy(out.begin(), out.end(), head);
    }
  }

  // q [T, H, dk], k [T, Hkv, dk], v [T, Hkv, dv] -> [T, H, dv]
  static Doubles attend(const Doubles& q, const Doubles& k, const Doubles& v, std::size_t H,
                        std::size_t Hkv, std::size_t dk, double scale) {
    const std::size_t T = q.size() / (H * dk);
    const std::size_t dv = v.size() / (T * Hkv);
    Doubles out(T * H * dv);
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t h = 0; h < H; ++h) {
        const std::size_t g = h / (H / Hkv);
        Doubles scores(t + 1);
        for (std::size_t j = 0; j <= t; ++j) {
          for (std::size_t d = 0; d < dk; ++d)
            scores[j] += q[(t * H + h) * dk + d] * k[(j * Hkv + g) * dk + d];
        }
        const Doubles p = reference_softmax(scores.data(), static_cast<std::int64_t>(t + 1), scale);
        for (std::size_t j = 0; j <= t; ++j) {
          for (std::size_t d = 0; d < dv; ++d)
            out[(t * H + h) * dv + d] += p[j] * v[(j * Hkv + g) * dv + d];
        }
      }
    }
    return out;
  }

  Doubles latent(const Doubles& x, const std::string& prefix, const AttentionConfig& a) const {
    const std::int64_t D = c_.hidden_size;
    const auto H = static_cast<std::size_t>(a.num_heads);
    const auto R = static_cast<std::size_t>(a.kv_lora_rank);
    const auto nope = static_cast<std::size_t>(a.qk_nope_head_dim);
    const auto rope = static_cast<std::size_t>(a.qk_rope_head_dim);
    const auto dv = static_cast<std::size_t>(a.v_head_dim);
    Doubles q;
    if (a.q_lora_rank > 0) {
      q = linear(reference_rms_norm(linear(x, prefix + "q_a_proj.weight", D),
                                    w_.at(prefix + "q_a_layernorm.weight"), a.lora_norm_eps),
                 prefix + "q_b_proj.weight", a.q_lora_rank);
    } else {
      q = linear(x, prefix + "q_proj.weight", D);
    }
    turn(q, H, nope + rope, nope, a.rope);
    const Doubles joint = linear(x, prefix + "kv_a_proj_with_mqa.weight", D);
    const std::size_t T = joint.size() / (R + rope);
    Doubles c, k_rope;
    for (std::size_t t = 0; t < T; ++t) {
      const double* row = joint.data() + t * (R + rope);
      c.insert(c.end(), row, row + R);
      k_rope.insert(k_rope.end(), row + R, row + R + rope);
    }
    turn(k_rope, 1, rope, 0, a.rope);
    const Doubles kv =
        linear(reference_rms_norm(c, w_.at(prefix + "kv_a_layernorm.weight"), a.lora_norm_eps),
               prefix + "kv_b_proj.weight", a.kv_lora_rank);
    Doubles k, v;
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t h = 0; h < H; ++h) {
        const double* row = kv.data() + (t * H + h) * (nope + dv);
        k.insert(k.end(), row, row + nope);
        k.insert(k.end(), k_rope.begin() + static_cast<std::ptrdiff_t>(t * rope),
                 k_rope.begin() + static_cast<std::ptrdiff_t>((t + 1) * rope));
        v.insert(v.end(), row + nope, row + nope + dv);
      }
    }
    return linear(attend(q, k, v, H, H, nope + rope, a.softmax_scale), prefix + "o_proj.weight",
                  static_cast<std::int64_t>(H * dv));
  }

  Doubles grouped(const Doubles& x, const std::string& prefix, const AttentionConfig& a) const {
    const auto width = static_cast<std::size_t>(a.head_dim);
    const auto H = static_cast<std::size_t>(a.num_heads);
    const auto Hkv = static_cast<std::size_t>(a.num_kv_heads);
    const auto project = [&](const std::string& name) {
      Doubles y = linear(x, prefix + name + "_proj.weight", c_.hidden_size);
      if (!a.qkv_bias) return y;
      const Doubles& bias = w_.at(prefix + name + "_proj.bias");
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
      return y;
    };
    Doubles q = project("q"), k = project("k");
    if (a.qk_norm) {
      q = reference_rms_norm(q, w_.at(prefix + "q_norm.weight"), c_.rms_norm_eps);
      k = reference_rms_norm(k, w_.at(prefix + "k_norm.weight"), c_.rms_norm_eps);
    }
    turn(q, H, width, 0, a.rope);
    turn(k, Hkv, width, 0, a.rope);
    return linear(attend(q, k, project("v"), H, Hkv, width, a.softmax_scale),
                  prefix + "o_proj.weight", static_cast<std::int64_t>(H * width));
  }

  const ModelConfig& c_;
  std::map<std::string, Doubles> w_;
};

}  // namespace zeroth::testing
